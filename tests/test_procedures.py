"""The procedures: documented inputs and outputs, and the same figures as the pages."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from aicost import queries
from aicost.api.procedures import PROCEDURES
from billing.budgets import limits as budget_limits
from billing.budgets.forecast import Forecast, NotYet
from billing.models import BudgetChange
from billing.money import dollars
from products import tokens
from products.colors import LIGHT
from products.models import Project
from tests.calls import OK, Json, Result, call
from tests.conftest import NOW
from tests.factories import ProjectFactory, event, send, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

Call = Callable[..., Result]
FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)

BUDGET = {"budgetLimit": (float, None), "budgetPct": (float, None), "budgetState": (str, None)}
STANDING = {
    "allowed": bool,
    "budgetLimit": float,
    "spent": float,
    "reserved": float,
    "remaining": float,
    "state": str,
}
# The documented fields and types; `[x]` is a list of x.
FIELDS: dict[str, Any] = {
    "getMonthlySummary": {
        "totalCost": float,
        "totalTokens": int,
        "totalJobs": int,
        "agentBreakdown": [
            {
                "agentType": str,
                "totalJobs": int,
                "cost": float,
                "pctOfTotal": float,
                "inputTokens": int,
                "outputTokens": int,
                "successRate": float,
            }
        ],
        "topRuns": [
            {
                "runId": str,
                "status": str,
                "trigger": str,
                "startedAt": str,
                "jobCount": int,
                "totalTokens": int,
                "cost": float,
            }
        ],
        **BUDGET,
    },
    "getMonthlyTrend": [{"month": str, "cost": float, "totalTokens": int, "jobCount": int}],
    "getCrossProjectSummary": {
        "totalCost": float,
        "totalTokens": int,
        "totalJobs": int,
        "projects": [
            {"projectId": str, "name": str, "cost": float, "totalTokens": int, "jobCount": int, **BUDGET}
        ],
    },
    "setBudgetLimit": {"projectId": str, **BUDGET},
    "clearBudgetLimit": {"projectId": str, **BUDGET},
    "checkBudget": STANDING,
    "reserveBudget": {**STANDING, "reservationId": str, "expiresAt": str},
    "getRecentTransactions": [
        {
            "id": str,
            "runId": str,
            "jobId": str,
            "agentType": str,
            "agentLabel": str,
            "agentColor": str,
            "inputTokens": int,
            "outputTokens": int,
            "cost": float,
            "createdAt": str,
        }
    ],
    "getDailySpend": [{"date": str, "cost": float, "tokens": int, "jobs": int}],
}
# Further fields. Outputs may gain some, but not by accident.
GAINED = {
    "getMonthlySummary": {
        *("month", "unpricedTransactions", "unpricedModels", "pricedWithout"),
        *("waste", "forecast"),
    },
    "getMonthlySummary.agentBreakdown": {"agentLabel", "agentColor", "waste"},
    "getCrossProjectSummary.projects": {"forecast"},
    "getRecentTransactions": {"model", "unpriced"},
}
OF_A_MONTH = {
    "getMonthlySummary": {},
    "getMonthlyTrend": {},
    "getRecentTransactions": {},
    "getDailySpend": {"days": 7},
}
ARGUMENTS = {
    **OF_A_MONTH,
    "setBudgetLimit": {"limitDollars": 40},
    "clearBudgetLimit": {},
    "checkBudget": {},
    "reserveBudget": {"estimateDollars": 0.5},
}
"""Required input apart from `projectId`; `getCrossProjectSummary` takes none."""


@pytest.fixture(params=["trpc", "jsonrpc"])
def ask(request: pytest.FixtureRequest, owner: Any) -> Call:
    """Calls a procedure as the owner, with a token: a session would expire when a test moves the clock."""
    client = Client(headers={"Authorization": f"Bearer {tokens.issue(owner, scope='write')[1]}"})

    def asked(name: str, given: Any = None) -> Result:
        return call(client, request.param, f"aiCost.{name}", given)

    return asked


@pytest.fixture
def data(ask: Call, busy: Project) -> Callable[..., Any]:
    """The data of a successful call on the busy product."""

    def answered(name: str, **given: Any) -> Any:
        result = ask(name, {"projectId": str(busy.pk), **given})
        assert result.code == OK, result
        return result.data

    return answered


@pytest.fixture
def busy(project: Project, owner: Any) -> Project:
    """Forty days of three agent types, with a refund, unpriced usage, purchases and a limit."""
    send(project, *_busy_events())
    budget_limits.set_limit(project, Decimal("700"), by=owner)
    project.refresh_from_db()
    return project


def _busy_events() -> Iterator[Any]:
    for day in range(60):
        at = (NOW - timedelta(days=day, minutes=5, microseconds=day)).isoformat()
        result = {"occurredAt": at, "runId": f"run-{day}", "jobId": "job", "trigger": "push"}
        result |= {"agentType": ("testing", "research", "security")[day % 3]}
        result |= {"jobStatus": "failed" if day % 7 == 0 else "succeeded", "costDollars": f"{1 + day}.37"}
        yield event(**result, inputTokens=1000, cacheReadTokens=10, outputTokens=day)
    yield event(runId="run-0", jobId="odd", costDollars=None, model="no-such-model", inputTokens=5)
    yield event(kind="refund", runId="run-3", jobId="job", costDollars="0.5")
    yield event(kind="purchase", costDollars="500")


# ---- Documented fields


def test_the_procedures_are_exactly_the_documented_ones() -> None:
    kinds = {name.removeprefix("aiCost."): one.kind for name, one in PROCEDURES.items()}
    assert kinds.keys() == FIELDS.keys()
    assert {name for name, kind in kinds.items() if kind == "mutation"} == {
        "setBudgetLimit",
        "clearBudgetLimit",
        "reserveBudget",
    }


@pytest.mark.parametrize("name", FIELDS)
def test_outputs_have_the_documented_fields_and_types(ask: Call, busy: Project, name: str) -> None:
    result = ask(name, {"projectId": str(busy.pk), **ARGUMENTS.get(name, {})})
    assert result.code == OK, result
    assert_shape(result.data, FIELDS[name], name)


def assert_shape(value: Any, promised: Any, where: str) -> None:
    if isinstance(promised, list):
        assert isinstance(value, list), where
        assert value, where
        for item in value:
            assert_shape(item, promised[0], where)
    elif isinstance(promised, dict):
        assert value.keys() == promised.keys() | GAINED.get(where, set()), where
        for name, type_ in promised.items():
            assert_shape(value[name], type_, f"{where}.{name}")
    else:
        types = promised if isinstance(promised, tuple) else (promised,)
        assert (None if value is None else type(value)) in types, (where, value)


def test_every_procedure_is_documented() -> None:
    for procedure in PROCEDURES.values():
        assert procedure.help, procedure.name


# ---- The same figures as the pages


def waste(of: Any) -> dict[str, Any]:
    return {
        "failedCost": dollars(of.failed_cost),
        "cancelledCost": dollars(of.cancelled_cost),
        "wastedPct": (of.failed_cost + of.cancelled_cost) * 100 / of.cost if of.cost > 0 else 0,
        "costPerJob": round(of.cost / of.jobs) / 10**9 if of.jobs else None,
        "costPerSucceededJob": round(of.cost / of.succeeded_jobs) / 10**9 if of.succeeded_jobs else None,
    }


@pytest.mark.parametrize("month", [None, MARCH, FEBRUARY])
def test_the_summary_equals_that_of_the_pages(
    data: Callable[..., Any], busy: Project, month: date | None
) -> None:
    result = data("getMonthlySummary", **as_input(month))
    summary = queries.month_summary(busy, month)
    assert summary.cost > 0
    assert result == {
        "month": f"{summary.month:%Y-%m}",
        "totalCost": dollars(summary.cost),
        "totalTokens": summary.tokens,
        "totalJobs": summary.jobs,
        "unpricedTransactions": summary.unpriced,
        "pricedWithout": [],
        "unpricedModels": [
            {
                "model": one.model,
                "transactions": one.transactions,
                "inputTokens": one.input_tokens,
                "outputTokens": one.output_tokens,
            }
            for one in queries.unpriced_models(busy, month)
        ],
        "waste": waste(summary),
        "agentBreakdown": [
            {
                "agentType": agent.agent_type,
                "agentLabel": agent.label,
                "agentColor": LIGHT[agent.color],
                "totalJobs": agent.jobs,
                "cost": dollars(agent.cost),
                "pctOfTotal": agent.cost * 100 / summary.cost,
                "inputTokens": agent.input_tokens,
                "outputTokens": agent.output_tokens,
                "successRate": agent.success_rate,
                "waste": waste(agent),
            }
            for agent in summary.agents
        ],
        "topRuns": [
            {
                "runId": run.run_id,
                "status": run.status,
                "trigger": run.trigger,
                "startedAt": as_utc(run.started_at),
                "jobCount": run.job_count,
                "totalTokens": run.tokens,
                "cost": dollars(run.cost),
            }
            for run in queries.top_runs(busy, month)
        ],
        **as_budget(summary.budget),
        "forecast": as_forecast(busy, summary),
    }


def as_forecast(project: Project, summary: queries.MonthSummary) -> dict[str, Any] | None:
    if summary.month != MARCH:
        return None
    found = queries.budget_forecast(project, summary)
    return {
        **as_outlook(found.outlook),
        "runningJobs": found.running.jobs,
        "runningExposure": dollars(found.running.exposure or 0),
    }


def as_outlook(ahead: Forecast | NotYet) -> dict[str, Any]:
    assert isinstance(ahead, Forecast)
    day = ahead.limit_passed_on
    return {
        "monthEnd": dollars(ahead.month_end),
        "low": dollars(ahead.low),
        "high": dollars(ahead.high),
        "limitPassedOn": day.isoformat() if day else None,
    }


def as_input(month: date | None) -> dict[str, str]:
    return {"month": f"{month:%Y-%m}"} if month else {}


def as_budget(budget: Any) -> dict[str, Any]:
    if budget is None:
        return {"budgetLimit": None, "budgetPct": None, "budgetState": None}
    limit = dollars(budget.limit_nanos)
    return {"budgetLimit": limit, "budgetPct": budget.percent, "budgetState": budget.state}


def as_utc(at: Any) -> str:
    text = f"{at:%Y-%m-%dT%H:%M:%S}"
    return f"{text}.{at.microsecond:06}Z" if at.microsecond else f"{text}Z"


@pytest.mark.parametrize("month", [None, FEBRUARY])
def test_the_trend_equals_that_of_the_pages(
    data: Callable[..., Any], busy: Project, month: date | None
) -> None:
    result = data("getMonthlyTrend", **as_input(month))
    assert result == [
        {
            "month": f"{one.start:%Y-%m}",
            "cost": dollars(one.cost),
            "totalTokens": one.tokens,
            "jobCount": one.jobs,
        }
        for one in queries.monthly_trend(busy, month)
    ]
    last = month or MARCH
    assert len(result) == 6
    assert result[-1]["month"] == f"{last:%Y-%m}"
    assert [one["month"] for one in result] == sorted(one["month"] for one in result)


@pytest.mark.parametrize("month", [None, FEBRUARY])
@pytest.mark.parametrize("days", [7, 14, 30, 90])
def test_the_daily_figures_equal_those_of_the_chart(
    data: Callable[..., Any], busy: Project, days: int, month: date | None
) -> None:
    result = data("getDailySpend", days=days, **as_input(month))
    assert result == [
        {"date": day.start.isoformat(), "cost": dollars(day.cost), "tokens": day.tokens, "jobs": day.jobs}
        for day in queries.daily_spend(busy, days, month)
    ]
    assert len(result) == days
    assert result[-1]["date"] == ("2026-02-28" if month else "2026-03-17")


def test_a_daily_range_of_the_current_month_ends_today(data: Callable[..., Any]) -> None:
    assert data("getDailySpend", days=7, month="2026-03") == data("getDailySpend", days=7)


@pytest.mark.parametrize("month", [None, FEBRUARY])
def test_the_transactions_equal_those_of_the_page(
    data: Callable[..., Any], busy: Project, month: date | None
) -> None:
    result = data("getRecentTransactions", **as_input(month))
    assert result == [
        {
            "id": one.event_id,
            "runId": one.run_id,
            "jobId": one.job_id,
            "agentType": one.agent_type,
            "agentLabel": one.label,
            "agentColor": LIGHT[one.color],
            "model": one.model,
            "inputTokens": one.input_tokens,
            "outputTokens": one.output_tokens,
            "cost": dollars(one.cost),
            "unpriced": one.unpriced,
            "createdAt": as_utc(one.occurred_at),
        }
        for one in queries.recent(busy, month)
    ]


def test_recent_transactions_are_the_fifty_newest_deductions_ordered_by_time_and_id(
    ask: Call, project: Project
) -> None:
    at = NOW.isoformat()
    send(project, *(event(eventId=f"e-{number:02}", occurredAt=at) for number in reversed(range(60))))
    send(
        project,
        event(kind="refund"),
        event(eventId="newest", occurredAt=(NOW + timedelta(seconds=1)).isoformat()),
    )
    result = ask("getRecentTransactions", {"projectId": str(project.pk)}).data
    assert [one["id"] for one in result] == ["newest", *(f"e-{number:02}" for number in range(49))]


def test_recent_transactions_of_a_month_end_with_it_in_the_billing_zone(ask: Call, owner: Any) -> None:
    tokyo = ProjectFactory(owner=owner, time_zone="Asia/Tokyo")
    usage(tokyo, eventId="before", occurredAt="2026-02-28T14:59:59.999999Z")
    usage(tokyo, eventId="after", occurredAt="2026-02-28T15:00:00Z")
    result = ask("getRecentTransactions", {"projectId": str(tokyo.pk), "month": "2026-02"}).data
    assert [one["id"] for one in result] == ["before"]


def test_top_runs_are_the_five_costliest(data: Callable[..., Any]) -> None:
    costs = [run["cost"] for run in data("getMonthlySummary")["topRuns"]]
    assert len(costs) == 5
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == 17.37


def test_agents_are_ordered_by_cost(data: Callable[..., Any]) -> None:
    agents = data("getMonthlySummary")["agentBreakdown"]
    assert [agent["cost"] for agent in agents] == sorted((agent["cost"] for agent in agents), reverse=True)


def test_a_run_without_a_reported_start_starts_with_its_first_event(ask: Call, project: Project) -> None:
    usage(project, occurredAt="2026-03-02T10:00:00+02:00")
    [run] = ask("getMonthlySummary", {"projectId": str(project.pk)}).data["topRuns"]
    assert run["startedAt"] == "2026-03-02T08:00:00Z"
    assert run["trigger"] == "api"


def test_an_empty_product_has_zeros(ask: Call, project: Project) -> None:
    result = ask("getMonthlySummary", {"projectId": str(project.pk)}).data
    assert (result["totalCost"], result["totalTokens"], result["totalJobs"]) == (0, 0, 0)
    assert (result["agentBreakdown"], result["topRuns"], result["budgetState"]) == ([], [], None)
    days = ask("getDailySpend", {"projectId": str(project.pk), "days": 30}).data
    assert {day["cost"] for day in days} == {0}
    assert ask("getRecentTransactions", {"projectId": str(project.pk)}).data == []


# ---- Months


BAD_MONTHS = (
    *("", " ", "2026", "2026-3", "2026-13", "2026-00", "2026-03-01", "26-03", "2026/03", "2026-03\n"),
    *(" 2026-03", "٢٠٢٦-٠٣", "2026-04", "2027-01", "9999-12", "1999-12", "0001-01", "0000-01", "x" * 10_000),
    *("\0", "\ud800", None, True, 202603, 2026.03, [], ["2026-03"], {}, {"month": "2026-03"}),
)


@pytest.mark.parametrize("name", OF_A_MONTH)
def test_an_invalid_month_is_refused(ask: Call, project: Project, name: str) -> None:
    for month in BAD_MONTHS:
        result = ask(name, {"projectId": str(project.pk), **OF_A_MONTH[name], "month": month})
        assert result.code == "BAD_REQUEST", (month, result)
        assert result.message.startswith("month: "), (month, result)


@pytest.mark.parametrize("name", OF_A_MONTH)
def test_months_from_2000_to_the_current_one_are_valid(data: Callable[..., Any], name: str) -> None:
    without = data(name, **OF_A_MONTH[name])
    assert data(name, **OF_A_MONTH[name], month="2026-03") == without
    assert data(name, **OF_A_MONTH[name], month="2000-01") != without


def test_the_current_month_is_that_of_the_billing_zone(ask: Call, owner: Any, clock: Any) -> None:
    clock.move_to("2026-03-31T12:00:00Z")
    ahead = ProjectFactory(owner=owner, time_zone="Pacific/Kiritimati")
    behind = ProjectFactory(owner=owner, time_zone="UTC")
    given = {"month": "2026-04"}
    assert ask("getMonthlySummary", {"projectId": str(ahead.pk), **given}).code == OK
    assert ask("getMonthlySummary", {"projectId": str(ahead.pk)}).data["month"] == "2026-04"
    assert ask("getMonthlySummary", {"projectId": str(behind.pk), **given}).message.startswith("month: ")


# ---- Budgets


def test_a_past_month_has_the_limit_in_force_at_its_end(
    ask: Call, project: Project, owner: Any, clock: Any
) -> None:
    given = {"projectId": str(project.pk)}
    clock.move_to("2026-01-31T23:59:59Z")
    ask("setBudgetLimit", {**given, "limitDollars": 10})
    clock.move_to("2026-03-01T00:00:00Z")
    ask("setBudgetLimit", {**given, "limitDollars": 30})
    limits = {
        month: ask("getMonthlySummary", {**given, "month": month}).data["budgetLimit"]
        for month in ("2025-12", "2026-01", "2026-02", "2026-03")
    }
    assert limits == {"2025-12": None, "2026-01": 10, "2026-02": 10, "2026-03": 30}


@pytest.mark.parametrize(
    ("cost", "percent", "state"),
    [
        ("0", 0, "green"),
        ("7.999999999", 79.99999999, "green"),
        ("8", 80, "yellow"),
        ("9.999999999", 99.99999999, "yellow"),
        ("10", 100, "red"),
        ("25", 250, "red"),
    ],
)
def test_every_budget_has_its_state(
    ask: Call, project: Project, cost: str, percent: float, state: str
) -> None:
    usage(project, costDollars=cost)
    expected = {"budgetLimit": 10, "budgetPct": percent, "budgetState": state}
    given = {"projectId": str(project.pk)}
    result = ask("setBudgetLimit", {**given, "limitDollars": 10}).data
    assert result == {**given, **expected}
    assert ask("getMonthlySummary", given).data.items() >= expected.items()
    assert ask("getCrossProjectSummary").data["projects"][0].items() >= expected.items()


def test_a_cleared_limit_is_null(ask: Call, busy: Project) -> None:
    given = {"projectId": str(busy.pk)}
    nulls = {"budgetLimit": None, "budgetPct": None, "budgetState": None}
    assert ask("clearBudgetLimit", given).data == {**given, **nulls}
    assert ask("getMonthlySummary", given).data.items() >= nulls.items()
    assert ask("clearBudgetLimit", given).code == OK, "clearing twice is clearing"


@pytest.mark.parametrize(
    "limit", [0.01, 1, 250, 99.5, 0.29, 1234567.89, 1_000_000_000, Json("1e3"), Json("5.10")]
)
def test_a_limit_is_stored_exactly_with_the_user_who_set_it(
    ask: Call, project: Project, owner: Any, limit: Any
) -> None:
    value = limit if isinstance(limit, Json) else Json(repr(limit))
    result = ask("setBudgetLimit", Json(f'{{"projectId": "{project.pk}", "limitDollars": {value}}}'))
    assert result.data["budgetLimit"] == float(value)
    change = BudgetChange.objects.get(project=project)
    assert change.new_limit_nanos == Decimal(value) * 10**9
    assert change.changed_by == owner


@pytest.mark.parametrize("name", ["setBudgetLimit", "clearBudgetLimit"])
def test_the_history_names_the_member_who_changed_a_limit(project: Project, manager: Any, name: str) -> None:
    budget_limits.set_limit(project, Decimal(7), by=project.owner)
    client = Client(headers={"Authorization": f"Bearer {tokens.issue(manager, scope='write')[1]}"})
    call(client, "trpc", f"aiCost.{name}", {"projectId": str(project.pk), **ARGUMENTS[name]})
    assert BudgetChange.objects.latest("pk").changed_by == manager


BAD_LIMITS = (
    *(
        "0",
        "-0.0",
        "-1",
        "-0.01",
        "NaN",
        '"NaN"',
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "0.001",
        "1.005",
    ),
    *("true", "false", '"10"', '""', "1" + "0" * 15, "1000000000.01", "1000000001", "9" * 400, "9" * 5000),
    *("1e-400", "5e-324", "1e-3", "null", "[]", "[10]", "{}", '{"dollars": 10}'),
)
NO_JSON = ("NaN", "Infinity", "-Infinity", "9" * 5000)
"""Not JSON, or a number that Python can't parse: the whole input is refused."""


