"""The ledger, budgets, and the rollups that every page reads."""

from typing import Any, NoReturn

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, OuterRef, Q

from billing.alerts.models import AlertDelivery, AlertSettings, BudgetAlert  # noqa: F401  # found from here
from billing.events import ID_LENGTH
from products.fields import CodePointCharField
from products.models import AgentJob, AgentType, PipelineRun, Project

INT64_SAFE = 9_000_000_000_000_000_000
"""No sum may leave this range: beyond it SQLite would go on in floating point."""
MAX_RATE = 100_000
"""Dollars per million tokens: beyond it somebody has mistaken the unit."""


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
        return self.filter(kind=CreditTransaction.Kind.DEDUCTION, corrects=None)

    def unpriced(self) -> "LedgerQuerySet":
        """Deductions whose cost is still not known."""
        unpriced = self.filter(cost_source=CreditTransaction.CostSource.UNPRICED)
        return unpriced.filter(~models.Exists(corrections()))


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

    # The foreign keys stand in `billing.guards`, checked at once.
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


class BillingSetting(models.Model):
    """A row of text per project and key. Budget limits are written by `billing.budgets.set_limit` alone."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="billing_settings", db_index=False
    )
    key = CodePointCharField(max_length=100)
    value = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="billing_setting_once")]

    def __str__(self) -> str:
        return f"{self.key} = {self.value}"


class BudgetChange(models.Model):
    """Who changed a project's monthly limit or its policy, when, from what to what. None is no limit."""

    class Policy(models.TextChoices):
        DENY = "deny", "deny"
        WARN = "warn", "only warn"

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="budget_changes", db_index=False
    )
    changed_at = models.DateTimeField()
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="budget_changes"
    )
    old_limit_nanos = models.BigIntegerField(null=True)
    new_limit_nanos = models.BigIntegerField(null=True)
    policy = models.CharField(
        max_length=4,
        choices=Policy,
        blank=True,
        help_text="The policy from then on, where it is this that changed.",
    )
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-changed_at", "-pk"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=(Q(old_limit_nanos=None) | Q(old_limit_nanos__gt=0))
                & (Q(new_limit_nanos=None) | Q(new_limit_nanos__gt=0)),
                name="budget_change_limits_positive",
            )
        ]
        indexes = [models.Index(fields=["project", "-changed_at"], name="budget_change_newest")]

    def __str__(self) -> str:
        return f"{self.project}: {self.old_limit_nanos} → {self.new_limit_nanos}"


def _rate_field(**kwargs: Any) -> models.DecimalField:
    """Dollars per million tokens. A rate is never summed, so it may be a decimal on every database."""
    return models.DecimalField(
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_RATE)],
        **kwargs,
    )


class PriceOverride(models.Model):
    """What a model costs a project from a day on, whatever the price list says.

    It prices usage that is recorded after it was set, and unpriced usage by `price_unpriced`; what
    is booked already keeps its cost.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="price_overrides", db_index=False
    )
    model = CodePointCharField(max_length=200, help_text="Its name exactly as usage tells it.")
    starts_on = models.DateField(
        "from", help_text="The first day, in the product's billing zone; until another one begins."
    )
    input_rate = _rate_field(verbose_name="input", help_text="Dollars per million tokens, uncached.")
    output_rate = _rate_field(verbose_name="output", help_text="Dollars per million tokens.")
    cache_read_rate = _rate_field(
        verbose_name="cache reads", null=True, blank=True, help_text="Empty: as input."
    )
    cache_write_rate = _rate_field(
        verbose_name="cache writes", null=True, blank=True, help_text="Empty: as input."
    )
    cache_write_1h_rate = _rate_field(
        verbose_name="cache writes for an hour", null=True, blank=True, help_text="Empty: as other writes."
    )

    class Meta:
        ordering = ["project", "model", "-starts_on"]
        constraints = [
            models.UniqueConstraint(fields=["project", "model", "starts_on"], name="price_override_once")
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.starts_on}"


class BudgetReservation(models.Model):
    """An estimate that counts against the budget until its usage arrives or it expires."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="budget_reservations", db_index=False
    )
    reservation_id = CodePointCharField("reservation ID", max_length=200)
    estimate_nanos = models.BigIntegerField(help_text="Nano-dollars (10⁻⁹ USD).")
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["project", "reservation_id"], name="reservation_once"),
            models.CheckConstraint(
                condition=Q(estimate_nanos__gt=0, estimate_nanos__lte=10**15), name="reservation_estimate"
            ),
        ]
        indexes = [models.Index(fields=["project", "expires_at"], name="reservation_standing")]

    def __str__(self) -> str:
        return self.reservation_id


