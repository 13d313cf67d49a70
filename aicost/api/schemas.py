"""The inputs and outputs of the procedures. Validation, documentation and TypeScript types come from here."""

import unicodedata
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from billing.budgets.limits import MAX_LIMIT_DOLLARS
from billing.events.usage_event import ID_LENGTH, MAX_DOLLARS

Month = Annotated[str, Field(description="`YYYY-MM`; the current month if left out.")]
ProjectId = Annotated[str, Field(description="The product's id.")]
Instant = Annotated[str, Field(description="ISO 8601 in UTC, with `Z`.")]
Dollars = Annotated[float, Field(description="Dollars.")]
BudgetState = Literal["green", "yellow", "red"]


class Input(BaseModel):
    """Strict: values are not converted between text and numbers, and unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OfProject(Input):
    projectId: ProjectId


class OfMonth(OfProject):
    month: Month = ""


class OfDays(OfProject):
    days: Literal[7, 14, 30, 90]
    month: Month = ""


def _two_decimals(dollars: float) -> float:
    # `repr` gives the shortest decimal form, which is what the sender wrote.
    exponent = Decimal(repr(dollars)).normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -2:
        raise ValueError("must have at most two decimals")
    return dollars


class NewLimit(OfProject):
    limitDollars: Annotated[
        float,
        Field(gt=0, le=MAX_LIMIT_DOLLARS, allow_inf_nan=False, description="Dollars, at most two decimals."),
        AfterValidator(_two_decimals),
    ]


NANO_DOLLAR = 1e-9


def _without_control_characters(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("must not contain control characters")
    return text


class Estimated(OfProject):
    estimateDollars: Annotated[
        float, Field(ge=0, le=MAX_DOLLARS, allow_inf_nan=False, description="The estimated cost in dollars.")
    ] = 0


class ToReserve(OfProject):
    estimateDollars: Annotated[
        float,
        Field(ge=NANO_DOLLAR, le=MAX_DOLLARS, allow_inf_nan=False, description="The dollars to reserve."),
    ]
    reservationId: Annotated[
        str,
        Field(
            min_length=1,
            max_length=ID_LENGTH,
            description="An id of your own, which makes retries safe; generated if left out.",
        ),
        AfterValidator(_without_control_characters),
    ] = ""


class Output(BaseModel):
    model_config = ConfigDict(frozen=True)


class Waste(Output):
    """Spend on failed and cancelled jobs, and what a job costs with it."""

    failedCost: Annotated[float, Field(description="Dollars spent on failed jobs.")]
    cancelledCost: Annotated[float, Field(description="Dollars spent on cancelled jobs.")]
    wastedPct: Annotated[float, Field(description="Percent of the cost spent on failed and cancelled jobs.")]
    costPerJob: Annotated[float | None, Field(description="Dollars per finished job; null if there is none.")]
    costPerSucceededJob: Annotated[
        float | None, Field(description="Dollars per succeeded job; null if there is none.")
    ]


class AgentTypeFigures(Output):
    agentType: str
    agentLabel: str
    agentColor: str
    totalJobs: int
    cost: Dollars
    pctOfTotal: Annotated[float, Field(description="Percent of the month's cost.")]
    inputTokens: int
    outputTokens: int
    successRate: Annotated[float, Field(description="0 to 1; 0 if no job has finished.")]
    waste: Waste


class RunFigures(Output):
    runId: str
    status: str
    trigger: str
    startedAt: Instant | None
    jobCount: int
    totalTokens: int
    cost: Dollars


class UnpricedModel(Output):
    model: Annotated[str, Field(description="The model as reported; empty if none was.")]
    transactions: int
    inputTokens: int
    outputTokens: int


class PricedWithout(Output):
    model: str
    factors: Annotated[
        str, Field(description="What was reported and is not in the cost, such as `serviceTier=priority`.")
    ]
    transactions: int


class Outlook(Output):
    monthEnd: Annotated[float, Field(description="Forecast spend at the end of the month, in dollars.")]
    low: Annotated[float, Field(description="Dollars. Eight of ten months end between `low` and `high`.")]
    high: Dollars
    limitPassedOn: Annotated[
        str | None, Field(description="`YYYY-MM-DD`: the day on which the limit was or will be reached.")
    ]


class Forecast(Outlook):
    runningJobs: Annotated[int, Field(description="Running jobs with an event in the last 24 hours.")]
    runningExposure: Annotated[
        float | None, Field(description="What these jobs usually cost in total, in dollars.")
    ]


class MonthlySummary(Output):
    month: str
    totalCost: Dollars
    totalTokens: int
    totalJobs: int
    unpricedTransactions: Annotated[int, Field(description="Deductions whose cost is unknown.")]
    unpricedModels: list[UnpricedModel]
    pricedWithout: Annotated[
        list[PricedWithout],
        Field(description="Models whose cost lacks a reported factor, because its price is not known."),
    ]
    waste: Waste
    agentBreakdown: list[AgentTypeFigures]
    topRuns: list[RunFigures]
    budgetLimit: Dollars | None
    budgetPct: float | None
    budgetState: BudgetState | None
    forecast: Annotated[
        Forecast | None, Field(description="Only for the current month, and only after 3 days with spend.")
    ]


class MonthFigures(Output):
    month: str
    cost: Dollars
    totalTokens: int
    jobCount: int


class ProjectFigures(Output):
    projectId: str
    name: str
    cost: Dollars
    totalTokens: int
    jobCount: int
    budgetLimit: Dollars | None
    budgetPct: float | None
    budgetState: BudgetState | None
    forecast: Annotated[Outlook | None, Field(description="Null until there are 3 days with spend.")]


class CrossProjectSummary(Output):
    totalCost: Dollars
    totalTokens: int
    totalJobs: int
    projects: list[ProjectFigures]


class BudgetFigures(Output):
    projectId: str
    budgetLimit: Dollars | None
    budgetPct: float | None
    budgetState: BudgetState | None


class BudgetAnswer(Output):
    allowed: bool
    budgetLimit: Dollars | None
    spent: Annotated[float, Field(description="Dollars, this month.")]
    reserved: Annotated[float, Field(description="Dollars held by reservations.")]
    remaining: Annotated[
        float | None,
        Field(description="Dollars: the limit minus `spent`. Includes what is `reserved`."),
    ]
    state: BudgetState | None


class ReservationAnswer(BudgetAnswer):
    reservationId: Annotated[str | None, Field(description="Send it with the usage; null if not allowed.")]
    expiresAt: Instant | None


class Transaction(Output):
    id: str
    runId: str
    jobId: str
    agentType: str
    agentLabel: str
    agentColor: Annotated[str, Field(description="`#rrggbb`, for light backgrounds.")]
    model: str
    inputTokens: int
    outputTokens: int
    cost: Dollars
    unpriced: bool
    createdAt: Instant


class DayFigures(Output):
    date: str
    cost: Dollars
    tokens: int
    jobs: int