@pytest.mark.parametrize("limit", BAD_LIMITS)
def test_an_invalid_limit_is_refused_and_not_stored(ask: Call, project: Project, limit: str) -> None:
    result = ask("setBudgetLimit", Json(f'{{"projectId": "{project.pk}", "limitDollars": {limit}}}'))
    if limit in NO_JSON:
        assert result.code in ("BAD_REQUEST", "PARSE_ERROR")
        assert "JSON is malformed" in result.message or "digits" in result.message
    else:
        assert result.code == "BAD_REQUEST", result
        assert result.message.startswith("limitDollars: "), result
    assert not BudgetChange.objects.exists()
    assert budget_limits.limits_now([project]) == {}


# ---- All products of a user


def test_the_cross_project_summary_is_the_portfolio_of_owned_products(
    ask: Call, busy: Project, owner: Any, other_project: Project
) -> None:
    usage(other_project)
    archived = ProjectFactory(owner=owner, name="Gone")
    usage(archived)
    Project.objects.filter(pk=archived.pk).update(archived_at=NOW)
    cheap, dear, dear_too = (ProjectFactory(owner=owner, name=name) for name in ("C", "B", "A"))
    usage(dear, costDollars="5000")
    usage(dear_too, costDollars="5000")
    result = ask("getCrossProjectSummary").data
    assert [one["name"] for one in result["projects"]] == ["A", "B", "Lighthouse", "C"]
    portfolio = queries.portfolio([busy, cheap, dear, dear_too])
    assert result == {
        "totalCost": dollars(portfolio.cost),
        "totalTokens": portfolio.tokens,
        "totalJobs": portfolio.jobs,
        "projects": [
            {
                "projectId": str(one.project.pk),
                "name": one.project.name,
                "cost": dollars(one.cost),
                "totalTokens": one.tokens,
                "jobCount": one.jobs,
                **as_budget(one.budget),
                "forecast": as_outlook(one.outlook) if one.project == busy else None,
            }
            for one in portfolio.projects
        ],
    }


