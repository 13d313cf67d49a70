"""What is remembered of traces."""

from django.db import models

from products.db.fields import CodePointCharField
from products.models import Project


class TraceSpan(models.Model):
    """What is remembered of a span until the rest of its trace has come; `billing.ledger.traces` writes it.

    It can be forgotten without loss to the ledger. The project is locked where rows go in, so that
    the foreign key needs no check of each.
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
    remembered_on = models.DateField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["project", "remembered_on"], name="trace_span_oldest")]