def _sum_field(**kwargs: Any) -> models.BigIntegerField:
    return models.BigIntegerField(default=0, **kwargs)


def _in_range(*fields: str, name: str) -> models.CheckConstraint:
    condition = Q()
    for field in fields:
        condition &= Q(**{f"{field}__gte": -INT64_SAFE, f"{field}__lte": INT64_SAFE})
    return models.CheckConstraint(condition=condition, name=name)


class Spend(models.Model):
    """Sums of deductions less refunds. Tokens are those of deductions; input includes cached ones."""

    cost_nanos = _sum_field()
    input_tokens = _sum_field()
    output_tokens = _sum_field()
    transactions = _sum_field(help_text="Deductions and refunds.")

    class Meta:
        abstract = True
        default_permissions = ()


class MonthlySpend(Spend):
    """By month and agent type. Jobs count in the month in which they finished."""

    pk = models.CompositePrimaryKey("project", "month", "agent_type")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.DateField(help_text="Its first day.")
    agent_type = models.ForeignKey(
        AgentType, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    unpriced = _sum_field(help_text="Deductions whose cost is not known.")
    succeeded_jobs = _sum_field()
    failed_jobs = _sum_field()
    cancelled_jobs = _sum_field()
    failed_cost_nanos = _sum_field(help_text="The part of the cost that went into jobs that failed.")
    cancelled_cost_nanos = _sum_field(help_text="The part that went into jobs that were cancelled.")

    class Meta(Spend.Meta):
        constraints = [
            _in_range("cost_nanos", "input_tokens", "output_tokens", name="monthly_spend_range"),
            _in_range("failed_cost_nanos", "cancelled_cost_nanos", name="monthly_waste_range"),
        ]


class DailySpend(Spend):
    """By day. `jobs` are those that finished on it."""

    pk = models.CompositePrimaryKey("project", "day")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    day = models.DateField()
    jobs = _sum_field()

    class Meta(Spend.Meta):
        constraints = [_in_range("cost_nanos", "input_tokens", "output_tokens", name="daily_spend_range")]


class DailyAgentSpend(Spend):
    """By day and agent type: what parts of months are compared by. `jobs` are those that finished on it."""

    pk = models.CompositePrimaryKey("project", "day", "agent_type")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    day = models.DateField()
    agent_type = models.ForeignKey(
        AgentType, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    jobs = _sum_field()

    class Meta(Spend.Meta):
        constraints = [
            _in_range("cost_nanos", "input_tokens", "output_tokens", name="daily_agent_spend_range")
        ]


class RunSpend(Spend):
    """By month and pipeline run. The key serves a run's page, an index of its own the costliest."""

    pk = models.CompositePrimaryKey("project", "run", "month")
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    run = models.ForeignKey(
        PipelineRun, on_delete=models.PROTECT, related_name="spend", db_constraint=False, db_index=False
    )
    month = models.DateField(help_text="Its first day.")

    class Meta(Spend.Meta):
        constraints = [_in_range("cost_nanos", "input_tokens", "output_tokens", name="run_spend_range")]
        indexes = [models.Index(fields=["project", "month", "-cost_nanos"], name="run_spend_costliest")]


class UnpricedUsage(models.Model):
    """Deductions whose cost is not known, by month and model: what is missing from the figures."""

    pk = models.CompositePrimaryKey("project", "month", "model")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.DateField(help_text="Its first day.")
    model = CodePointCharField(max_length=200, blank=True)
    transactions = _sum_field()
    input_tokens = _sum_field()
    output_tokens = _sum_field()

    class Meta:
        default_permissions = ()
        constraints = [_in_range("input_tokens", "output_tokens", name="unpriced_usage_range")]


class MonthlyCredits(models.Model):
    """Credits coming in, by month."""

    pk = models.CompositePrimaryKey("project", "month")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.DateField(help_text="Its first day.")
    purchased_nanos = _sum_field()
    granted_nanos = _sum_field()
    transactions = _sum_field(help_text="Purchases and grants.")

    class Meta:
        default_permissions = ()
        constraints = [_in_range("purchased_nanos", "granted_nanos", name="monthly_credits_range")]


class TraceSpan(models.Model):
    """What is remembered of a span until the rest of its trace has come; `billing.traces` writes it.

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
