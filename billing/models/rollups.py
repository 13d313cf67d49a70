"""The sums that every page reads. `billing.rollups.definitions` defines what each must hold."""

from typing import Any

from django.db import models
from django.db.models import Q

from products.db.fields import CodePointCharField
from products.models import AgentType, PipelineRun, Project

INT64_SAFE = 9_000_000_000_000_000_000
"""No sum may leave this range: on 64-bit overflow SQLite would continue in floating point."""


def _sum_field(**kwargs: Any) -> models.BigIntegerField:
    return models.BigIntegerField(default=0, **kwargs)


def _in_range(*fields: str, name: str) -> models.CheckConstraint:
    condition = Q()
    for field in fields:
        condition &= Q(**{f"{field}__gte": -INT64_SAFE, f"{field}__lte": INT64_SAFE})
    return models.CheckConstraint(condition=condition, name=name)


class Spend(models.Model):
    """Sums of deductions less refunds. Tokens are those of deductions; input includes cached tokens."""

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
    unpriced = _sum_field(help_text="Deductions whose cost is unknown.")
    succeeded_jobs = _sum_field()
    failed_jobs = _sum_field()
    cancelled_jobs = _sum_field()
    failed_cost_nanos = _sum_field(help_text="The part of the cost that was spent on failed jobs.")
    cancelled_cost_nanos = _sum_field(help_text="The part of the cost that was spent on cancelled jobs.")

    class Meta(Spend.Meta):
        constraints = [
            _in_range("cost_nanos", "input_tokens", "output_tokens", name="monthly_spend_range"),
            _in_range("failed_cost_nanos", "cancelled_cost_nanos", name="monthly_waste_range"),
        ]


class MonthTotal(Spend):
    """By month, for trends of many projects. `jobs` counts those that finished in the month."""

    pk = models.CompositePrimaryKey("project", "month")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.DateField(help_text="Its first day.")
    jobs = _sum_field()

    class Meta(Spend.Meta):
        constraints = [_in_range("cost_nanos", "input_tokens", "output_tokens", name="month_total_range")]


class DailySpend(Spend):
    """By day. `jobs` counts those that finished on the day."""

    pk = models.CompositePrimaryKey("project", "day")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    day = models.DateField()
    jobs = _sum_field()

    class Meta(Spend.Meta):
        constraints = [_in_range("cost_nanos", "input_tokens", "output_tokens", name="daily_spend_range")]


class DailyAgentSpend(Spend):
    """By day and agent type, to compare parts of months. `jobs` counts those that finished on the day."""

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
    """By month and pipeline run. The key serves a run's page, the index the list of the costliest runs."""

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
    """Deductions whose cost is unknown, by month and model: what the figures lack."""

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


class PricedWithout(models.Model):
    """Deductions whose cost lacks a price factor, by month, model and factor: where the figures are off."""

    pk = models.CompositePrimaryKey("project", "month", "model", "priced_without")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.DateField(help_text="Its first day.")
    model = CodePointCharField(max_length=200, blank=True)
    priced_without = CodePointCharField(max_length=500)
    transactions = _sum_field()

    class Meta:
        default_permissions = ()
        verbose_name = "priced without"


class MonthlyCredits(models.Model):
    """Purchases and grants by month."""

    pk = models.CompositePrimaryKey("project", "month")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.DateField(help_text="Its first day.")
    purchased_nanos = _sum_field()
    granted_nanos = _sum_field()
    transactions = _sum_field(help_text="Purchases and grants.")

    class Meta:
        default_permissions = ()
        constraints = [_in_range("purchased_nanos", "granted_nanos", name="monthly_credits_range")]
