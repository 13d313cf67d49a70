"""The ledger, prices, budgets with their alerts, and the rollups that every page reads."""

from billing.models.alerts import AlertDelivery, AlertSettings, BudgetAlert
from billing.models.basis import BASIS_COLUMNS
from billing.models.budgets import BillingSetting, BudgetChange, BudgetReservation
from billing.models.calls import CallId, CallReport
from billing.models.intake import IntakeCount
from billing.models.ledger import (
    CostSource,
    CreditTransaction,
    LedgerIsAppendOnly,
    LedgerQuerySet,
    corrections,
    reversals,
)
from billing.models.lookalikes import Lookalike, LookalikeDecision
from billing.models.prices import MAX_RATE, PriceOverride
from billing.models.rollups import (
    INT64_SAFE,
    DailyAgentSpend,
    DailySpend,
    MonthlyCredits,
    MonthlySpend,
    MonthTotal,
    PricedWithout,
    RunSpend,
    UnpricedUsage,
)
from billing.models.spans import TraceSpan

__all__ = [
    "BASIS_COLUMNS",
    "INT64_SAFE",
    "MAX_RATE",
    "AlertDelivery",
    "AlertSettings",
    "BillingSetting",
    "BudgetAlert",
    "BudgetChange",
    "BudgetReservation",
    "CallId",
    "CallReport",
    "CostSource",
    "CreditTransaction",
    "DailyAgentSpend",
    "DailySpend",
    "IntakeCount",
    "LedgerIsAppendOnly",
    "LedgerQuerySet",
    "Lookalike",
    "LookalikeDecision",
    "MonthTotal",
    "MonthlyCredits",
    "MonthlySpend",
    "PriceOverride",
    "PricedWithout",
    "RunSpend",
    "TraceSpan",
    "UnpricedUsage",
    "corrections",
    "reversals",
]
