"""The append-only ledger of credit transactions."""

from typing import Any, NoReturn

from django.db import models
from django.db.models import F, OuterRef, Q
from django.db.models.expressions import RawSQL

from billing.events.usage_event import ID_LENGTH, Kind
from billing.models.basis import basis_fields
from products.db.fields import CodePointCharField
from products.models import AgentJob, Project


class CostSource(models.TextChoices):
    """Where the amount of a transaction comes from."""

    REPORTED = "reported", "reported by the sender"
    COMPUTED = "computed", "computed from the model's price"
    UNPRICED = "unpriced", "unpriced: no price is known"


class LedgerIsAppendOnly(TypeError):
    """Raised by every attempt to write the ledger other than through `billing.ledger.record`."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise LedgerIsAppendOnly(
        "Only billing.ledger.record writes credit transactions; nothing changes or deletes them."
    )


class LedgerQuerySet(models.QuerySet["CreditTransaction"]):
    create = get_or_create = update_or_create = bulk_create = bulk_update = update = delete = _refuse
    acreate = aget_or_create = aupdate_or_create = abulk_create = abulk_update = aupdate = adelete = _refuse
    _raw_delete = _refuse

    def deductions(self) -> "LedgerQuerySet":
        """Deductions that stand, without the corrections that add a missing cost later."""
        return self.filter(~models.Exists(reversals()), kind=_DEDUCTION, corrects=None)

    def unpriced(self) -> "LedgerQuerySet":
        """Deductions whose cost is still unknown."""
        unpriced = self.filter(cost_source=CostSource.UNPRICED)
        return unpriced.filter(
            ~models.Exists(corrections()), ~models.Exists(reversals()), kind=Kind.DEDUCTION
        )


# A literal in the statement: with a parameter instead, PostgreSQL could not use the partial index
# `transaction_recent` in a prepared statement, and would plan it again at each execution.
_DEDUCTION = RawSQL(f"'{Kind.DEDUCTION.value}'", ())  # noqa: S611  # no input in it


def corrections() -> "LedgerQuerySet":
    """For a subquery: the line that adds the missing cost of the outer query's transaction."""
    return CreditTransaction.objects.filter(project=OuterRef("project"), corrects=OuterRef("pk"))


def reversals() -> "LedgerQuerySet":
    """For a subquery: the line that takes the outer query's transaction back."""
    return CreditTransaction.objects.filter(
        project=OuterRef("project"), kind=Kind.REVERSAL, adjusts=OuterRef("pk")
    )


EVENT_ID_LENGTH = ID_LENGTH + 60
"""The ledger appends to a sender's id in the lines that it adds itself."""


class CreditTransaction(models.Model):
    """One line of the append-only ledger. Amounts are never negative: the kind says the direction."""

    # `billing.db.triggers` makes these foreign keys: Django's own are deferred, which costs time per row.
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
        "event ID", max_length=EVENT_ID_LENGTH, help_text="As sent; unique in the product."
    )
    kind = models.CharField(max_length=9, choices=Kind)
    amount_nanos = models.BigIntegerField(help_text="Nano-dollars (10⁻⁹ USD).")
    cost_source = models.CharField(max_length=8, choices=CostSource)
    model = CodePointCharField(max_length=200, blank=True)
    input_tokens = models.BigIntegerField(default=0, help_text="Neither read from nor written to a cache.")
    cache_read_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    cache_write_1h_tokens = models.BigIntegerField(
        default=0, help_text="The part of the cache writes that is cached for an hour."
    )
    output_tokens = models.BigIntegerField(default=0)
    occurred_at = models.DateTimeField()
    billed_on = models.DateField(help_text="The day of `occurred_at` in the product's billing zone.")
    recorded_at = models.DateTimeField()
    corrects = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="corrections",
        db_constraint=False,
        db_index=False,
        help_text="The unpriced deduction whose missing cost this line adds.",
    )

    price_factors, priced_without, price_source = basis_fields()
    adjusts = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        related_name="adjustments",
        db_constraint=False,
        db_index=False,
        help_text="The deduction that this line takes back, if it is a reversal, or else replaces.",
    )

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name = "credit transaction"
        base_manager_name = "objects"  # Django's default base manager would allow writes
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["project", "event_id"], name="transaction_once"),
            models.CheckConstraint(
                condition=Q(kind__in=[Kind.DEDUCTION, Kind.REFUND, Kind.REVERSAL], job__isnull=False)
                | Q(kind__in=[Kind.PURCHASE, Kind.GRANT], job__isnull=True),
                name="transaction_kind_and_job",
            ),
            models.CheckConstraint(
                condition=Q(amount_nanos__gte=0, amount_nanos__lte=10**15), name="transaction_amount"
            ),
            models.CheckConstraint(
                condition=Q(cost_source=CostSource.REPORTED)
                | Q(kind__in=[Kind.DEDUCTION, Kind.REVERSAL], cost_source=CostSource.COMPUTED)
                | Q(
                    kind__in=[Kind.DEDUCTION, Kind.REVERSAL],
                    cost_source=CostSource.UNPRICED,
                    amount_nanos=0,
                ),
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
                condition=Q(kind__in=[Kind.DEDUCTION, Kind.REVERSAL])
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
                | Q(kind=Kind.DEDUCTION, input_tokens=0, cache_read_tokens=0)
                & Q(cost_source=CostSource.COMPUTED, cache_write_tokens=0, output_tokens=0),
                name="transaction_correction",
            ),
            models.UniqueConstraint(
                fields=["project", "adjusts"],
                condition=Q(kind=Kind.REVERSAL),
                name="transaction_reversed_once",
            ),
            models.CheckConstraint(
                condition=Q(kind=Kind.DEDUCTION)
                | Q(kind=Kind.REVERSAL, adjusts__isnull=False)
                | ~Q(kind=Kind.REVERSAL) & Q(adjusts=None),
                name="transaction_adjustment",
            ),
        ]
        indexes = [
            models.Index(
                F("project"),
                F("occurred_at").desc(),
                F("event_id"),
                name="transaction_recent",
                condition=Q(kind=Kind.DEDUCTION, corrects=None),
            ),
            models.Index(fields=["project", "job"], name="transaction_job"),
            models.Index(
                fields=["project", "id"],
                name="transaction_unpriced",
                condition=Q(cost_source=CostSource.UNPRICED),
            ),
            models.Index(
                fields=["project", "id"],
                name="transaction_priced_without",
                condition=~Q(priced_without=""),
            ),
        ]

    def __str__(self) -> str:
        return self.event_id

    save = save_base = delete = asave = adelete = _refuse
