"""Real usage, imported and asked for, equals the answers that were computed independently.

The data are not part of the product; where they are absent these tests say so.
"""

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from aicost import queries
from billing import verification
from billing.events.parsing import read
from billing.json_decoding import decode
from billing.models import CreditTransaction, DailySpend, RunSpend
from billing.money import dollars
from billing.sources.files import LogFile
from products.models import AgentJob, PipelineRun
from tests.factories import ProjectFactory
from tests.prices import listed_nanos

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"{DATA.parent.name}/{DATA.name} beside the project is missing: it is not distributed")
    return DATA


def expected(data: Path, name: str) -> Any:
    return json.loads((data / "expected" / f"{name}.json").read_text())


def imported(path: Path) -> Any:
    project = ProjectFactory()
    out = io.StringIO()
    call_command("import_usage", str(path), project=project.pk, stdout=out)
    assert not list(verification.differences(project))
    return project


def same_cost(dollars: Any) -> Any:
    """Equal to within half a micro-dollar, the precision of the expected answers."""
    return pytest.approx(dollars, abs=0.5000001e-6, rel=0)


def costs(figures: dict[str, dict[str, Any]]) -> Any:
    return same_cost({key: one["cost_usd"] for key, one in figures.items()})


def tokens(figures: dict[str, dict[str, Any]]) -> dict[str, tuple[int, int]]:
    return {key: (one["input_tokens"], one["output_tokens"]) for key, one in figures.items()}


def check_totals(project: Any, summary: queries.MonthSummary, answer: dict[str, Any]) -> None:
    totals = answer["totals"]
    assert dollars(summary.cost) == same_cost(totals["cost_usd"])
    assert (summary.input_tokens, summary.output_tokens) == (totals["input_tokens"], totals["output_tokens"])
    assert CreditTransaction.objects.filter(project=project).count() == totals["transactions"]
    assert AgentJob.objects.filter(project=project).count() == totals["jobs"]


def check_days(project: Any, expected_days: dict[str, Any]) -> None:
    rows = DailySpend.objects.filter(project=project, transactions__gt=0)
    assert {row.day.isoformat(): dollars(row.cost_nanos) for row in rows} == costs(expected_days)
    found = {row.day.isoformat(): (row.input_tokens, row.output_tokens) for row in rows}
    assert found == tokens(expected_days)


def check_top_runs(project: Any, month: date, runs: list[dict[str, Any]]) -> None:
    top = queries.top_runs(project, month)
    assert [run.run_id for run in top] == [run["run"] for run in runs]
    assert [dollars(run.cost) for run in top] == same_cost([run["cost_usd"] for run in runs])
    assert [run.job_count for run in top] == [run["jobs"] for run in runs]
    assert [run.started_at for run in top] == [datetime.fromisoformat(run["started_at"]) for run in runs]
    recorded = dict(RunSpend.objects.filter(project=project).values_list("run__run_id", "transactions"))
    assert [recorded[run["run"]] for run in runs] == [run["transactions"] for run in runs]


def test_mini_swe_agent(db, data):
    answer = expected(data, "mini_swe_agent")
    project = imported(data / "usage_events" / "mini_swe_agent.jsonl.gz")
    month = date(2025, 11, 1)
    summary = queries.month_summary(project, month)
    check_totals(project, summary, answer)
    assert summary.jobs == answer["totals"]["jobs"]
    check_days(project, answer["per_day_utc"])
    jobs = DailySpend.objects.filter(project=project).values_list("day", "jobs")
    assert {day.isoformat(): number for day, number in jobs} == {
        day: one["jobs"] for day, one in answer["per_day_utc"].items()
    }
    every_run = [run for one in answer["per_project"].values() for run in one["top5_runs"]]
    check_top_runs(project, month, sorted(every_run, key=lambda run: -run["cost_usd"])[:5])


def test_claude_code(db, data):
    answer = expected(data, "claude_code_entireio-cli_2026-01")
    project = imported(data / "claude_code")
    month = date(2026, 1, 1)
    summary = queries.month_summary(project, month)
    check_totals(project, summary, answer)
    assert PipelineRun.objects.filter(project=project).count() == answer["totals"]["runs"]
    finished = {name: one["status"].get("completed", 0) for name, one in answer["per_agent_type"].items()}
    assert summary.jobs == sum(finished.values())
    check_days(project, answer["per_day_utc"])
    shown = {
        name: one for name, one in answer["per_agent_type"].items() if one["transactions"] or finished[name]
    }
    assert {agent.agent_type: dollars(agent.cost) for agent in summary.agents} == costs(shown)
    by_type = {agent.agent_type: (agent.input_tokens, agent.output_tokens) for agent in summary.agents}
    assert by_type == tokens(shown)
    assert {agent.agent_type: agent.jobs for agent in summary.agents} == {
        name: finished[name] for name in shown
    }
    check_top_runs(project, month, answer["top5_runs"])


def charged_calls(data: Path) -> Iterator[Any]:
    """The calls whose own charge is known: 5 runs have only a total, which their last call states."""
    file = LogFile(data / "usage_events" / "mini_swe_agent.jsonl.gz")
    events = [read(decode(line), now=datetime.now(UTC), credits_per_dollar=100) for _, line in file.lines()]
    without = {event.run_id for event in events if event.stated_nanos == 0 and event.tokens.total}
    return (event for event in events if event.run_id not in without)


def computed(event: Any) -> int:
    return listed_nanos(event.model, event.tokens, event.occurred_at) or 0


def test_computed_gemini_prices_reproduce_every_real_charge(data):
    charged = list(charged_calls(data))
    assert len(charged) == 7_884
    off = [
        event.event_id
        for event in charged
        if abs((listed_nanos(event.model, event.tokens, event.occurred_at) or 0) - event.stated_nanos) > 1_000
    ]
    assert off == []
