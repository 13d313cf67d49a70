"""The cluster's machines, and databases made and dropped on all of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
from psycopg import sql


class Node(NamedTuple):
    host: str
    port: int
    group: int
    """0 is the coordinator's."""

    def connect(self, database: str, **login: str) -> psycopg.Connection:
        return psycopg.connect(host=self.host, port=self.port, dbname=database, autocommit=True, **login)


def known(connection: psycopg.Connection) -> list[Node]:
    """To the coordinator, which comes first."""
    rows = connection.execute(
        "SELECT nodename, nodeport, groupid FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid"
    )
    return [Node(*row) for row in rows]


@contextmanager
def one_at_a_time(connection: psycopg.Connection) -> Iterator[None]:
    """For what machines can't do for two databases at once: getting to know each other."""
    connection.execute("SELECT pg_advisory_lock(1)")
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(1)")


def create(database: str, nodes: Sequence[Node], **login: str) -> None:
    """With the extension, and every machine known to the coordinator."""
    for node in nodes:
        if node.group:  # Django has made the coordinator's
            with node.connect("postgres", **login) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        with node.connect(database, **login) as connection:
            connection.execute("CREATE EXTENSION citus")
    coordinator, *workers = nodes
    with coordinator.connect(database, **login) as connection:
        connection.execute("SELECT citus_set_coordinator_host(%s, %s)", coordinator[:2])
        for worker in workers:
            connection.execute("SELECT citus_add_node(%s, %s)", worker[:2])


def exists(database: str, nodes: Sequence[Node], **login: str) -> bool:
    with nodes[0].connect("postgres", **login) as connection:
        return bool(connection.execute("SELECT FROM pg_database WHERE datname = %s", [database]).rowcount)


def drop(database: str, nodes: Sequence[Node], **login: str) -> None:
    for node in nodes:
        with node.connect("postgres", **login) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
            )
