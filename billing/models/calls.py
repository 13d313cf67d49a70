"""Reports of model calls that name the call, so that further reports of the same call can be recognized."""

from django.db import models
from django.db.models import Q

from billing.events.usage_event import CALL_ID_LENGTH, ID_LENGTH, TEXT_LENGTH
from billing.models.basis import basis_fields
from billing.models.ledger import EVENT_ID_LENGTH, CostSource
from products.db.fields import CodePointCharField
from products.models import AgentJob, Project


class CallReport(models.Model):
    """What one deduction reports of a call. Only `billing.ledger.calls.store` writes it.

    A call may have many reports; a transaction books the one that stands. `billing.ledger.calls.identity`
    says which one that is. The project is locked while rows are written, and jobs are never deleted, so the
    database need not check the foreign keys of each row.
    """

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    event_id = CodePointCharField("event ID", max_length=ID_LENGTH + 20, help_text="As sent.")
    call_pk = models.BigIntegerField(help_text="The lowest id of the call's reports.")
    group_pk = models.BigIntegerField(help_text="The lowest id of all reports that links connect with this.")
    job = models.ForeignKey(
        AgentJob,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The job that this sender reports; the call may be booked on another sender's.",
    )
    line = CodePointCharField(
        max_length=EVENT_ID_LENGTH,
        blank=True,
        help_text="The event ID of the transaction that books the call, on the report that stands.",
    )
    booked_on = models.ForeignKey(
        AgentJob,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The job of that transaction.",
    )
    booked_nanos = models.BigIntegerField(help_text="The amount of that transaction.")
    times_booked = models.IntegerField()
    occurred_at = models.DateTimeField()
    model = CodePointCharField(max_length=TEXT_LENGTH, blank=True)
    family = CodePointCharField(
        max_length=TEXT_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="The model's family when the report came; empty if the price list did not know the name.",
    )
    input_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    cache_write_1h_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    amount_nanos = models.BigIntegerField()
    cost_source = models.CharField(max_length=8, choices=CostSource)
    price_factors, priced_without, price_source = basis_fields()
    run_is_trace = models.BooleanField()
    sender = CodePointCharField(max_length=TEXT_LENGTH, blank=True)
    gateway_id = CodePointCharField(max_length=CALL_ID_LENGTH, blank=True)
    part = CodePointCharField(max_length=20, blank=True)
    covers_parts = CodePointCharField(max_length=20, blank=True)
    started_at = models.DateTimeField(null=True)
    fingerprint = CodePointCharField(
        max_length=16,
        blank=True,
        default="",
        help_text="Equal for reports that may be of the same call; empty without a start.",
    )
    copy_of = CodePointCharField(
        max_length=ID_LENGTH + 20,
        blank=True,
        default="",
        db_default="",
        help_text="The event ID of a report of the same response that this is another copy of.",
    )
    is_nested = models.BooleanField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["project", "event_id"], name="call_report_once"),
            models.UniqueConstraint(fields=["project", "id"], name="call_report_in_project"),
        ]
        indexes = [
            models.Index(fields=["project", "call_pk"], name="call_report_call"),
            models.Index(fields=["project", "group_pk"], name="call_report_group"),
            models.Index(fields=["project", "job"], name="call_report_job"),
            # The same rows as those with a fingerprint; a search by `started_at` implies this condition.
            models.Index(
                fields=["project", "fingerprint", "occurred_at"],
                condition=Q(started_at__isnull=False),
                name="call_report_fingerprint",
            ),
        ]

    def __str__(self) -> str:
        return self.event_id


class CallId(models.Model):
    """An id that a report gives its call. Compared exactly."""

    pk = models.CompositePrimaryKey("project", "call_id", "occurred_at", "report")
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    call_id = CodePointCharField(max_length=CALL_ID_LENGTH)
    occurred_at = models.DateTimeField(help_text="The report's instant: an id may be used again later.")
    report = models.ForeignKey(
        CallReport, on_delete=models.PROTECT, related_name="ids", db_constraint=False, db_index=False
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.call_id