@pytest.mark.parametrize("given", [{}, {"month": "nonsense"}, {"projectId": 7, "x": None}, []])
def test_the_cross_project_summary_ignores_input(ask: Call, busy: Project, given: Any) -> None:
    assert ask("getCrossProjectSummary", given) == ask("getCrossProjectSummary")


def test_each_product_is_summed_over_its_own_month(ask: Call, owner: Any, clock: Any) -> None:
    clock.move_to("2026-03-31T12:00:00Z")
    for zone in ("Pacific/Kiritimati", "UTC"):
        usage(ProjectFactory(owner=owner, name=zone, time_zone=zone), occurredAt="2026-03-31T09:00:00Z")
    costs = {one["name"]: one["cost"] for one in ask("getCrossProjectSummary").data["projects"]}
    assert costs == {"Pacific/Kiritimati": 0, "UTC": 1}


# ---- Inputs


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_unknown_field_is_named_in_the_refusal(ask: Call, project: Project, name: str) -> None:
    for field in ("limit", "Month", "project_id", "__proto__", "x\ny", "\0"):
        result = ask(name, {"projectId": str(project.pk), **ARGUMENTS[name], field: 1})
        assert result.code == "BAD_REQUEST"
        assert result.message.startswith(f"{printable(field)}: is not a field"), result
    assert not BudgetChange.objects.exists()


