"""The cluster's machines, and how to create and drop a database on all of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
from psycopg import sql


class Node(NamedTuple):
    host: str
    port: int
    group: int
    """0 is the coordinator's."""

    def connect(self, database: str, **login: str) -> psycopg.Connection:
        return psycopg.connect(host=self.host, port=self.port, dbname=database, autocommit=True, **login)


def login(url: str) -> dict[str, str]:
    """User and password of a database URL, as arguments of `Node.connect`."""
    parts = urlsplit(url)
    return {"user": parts.username or "postgres", **({"password": parts.password} if parts.password else {})}


def read(connection: psycopg.Connection) -> list[Node]:
    """The machines that the coordinator knows, itself first."""
    rows = connection.execute(
        "SELECT nodename, nodeport, groupid FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid"
    )
    return [Node(*row) for row in rows]


@contextmanager
def exclusive(connection: psycopg.Connection) -> Iterator[None]:
    """Machines can't be added for two databases at the same time."""
    connection.execute("SELECT pg_advisory_lock(1)")
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(1)")


def create_database(name: str, nodes: Sequence[Node], **login: str) -> None:
    """On every machine, with the extension, and with the workers added to the coordinator."""
    with nodes[0].connect("postgres", **login) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    add_cluster(name, nodes, **login)


def add_cluster(name: str, nodes: Sequence[Node], **login: str) -> None:
    """Create a database that the coordinator already has on the workers, and join all of them."""
    coordinator, *workers = nodes
    for worker in workers:
        with worker.connect("postgres", **login) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    for node in nodes:
        with node.connect(name, **login) as connection:
            connection.execute("CREATE EXTENSION citus")
    with coordinator.connect(name, **login) as connection:
        connection.execute("SELECT citus_set_coordinator_host(%s, %s)", coordinator[:2])
        for worker in workers:
            connection.execute("SELECT citus_add_node(%s, %s)", worker[:2])


def database_exists(name: str, nodes: Sequence[Node], **login: str) -> bool:
    with nodes[0].connect("postgres", **login) as connection:
        return bool(connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount)


def drop_database(name: str, nodes: Sequence[Node], **login: str) -> None:
    for node in nodes:
        with node.connect("postgres", **login) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )
