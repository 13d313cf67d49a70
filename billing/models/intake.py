"""What arrived."""

from django.db import models

from products.db.fields import CodePointCharField
from products.models import Project

ENDPOINT_LENGTH = 40
SENDER_LENGTH = 120
VERSION_LENGTH = 60
REASON_LENGTH = 200


class IntakeCount(models.Model):
    """How many reports of usage of one kind arrived on a day. Only `billing.intake_counts` writes it.

    The project is locked while rows are written, so the database need not check the foreign key of each row.
    """

    pk = models.CompositePrimaryKey("project", "day", "endpoint", "sender", "version", "reason")
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    day = models.DateField(help_text="In UTC.")
    endpoint = CodePointCharField(max_length=ENDPOINT_LENGTH, help_text="Or the format of imported files.")
    sender = CodePointCharField(
        max_length=SENDER_LENGTH, blank=True, help_text="The instrumentation's scope."
    )
    version = CodePointCharField(max_length=VERSION_LENGTH, blank=True)
    reason = CodePointCharField(
        max_length=REASON_LENGTH, blank=True, help_text="Why it was not understood; empty if it was."
    )
    count = models.BigIntegerField()

    class Meta:
        default_permissions = ()
