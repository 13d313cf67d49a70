"""The database engine of the tests on a cluster."""

from typing import Any

import psycopg
from django.db.backends.postgresql import base, creation

from tests.citus import SHARDS, URL, nodes


class DatabaseCreation(creation.DatabaseCreation):
    def create_test_db(self, *args: Any, **kwargs: Any) -> str:
        from billing.db.citus import placement  # its models need this module first

        name = super().create_test_db(*args, **kwargs)
        placement.distribute(self.connection, shards=SHARDS)
        # `placement.SETTINGS` apply to new connections only.
        self.connection.close()
        return name

    def _create_test_db(self, verbosity: int, autoclobber: bool, keepdb: bool = False) -> str:
        name = self._get_test_db_name()
        if keepdb and nodes.database_exists(name, self._nodes(), **self._login()):
            return name
        self._drop(name)
        super()._create_test_db(verbosity, autoclobber, keepdb)
        with psycopg.connect(URL, autocommit=True) as connection, nodes.exclusive(connection):
            nodes.add_cluster(name, self._nodes(), **self._login())
        return name

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        self._drop(test_database_name)

    def _drop(self, name: str) -> None:
        nodes.drop_database(name, self._nodes(), **self._login())

    def _nodes(self) -> list[nodes.Node]:
        with psycopg.connect(URL) as connection:
            return nodes.read(connection)

    def _login(self) -> dict[str, str]:
        options = self.connection.settings_dict
        return {
            "user": options["USER"],
            **({"password": options["PASSWORD"]} if options["PASSWORD"] else {}),
        }


class DatabaseWrapper(base.DatabaseWrapper):
    creation_class = DatabaseCreation
