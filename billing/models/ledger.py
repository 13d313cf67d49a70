"""The append-only ledger."""

from typing import Any, NoReturn

from django.db import models
from django.db.models import F, OuterRef, Q
from django.db.models.expressions import RawSQL

from billing.events.usage_event import ID_LENGTH
from products.db.fields import CodePointCharField
from products.models import AgentJob, Project


class LedgerIsAppendOnly(TypeError):
    """Somebody tried to write the ledger past `billing.ledger.record`."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise LedgerIsAppendOnly(
        "Credit transactions are written by billing.ledger.record alone, and never changed or deleted."
    )


class LedgerQuerySet(models.QuerySet["CreditTransaction"]):
    create = get_or_create = update_or_create = bulk_create = bulk_update = update = delete = _refuse
    acreate = aget_or_create = aupdate_or_create = abulk_create = abulk_update = aupdate = adelete = _refuse
    _raw_delete = _refuse

    def deductions(self) -> "LedgerQuerySet":
        """As told: without the lines that book a missing cost later."""
        return self.filter(kind=DEDUCTION, corrects=None)

    def unpriced(self) -> "LedgerQuerySet":
        """Deductions whose cost is still not known."""
        unpriced = self.filter(cost_source=CreditTransaction.CostSource.UNPRICED)
        return unpriced.filter(~models.Exists(corrections()))


# Written into the statement: with a parameter a prepared one could not use the partial index
# `transaction_recent`, and would be planned anew each time.
DEDUCTION = RawSQL("'deduction'", ())


def corrections() -> "LedgerQuerySet":
    """For a subquery: the line that books the missing cost of an outer one."""
    return CreditTransaction.objects.filter(project=OuterRef("project"), corrects=OuterRef("pk"))


class CreditTransaction(models.Model):
    """One line of the append-only ledger. Amounts are never negative: the kind says the direction."""

    class Kind(models.TextChoices):
        DEDUCTION = "deduction"
        REFUND = "refund"
        PURCHASE = "purchase"
        GRANT = "grant"

    class CostSource(models.TextChoices):
        REPORTED = "reported", "reported by the sender"
        COMPUTED = "computed", "computed from the model's price"
        UNPRICED = "unpriced", "unpriced: no price is known"

    # The foreign keys stand in `billing.db.triggers`, checked at once.
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="transactions", db_constraint=False, db_index=False
    )
    job = models.ForeignKey(
        AgentJob,
        on_delete=models.PROTECT,
        null=True,
        related_name="transactions",
        db_constraint=False,
        db_index=False,
    )
    event_id = CodePointCharField(
        "event ID", max_length=ID_LENGTH + 20, help_text="As told; unique in the project."
    )
    kind = models.CharField(max_length=9, choices=Kind)
    amount_nanos = models.BigIntegerField(help_text="Nano-dollars (10⁻⁹ USD).")
    cost_source = models.CharField(max_length=8, choices=CostSource)
    model = CodePointCharField(max_length=200, blank=True)
    input_tokens = models.BigIntegerField(default=0, help_text="Not from or into a cache.")
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    cache_write_1h_tokens = models.BigIntegerField(
        default=0, help_text="The part of the writes kept for an hour."
    )
    output_tokens = models.BigIntegerField(default=0)
    occurred_at = models.DateTimeField()
    billed_on = models.DateField(help_text="The day of `occurred_at` in the project's billing zone.")
    recorded_at = models.DateTimeField()
    corrects = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="corrections",
        db_constraint=False,
        db_index=False,
        help_text="The unpriced deduction whose missing cost this line books.",
    )

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name = "credit transaction"
        base_manager_name = "objects"  # or Django would keep a plain one, which refuses nothing
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["project", "event_id"], name="transaction_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["deduction", "refund"], job__isnull=False)
                | Q(kind__in=["purchase", "grant"], job__isnull=True),
                name="transaction_kind_and_job",
            ),
            models.CheckConstraint(
                condition=Q(amount_nanos__gte=0, amount_nanos__lte=10**15), name="transaction_amount"
            ),
            models.CheckConstraint(
                condition=Q(cost_source="reported")
                | Q(kind="deduction", cost_source="computed")
                | Q(kind="deduction", cost_source="unpriced", amount_nanos=0),
                name="transaction_cost_source",
            ),
            models.CheckConstraint(
                condition=Q(
                    input_tokens__range=(0, 10**12),
                    cache_read_tokens__range=(0, 10**12),
                    cache_write_tokens__range=(0, 10**12),
                    output_tokens__range=(0, 10**12),
                    cache_write_1h_tokens__gte=0,
                    cache_write_1h_tokens__lte=F("cache_write_tokens"),
                ),
                name="transaction_tokens",
            ),
            models.CheckConstraint(
                condition=Q(kind="deduction")
                | Q(input_tokens=0, cache_read_tokens=0, cache_write_tokens=0, output_tokens=0),
                name="transaction_only_deductions_have_tokens",
            ),
            models.CheckConstraint(condition=~Q(event_id=""), name="transaction_named"),
            models.UniqueConstraint(
                fields=["project", "corrects"],
                condition=Q(corrects__isnull=False),
                name="transaction_corrected_once",
            ),
            models.CheckConstraint(
                condition=Q(corrects=None)
                | Q(kind="deduction", input_tokens=0, cache_read_tokens=0)
                & Q(cost_source="computed", cache_write_tokens=0, output_tokens=0),
                name="transaction_correction",
            ),
        ]
        indexes = [
            models.Index(
                F("project"),
                F("occurred_at").desc(),
                F("event_id"),
                name="transaction_recent",
                condition=Q(kind="deduction", corrects=None),
            ),
            models.Index(fields=["project", "job"], name="transaction_job"),
            models.Index(
                fields=["project", "id"], name="transaction_unpriced", condition=Q(cost_source="unpriced")
            ),
        ]

    def __str__(self) -> str:
        return self.event_id

    save = save_base = delete = asave = adelete = _refuse
