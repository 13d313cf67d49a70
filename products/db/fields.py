"""Text that is compared exactly and ordered by Unicode code point, on both databases."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class CodePointCharField(models.CharField):
    """A `CharField` in the collation `C` on PostgreSQL.

    SQLite's own order is already that of code points, and it knows no collation of that name, so
    `db_collation`, which would be written to both, cannot say it.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters
