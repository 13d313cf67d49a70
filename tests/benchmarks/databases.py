"""Separate databases for benchmarks, on the PostgreSQL server that `TEST_DATABASE_URL` names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

SERVER = "TEST_DATABASE_URL"


def server_url() -> str:
    url = os.environ.get(SERVER, "")
    if not url.startswith("postgres"):
        raise SystemExit(f"This needs a PostgreSQL: python -m tests.with_postgres …, or set {SERVER}.")
    return url


def url_of(database: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(server_url())._replace(path=f"/{database}"))


def conninfo(url: str) -> str:
    """Convert a URL as django-environ reads it to libpq's form."""
    parts = urlsplit(url)
    parts = {
        "host": parse_qs(parts.query).get("host", [parts.hostname or ""])[0],
        "port": str(parts.port or ""),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": parts.path.removeprefix("/"),
    }
    return psycopg.conninfo.make_conninfo("", **{name: value for name, value in parts.items() if value})


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(conninfo(url), autocommit=True)


def create(database: str) -> None:
    with connect(server_url()) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


def drop(database: str) -> None:
    with connect(server_url()) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(database)))


def exists(database: str) -> bool:
    with connect(server_url()) as connection:
        question = "SELECT 1 FROM pg_database WHERE datname = %s"
        return connection.execute(question, [database]).fetchone() is not None


def set_up_django() -> None:
    """Set the product up with its own settings; `using` decides which database it talks to."""
    import django

    os.environ.update(
        DATABASE_URL=server_url(),
        DJANGO_SETTINGS_MODULE="aicost.settings",
        SECRET_KEY="bench",
        DEBUG="false",
        HTTPS="false",
        ALLOWED_HOSTS="127.0.0.1",
    )
    django.setup()


@contextmanager
def using(database: str) -> Iterator[None]:
    """Connect Django to that database inside."""
    from django.db import connection

    connection.close()
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
