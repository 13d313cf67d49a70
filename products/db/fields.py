"""Text fields that compare exactly and sort by Unicode code point, on SQLite and PostgreSQL alike."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class CodePointCharField(models.CharField):
    """A `CharField` with the collation `C` on PostgreSQL.

    SQLite sorts by code point anyway and has no collation of that name, so `db_collation`, which applies
    to every database, can't be used.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters
