"""Remembered spans of traces."""

from django.db import models

from billing.events.usage_event import ID_LENGTH
from products.db.fields import CodePointCharField
from products.models import Project


class TraceSpan(models.Model):
    """A span, remembered until the rest of its trace has arrived. Only `billing.ledger.traces` writes it.

    Deleting rows loses nothing from the ledger. The project is locked while rows are inserted, so the
    database need not check the foreign key of each row.
    """

    pk = models.CompositePrimaryKey("project", "trace_id", "span_id")
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    trace_id = CodePointCharField(max_length=32)
    span_id = CodePointCharField(max_length=16)
    parent_id = CodePointCharField(max_length=16, blank=True)
    agent_name = CodePointCharField(max_length=100, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    failed = models.BooleanField()
    calls_model = models.BooleanField()
    input_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    session_id = CodePointCharField(max_length=ID_LENGTH, blank=True, default="")
    agent_id = CodePointCharField(max_length=ID_LENGTH, blank=True, default="")
    remembered_on = models.DateField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["project", "remembered_on"], name="trace_span_oldest")]