def printable(field: str) -> str:
    return {"x\ny": "x\\ny", "\0": "\\x00"}.get(field, field)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_project_id_must_be_text(ask: Call, project: Project, name: str) -> None:
    for wrong in (project.pk, None, True, [str(project.pk)], {"id": 1}, 1.5):
        result = ask(name, {"projectId": wrong, **ARGUMENTS[name]})
        assert result.code == "BAD_REQUEST", (wrong, result)
        assert result.message.startswith("projectId: ")
    result = ask(name, ARGUMENTS[name])
    assert (result.code, result.message) == ("BAD_REQUEST", "projectId: Field required")


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_missing_or_malformed_project_id_is_not_found(ask: Call, project: Project, name: str) -> None:
    for odd in (
        "0",
        "-1",
        f"0{project.pk}",
        f" {project.pk}",
        "",
        "abc",
        "9" * 100_000,
        "1\0",
        "١",
        "\ud800",
    ):
        assert ask(name, {"projectId": odd, **ARGUMENTS[name]}).code == "NOT_FOUND", odd


@pytest.mark.parametrize("days", [0, 8, -7, 7.5, 365, "7", None, True, [], 10**30])
def test_days_must_be_one_of_four_numbers(ask: Call, project: Project, days: Any) -> None:
    result = ask("getDailySpend", {"projectId": str(project.pk), "days": days})
    assert result.code == "BAD_REQUEST"
    assert result.message.startswith("days: ")


def test_days_are_required(ask: Call, project: Project) -> None:
    result = ask("getDailySpend", {"projectId": str(project.pk)})
    assert (result.code, result.message) == ("BAD_REQUEST", "days: Field required")


@pytest.mark.parametrize("field", ["limitDollars"])
def test_a_limit_is_required(ask: Call, project: Project, field: str) -> None:
    result = ask("setBudgetLimit", {"projectId": str(project.pk)})
    assert (result.code, result.message) == ("BAD_REQUEST", f"{field}: Field required")


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_input_that_is_not_an_object_is_refused(owner: Any, name: str) -> None:
    client = Client()
    client.force_login(owner)
    for odd in (Json("null"), 7, "x", [], True):
        result = call(client, "trpc", f"aiCost.{name}", odd)
        assert result.code == "BAD_REQUEST"
        assert result.message.startswith("input: ")
