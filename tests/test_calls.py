"""A model call that several senders report is booked once, as its reports say together."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from msgspec import structs

from aicost import queries
from aicost.queries import runs
from aicost.queries.transactions import with_other_senders
from billing import ledger, verification
from billing.alerts import crossings
from billing.budgets import limits
from billing.events.usage_event import Tokens
from billing.ledger import corrections, reservations
from billing.ledger.calls.adjustments import sent_id
from billing.ledger.calls.batch import Nested
from billing.ledger.calls.families import family, known_family
from billing.ledger.calls.groups import MOST_SHARING
from billing.ledger.calls.identity import Place, Report, agree
from billing.ledger.responses import running_totals
from billing.models import BudgetAlert, CallReport, CreditTransaction
from billing.prices.price_list import Price
from billing.rollups import rebuilding
from products.models import AgentJob, Project
from tests.conftest import NOW
from tests.damage import guards_lifted, sql
from tests.factories import event, send
from tests.stored import stored

pytestmark = pytest.mark.usefixtures("clock")

MODEL = "claude-sonnet-4-5-20250929"


def reported(
    event_id: str, *ids: str, sender: str = "", gateway: str = "", trace: bool = False, **given: Any
) -> Any:
    """A report of a call of 100 tokens in and 20 out."""
    defaults = {
        "eventId": event_id,
        "inputTokens": 100,
        "outputTokens": 20,
        "model": MODEL,
        "callIds": list(ids),
    }
    usage = event(**{**defaults, "costDollars": None, **given})
    return structs.replace(usage, sender=sender, gateway_id=gateway, run_is_trace=trace)


def booked(project: Project) -> dict[str, tuple[str, str, int, int]]:
    """Run, job, tokens and cost (millionths of a dollar) of each standing deduction, by the id sent."""
    ledger_ = stored(project)["ledger"]
    return {
        event_id: (run, job, sum(counts[:3]) + counts[4], nanos // 1000)
        for event_id, (kind, _, run, job, _, *counts, nanos, _, _) in ledger_.items()
        if kind == "deduction"
    }


def sums(project: Project) -> tuple[int, int, int]:
    """Cost in millionths of a dollar, tokens and jobs of the month."""
    month = queries.month_summary(project)
    return month.cost // 1000, month.tokens, month.jobs


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def in_every_order(project: Project, *reports: Any) -> Any:
    """The state after any order of the reports, one by one, which must be the same."""
    states = []
    for order in permutations(reports):
        sent = Project.objects.create(name="one order", owner=project.owner)
        for report in order:
            send(sent, report)
            with verification.snapshot():
                assert list(verification.differences(sent)) == []
        states.append(stored(sent))
    together = Project.objects.create(name="one batch", owner=project.owner)
    send(together, *reports)
    states.append(stored(together))
    assert all(state == states[0] for state in states)
    return booked(together)


# Which reports are of one call


def test_reports_that_share_an_id_are_of_one_call(project):
    log = reported("log", "req-1", "msg-1", runId="session", jobId="main", sender="claude_code")
    span = reported("span", "req-1", runId="trace", jobId="trace:1", sender="otlp x", trace=True)
    gateway = reported("gw", "msg-1", "call-1", gateway="call-1", runId="gw-run", costDollars="0.25")
    assert in_every_order(project, log, span, gateway) == {"gw": ("gw-run", "gw", 120, 250_000)}


def test_a_report_that_knows_both_ids_joins_two_that_share_none(project):
    a, b = reported("a", "x", jobId="j"), reported("b", "y", jobId="j", inputTokens=110)
    both = reported("c", "x", "y", jobId="j")
    assert in_every_order(project, a, b, both) == {"b": ("run-1", "j", 130, 630)}


def test_ids_are_compared_exactly(project):
    send(project, reported("a", "req-1"), reported("b", "Req-1"), reported("c", "req-1 "))
    assert len(booked(project)) == 3


def test_another_project_is_another_world(project, other_project):
    send(project, reported("a", "req-1"))
    send(other_project, reported("b", "req-1"))
    assert len(booked(project)) == len(booked(other_project)) == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"model": "claude-opus-4-5"}, id="another model"),
        pytest.param({"inputTokens": 90, "outputTokens": 30}, id="one total larger, the other smaller"),
        pytest.param({"occurredAt": (NOW - timedelta(hours=2)).isoformat()}, id="hours apart"),
        pytest.param({"gateway": "gw-2"}, id="another call of the gateway"),
        pytest.param(
            {"sender": "log", "occurredAt": (NOW - timedelta(seconds=5)).isoformat()},
            id="the same sender at another instant",
        ),
    ],
)
def test_an_id_that_is_used_again_is_another_call(project, other):
    first = reported("a", "req-1", "gw-1", sender="log", gateway="gw-1")
    second = reported("b", "req-1", **{"sender": "log", "gateway": "", **other})
    assert len(in_every_order(project, first, second)) == 2


@pytest.mark.parametrize(
    "spelling",
    [
        "claude-sonnet-4-5",
        "anthropic/claude-sonnet-4.5",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "vertex_ai/claude-sonnet-4-5@20250929",
        "claude-sonnet-4-5[1m]",
        "Claude-Sonnet-4-5-latest",
    ],
)
def test_a_model_is_the_same_however_it_is_spelled(spelling):
    assert family(spelling) == family(MODEL) == "claude-sonnet-4-5"


@pytest.mark.parametrize("other", ["claude-sonnet-4", "claude-sonnet-4-5-fast", "claude-opus-4-5", "gpt-5"])
def test_models_whose_names_only_begin_alike_are_different(other):
    assert family(other) != family(MODEL)


def test_an_unknown_model_contradicts_none():
    def report(model: str) -> Report:
        return Report(
            event_id="e", place=Place("r", "j"), occurred_at=NOW, model=model, family=known_family(model),
            tokens=Tokens(), nanos=0, cost_source="computed",
        )  # fmt: skip

    for unknown in ("", "my-deployment", "prod-chat"):
        assert agree(report(unknown), report(MODEL))
    assert not agree(report("gpt-5"), report(MODEL))


# Which report stands


def test_a_stated_cost_stands_over_a_computed_one(project):
    stated, computed = reported("z", "id", costDollars="0.5", jobId="j"), reported("a", "id", jobId="j")
    assert in_every_order(project, stated, computed) == {"z": ("run-1", "j", 120, 500_000)}


def test_more_known_parts_stand_over_fewer(project):
    whole = reported("a", "id", jobId="j")
    parts = reported("z", "id", jobId="j", inputTokens=40, cacheReadTokens=60)
    assert in_every_order(project, whole, parts) == {"z": ("run-1", "j", 120, 438)}


def test_a_larger_copy_stands_over_a_smaller_one(project):
    copies = [reported(f"copy-{output}", "id", jobId="j", outputTokens=output) for output in (1, 9, 20)]
    assert in_every_order(project, *copies) == {"copy-20": ("run-1", "j", 120, 600)}


def test_of_equal_reports_that_with_the_lesser_event_id_stands(project):
    equal = [reported(name, "id", jobId="j") for name in ("b", "ab", "a")]
    assert in_every_order(project, *equal) == {"a": ("run-1", "j", 120, 600)}


# Where a call is booked


def test_a_named_agent_is_more_than_other(project):
    unnamed = reported("a", "id", runId="r1", jobId="j1", agentType="other")
    named = reported("z", "id", runId="r2", jobId="j2", agentType="testing")
    assert in_every_order(project, unnamed, named) == {"a": ("r2", "j2", 120, 600)}


def test_a_session_is_more_than_a_trace(project):
    trace, session = reported("a", "id", runId="t", trace=True), reported("z", "id", runId="s")
    assert in_every_order(project, trace, session) == {"a": ("s", "z", 120, 600)}


def test_an_agent_that_is_named_later_moves_the_call(project):
    first = reported("a", "id", runId="r1", jobId="j1")
    second = reported("b", "id", runId="r2", jobId="j2")
    name = event(kind="job", runId="r2", jobId="j2", agentType="testing")
    assert in_every_order(project, first, second, name) == {"a": ("r2", "j2", 120, 600)}
    assert in_every_order(project, first, name, second)


def test_a_job_whose_calls_are_all_booked_elsewhere_counts_nowhere(project):
    send(project, reported("span", "id", runId="trace", jobId="j", trace=True))
    assert sums(project) == (600, 120, 1)
    assert send(project, reported("log", "id", runId="session", jobId="main")) == ["recorded"]
    assert sums(project) == (600, 120, 1)
    assert [run.run_id for run in runs.run_page(project).runs] == ["session"]
    assert runs.run_detail(project, "trace").jobs == []
    assert AgentJob.objects.get(job_id="j").finished_on is None
    send(project, reported("more", runId="trace", jobId="j"))
    assert sums(project) == (1200, 240, 2)
    assert {run.run_id for run in runs.run_page(project).runs} == {"session", "trace"}


def test_a_call_moves_between_months(project):
    late = reported("a", "id", occurredAt="2026-03-01T00:00:01Z", jobId="j")
    early = reported("b", "id", occurredAt="2026-02-28T23:59:58Z", jobId="j", costDollars="2")
    in_every_order(project, late, early)
    send(project, late)
    assert sums(project)[0] == 600
    send(project, early)
    assert sums(project)[:2] == (0, 0)


# The ledger


def test_the_ledger_takes_a_line_back_by_a_line_of_its_own(project):
    send(project, reported("a", "id", jobId="j"))
    send(project, reported("b", "id", jobId="j", costDollars="2"))
    a, b, reversal = (CreditTransaction.objects.get(event_id=name) for name in ("a", "b", "a+reversed"))
    assert (reversal.kind, reversal.adjusts, b.adjusts) == ("reversal", a, a)
    assert (reversal.amount_nanos, reversal.input_tokens, reversal.output_tokens) == (600_000, 100, 20)
    assert (reversal.occurred_at, reversal.billed_on, reversal.job) == (a.occurred_at, a.billed_on, a.job)


def test_a_report_that_changes_nothing_is_a_duplicate_and_its_id_is_taken(project):
    send(project, reported("a", "id", costDollars="1"))
    assert send(project, reported("b", "id")) == ["duplicate"]
    assert send(project, reported("b", "id")) == ["duplicate"]
    assert send(project, reported("b", "id", outputTokens=21)) == ["conflict"]
    assert send(project, reported("b", outputTokens=21)) == ["conflict"]
    assert CreditTransaction.objects.count() == 1


def test_a_duplicate_may_name_its_call_later(project):
    send(project, reported("a", runId="r1"), reported("b", runId="r2"))
    assert send(project, reported("a", "id", runId="r1")) == ["duplicate"]
    assert len(booked(project)) == 2
    assert send(project, reported("b", "id", runId="r2")) == ["recorded"]
    assert booked(project) == {"a": ("r1", "a", 120, 600)}


def test_an_id_of_a_line_that_the_ledger_adds_may_be_taken(project):
    send(project, reported("a+reversed"), reported("a", "id"))
    send(project, reported("b+moved1"), reported("b", "id", costDollars="1"))
    send(project, reported("c", "id", agentType="testing", runId="r2"))
    with verification.snapshot():
        assert list(verification.differences(project)) == []
    assert {row.event_id: row.run_id for row in queries.recent(project)} == {
        "a+reversed": "run-1",
        "b+moved1": "run-1",
        "b": "r2",
    }


def test_an_id_that_looks_moved_in_the_middle_is_shown_as_it_was_sent(project):
    send(project, reported("a", "id"))
    send(project, reported("b+moved1c", "id", costDollars="1"))
    assert [row.event_id for row in queries.recent(project)] == ["b+moved1c"]


def test_refunds_stay_where_they_are(project):
    send(project, reported("a", "id", runId="r1", jobId="j1"))
    send(project, event(kind="refund", runId="r1", jobId="j1", costDollars="0.0001"))
    send(project, reported("b", "id", runId="r2", jobId="j2", agentType="testing"))
    assert sums(project)[:2] == (500, 120)


def test_a_cost_that_was_added_later_moves_with_its_call(project):
    unpriced = {"model": "no-such-model"}
    send(project, reported("a", "id", runId="r1", **unpriced))
    list(corrections.add_missing_costs(project, lambda deduction: Price(5_000_000)))
    assert sums(project)[:2] == (5000, 120)
    send(project, reported("b", "id", runId="r2", agentType="testing", **unpriced))
    assert sums(project)[:2] == (5000, 120)
    assert list(corrections.add_missing_costs(project, lambda deduction: Price(1))) == []
    send(project, reported("c", "id", runId="r2", costDollars="1", **unpriced))
    assert sums(project)[:2] == (1_000_000, 120)
    assert queries.month_summary(project).unpriced == 0


def test_recent_runs_shows_a_call_once_under_the_id_it_was_sent_with(project):
    send(project, reported("a", "id", runId="r1"))
    send(project, reported("b", "id", runId="r2", agentType="testing"))
    assert [(row.event_id, row.run_id) for row in queries.recent(project)] == [("a", "r2")]


def test_a_runs_page_says_who_else_reported_a_call(project):
    send(project, reported("a", "id", runId="r1", sender="claude_code"))
    send(project, reported("b", "id", runId="r1", sender="otlp openinference"))
    page = client_of(project.owner).get(f"/dashboard/products/{project.pk}/pipelines/r1/").content.decode()
    assert "also reported by <bdi>openinference</bdi>" in page


def test_an_export_of_the_ledger_adds_up_to_the_month(project):
    send(project, reported("a", "id", runId="r1"))
    send(project, reported("b", "id", runId="r2", costDollars="2"))
    response: Any = client_of(project.owner).get(reverse("export-ledger", args=[project.pk]))
    lines = b"".join(response.streaming_content)
    *rows, total = [line.split(",") for line in lines.decode().splitlines()[1:]]
    assert {row[1] for row in rows} == {"deduction", "reversal"}
    assert total[-1] == "2"
    assert [int(total[n]) for n in (8, 12)] == [100, 20]
    assert sum(int(row[8]) for row in rows) == 100


# Growing responses


def test_a_grown_copy_of_a_named_call_replaces_the_smaller_one(project):
    for output, status in ((5, "recorded"), (20, "recorded"), (9, "duplicate"), (20, "duplicate")):
        copy = reported("msg:req", "req", outputTokens=output, sender="claude_code")
        assert [outcome.status for outcome in running_totals.record(project, [copy])] == [status]
    assert booked(project) == {"msg:req+120": ("run-1", "msg:req", 120, 600)}
    running_totals.record(project, [reported("msg:req", "req", outputTokens=30, sender="claude_code")])
    assert sums(project) == (750, 130, 1)


def test_growth_recorded_before_calls_had_ids_is_part_of_the_call(project):
    for output in (5, 20):
        running_totals.record(project, [reported("msg:req", outputTokens=output)])
    assert len(booked(project)) == 2
    again = reported("msg:req", "req", outputTokens=20, sender="claude_code")
    running_totals.record(project, [again])
    assert sums(project) == (600, 120, 1)
    assert send(project, reported("gw", "req", costDollars="0.5")) == ["recorded"]
    assert sums(project) == (500_000, 120, 1)
    assert running_totals.record(project, [again])[0].status == "duplicate"
    with verification.snapshot():
        assert list(verification.differences(project)) == []


# What earlier versions recorded


def test_a_deduction_that_was_recorded_under_another_id_is_a_duplicate(project):
    send(project, reported("resp", jobId="j", costDollars="0.5"))
    again = structs.replace(
        reported("resp@call", "resp", jobId="j", costDollars="0.5"), earlier_ids=("resp",)
    )
    assert send(project, again) == send(project, again) == ["duplicate"]
    assert booked(project) == {"resp": ("run-1", "j", 120, 500_000)}


def test_an_earlier_record_of_another_call_is_another_call(project):
    send(project, reported("resp", jobId="j", occurredAt=(NOW - timedelta(days=1)).isoformat()))
    again = structs.replace(reported("resp@call", "resp", jobId="j"), earlier_ids=("resp",))
    assert send(project, again) == ["recorded"]
    assert len(booked(project)) == 2


def test_a_job_stays_with_the_run_that_it_was_recorded_under(project):
    send(project, reported("a", runId="thread", jobId="thread"))
    moved = [
        structs.replace(reported("a", "id", runId="session", jobId="thread"), earlier_run_id="thread"),
        structs.replace(reported("b", "id2", runId="session", jobId="thread"), earlier_run_id="thread"),
        structs.replace(
            event(kind="job", runId="session", jobId="thread", jobStatus="succeeded"), earlier_run_id="thread"
        ),
    ]
    assert send(project, *moved) == ["duplicate", "recorded", "recorded"]
    assert {run for run, *_ in booked(project).values()} == {"thread"}
    assert sums(project) == (1200, 240, 1)


# Parts


def test_a_stated_cost_that_includes_a_part_is_split_with_the_parts_report(project):
    log = reported("log", "id", sender="log")
    advice = structs.replace(
        reported("log+advisor1", "id", sender="log", model="gpt-5", outputTokens=900, jobId="log"),
        part="advisor1",
    )
    whole = structs.replace(
        reported("event", "id", costDollars="0.5", sender="event"), covers_parts="advisor"
    )
    found = in_every_order(project, log, advice, whole)
    assert {event_id: nanos for event_id, (*_, nanos) in found.items()} == {
        "event": 500_000 - 9_125,
        "log+advisor1": 9_125,
    }
    assert send(project, whole, advice, log, whole) == ["recorded", "recorded", "duplicate", "duplicate"]


def test_a_stated_cost_does_not_include_parts_of_other_kinds(project):
    part = structs.replace(reported("log+compaction1", "id", outputTokens=900), part="compaction1")
    whole = structs.replace(reported("event", "id", costDollars="0.5"), covers_parts="advisor")
    assert sum(nanos for *_, nanos in in_every_order(project, part, whole).values()) == 500_000 + 13_800


def test_a_computed_cost_includes_no_part(project):
    part = structs.replace(reported("part", "id", costDollars="0.5"), part="advisor1")
    whole = structs.replace(reported("event", "id"), covers_parts="advisor")
    assert sum(nanos for *_, nanos in in_every_order(project, part, whole).values()) == 500_000 + 600


@pytest.mark.parametrize("priced_first", [True, False])
def test_a_stated_cost_includes_a_part_that_is_priced_later(project, priced_first):
    part = structs.replace(reported("part", "id", model="no-such"), part="advisor1")
    whole = structs.replace(reported("whole", "id", costDollars="0.5"), covers_parts="advisor")
    send(project, part)
    if not priced_first:
        send(project, whole)
    decisions = list(corrections.add_missing_costs(project, lambda _: Price(9_000_000)))
    assert [decision.nanos for decision in decisions] == [9_000_000]
    send(project, whole)
    assert {event_id: nanos for event_id, (*_, nanos) in booked(project).items()} == {
        "part": 9_000,
        "whole": 500_000 - 9_000,
    }
    assert not list(corrections.add_missing_costs(project, lambda _: Price(9_000_000)))
    with verification.snapshot():
        assert list(verification.differences(project)) == []


# Reports that contradict each other, linked by others


def at(seconds: float) -> dict[str, str]:
    return {"occurredAt": (NOW - timedelta(hours=1) + timedelta(seconds=seconds)).isoformat()}


def test_a_third_report_does_not_make_two_calls_of_a_gateway_one(project):
    calls = [
        reported("a", "same", gateway="1", costDollars="0.01", **at(0)),
        reported("b", "same", gateway="2", costDollars="0", **at(60)),
    ]
    spans = [
        reported("c", "same", sender="otlp", runId="trace", trace=True, agentType="coder", **at(2)),
        reported("d", "same", sender="otlp", runId="trace", trace=True, agentType="coder", **at(62)),
    ]
    for some in ([spans[0]], [spans[1]]):
        found = in_every_order(project, *calls, *some)
        assert {event_id: nanos for event_id, (*_, nanos) in found.items()} == {"a": 10_000, "b": 0}
    send(project, *spans, *calls)
    assert {event_id: nanos for event_id, (*_, nanos) in booked(project).items()} == {"a": 10_000, "b": 0}


def test_of_two_calls_under_one_id_the_one_with_equal_totals_gets_the_report(project):
    spans = [
        reported("a", "same", sender="otlp", **at(1)),
        reported("b", "same", sender="otlp", inputTokens=900, **at(10)),
    ]
    log = reported("z", "same", sender="log", runId="session", agentType="coder", **at(9))
    found = in_every_order(project, *spans, log)
    assert found == {"a": ("session", "z", 120, 600), "b": ("run-1", "b", 920, 3_000)}


def test_a_cost_that_was_added_later_returns_with_its_call(project):
    attempt = span("try1", start=1, end=4, model="no-such")
    send(project, attempt)
    list(corrections.add_missing_costs(project, lambda _: Price(7_000_000)))
    ledger.record(project, [span("a", start=0, end=10, model="no-such")], nested=[Nested("a", "try1")])
    assert set(booked(project)) == {"a"}
    ledger.record(project, [span("b", start=5, end=9, model="no-such")], nested=[Nested("a", "b")])
    costs = {event_id: nanos for event_id, (*_, nanos) in booked(project).items()}
    assert costs == {"a": 0, "try1": 0, "try1+priced": 7_000}
    with verification.snapshot():
        assert list(verification.differences(project)) == []


def test_a_report_of_linked_calls_names_only_those_who_reported_the_same_call(project):
    for gateway, second in (("1", 0), ("2", 60)):
        send(project, reported(gateway, "same", gateway=gateway, sender=f"gateway {gateway}", **at(second)))
    send(project, reported("c", "same", sender="log", inputTokens=90, **at(61)))
    project.refresh_from_db()
    recent = with_other_senders(project, queries.recent(project))
    assert {row.event_id: row.other_senders for row in recent} == {"1": (), "2": ("log",)}


def test_an_alias_of_a_gateway_is_the_model_that_answered(project):
    client = reported("client", "same", model="prod-chat", sender="otlp")
    payload = reported("payload", "same", gateway="1", model="gpt-4o", costDollars="0.01", sender="litellm")
    assert set(in_every_order(project, client, payload)) == {"payload"}


def test_an_id_that_too_many_share_links_no_further_reports(project):
    some = [reported(f"e{n:03}", "constant", sender="otlp", **at(n)) for n in range(3 * MOST_SHARING)]
    logs = [reported(f"l{n:03}", "constant", sender="log", **at(n)) for n in range(3 * MOST_SHARING)]
    send(project, *some)
    assert len(booked(project)) == len(some)
    send(project, *logs[:60])
    for log in logs[60:65]:
        send(project, log)
    assert len(booked(project)) == len(some) + 65
    with verification.snapshot():
        assert list(verification.differences(project)) == []


def test_reports_that_an_earlier_version_took_for_one_call_are_split_at_the_next(project):
    send(project, *(reported(n, "same", gateway=n, costDollars="1", **at(int(n))) for n in "12"))
    send(project, reported("c", "same", sender="otlp", **at(2)))
    with guards_lifted():
        sql("UPDATE billing_callreport SET call_pk = group_pk")
        sql("UPDATE billing_callreport SET line = '', booked_on_id = NULL WHERE event_id = '2'")
        sql("UPDATE billing_callreport SET times_booked = 0 WHERE event_id = '2'")
        sql("DELETE FROM billing_credittransaction WHERE event_id = '2'")
    assert set(booked(project)) == {"1"}
    send(project, reported("d", "same", sender="other", **at(2)))
    assert {sent_id(event_id) for event_id in booked(project)} == {"1", "2"}


# Nested spans


def span(event_id: str, *, start: float, end: float, sender: str = "sdk", **given: Any) -> Any:
    usage = reported(event_id, event_id, sender=sender, runId="t", trace=True, **at(end), **given)
    return structs.replace(usage, call_started_at=usage.occurred_at - timedelta(seconds=end - start))


def nested_in_every_order(project: Project, pairs: list[Nested], *spans: Any) -> set[str]:
    """What is booked when spans come in any order, each with the pairs that are known by then."""
    found = []
    for order in permutations(spans):
        sent = Project.objects.create(name="one order", owner=project.owner)
        for number, span in enumerate(order, 1):
            known = {usage.event_id for usage in order[:number]}
            ledger.record(
                sent,
                [span],
                nested=[p for p in pairs if span.event_id in p and known >= {p.outer, p.inner}],
            )
        with verification.snapshot():
            assert list(verification.differences(sent)) == []
        found.append(set(booked(sent)))
    assert all(one == found[0] for one in found)
    return found[0]


@pytest.mark.parametrize("wrapper", ["sdk", "framework"])
def test_attempts_within_a_wrapper_are_calls_of_their_own(project, wrapper):
    outer = span("outer", start=0, end=10, sender=wrapper)
    attempts = [span("try1", start=1, end=4), span("try2", start=5, end=9)]
    pairs = [Nested("outer", "try1"), Nested("outer", "try2")]
    assert nested_in_every_order(project, pairs, outer, *attempts) == {"outer", "try1"}


def test_spans_of_one_sender_within_each_other_are_one_call(project):
    spans = [span("a", start=0, end=10), span("b", start=1, end=9), span("c", start=2, end=8)]
    pairs = [Nested("a", "b"), Nested("a", "c"), Nested("b", "c")]
    assert nested_in_every_order(project, pairs, *spans) == {"a"}


def test_a_nested_span_of_another_model_is_another_call(project):
    outer = span("outer", start=0, end=10, model="gpt-4o")
    inner = span("inner", start=1, end=9)
    assert nested_in_every_order(project, [Nested("outer", "inner")], outer, inner) == {"outer", "inner"}


@pytest.mark.parametrize(
    "names", [("my-deployment", "gpt-4o-2024-08-06"), ("claude-opus-4-0", "claude-opus-4-20250514")]
)
def test_a_nested_span_that_knows_the_models_true_name_is_the_same_call(project, names):
    """A deployment's name says nothing of its model."""
    outer = span("outer", start=0, end=10, sender="framework", model=names[0])
    inner = span("inner", start=1, end=9, model=names[1])
    assert len(nested_in_every_order(project, [Nested("outer", "inner")], outer, inner)) == 1


def test_parallel_attempts_within_a_wrapper_are_calls_of_their_own(project):
    outer = span("outer", start=0, end=10, sender="framework")
    attempts = [span("try1", start=1, end=8), span("try2", start=2, end=9)]
    pairs = [Nested("outer", "try1"), Nested("outer", "try2")]
    assert len(nested_in_every_order(project, pairs, outer, *attempts)) == 2


def test_nested_calls_are_one_on_the_outer_ones_job(project):
    outer = reported("outer", runId="t", jobId="turn", trace=True)
    inner = reported("inner", runId="t", jobId="outer", trace=True, inputTokens=40, cacheReadTokens=60)
    for events in ([outer, inner], [inner, outer]):
        sent = Project.objects.create(name="one order", owner=project.owner)
        send(sent, events[0])
        ledger.record(sent, [events[1]], nested=[Nested("outer", "inner")])
        assert booked(sent) == {"inner": ("t", "turn", 120, 438)}
        assert sums(sent) == (438, 120, 1)


# Verification


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE billing_callreport SET line = '' WHERE event_id = 'b'", "0 transactions book it"),
        ("UPDATE billing_callreport SET line = 'a' WHERE event_id = 'a'", "2 transactions book it"),
        ("UPDATE billing_callreport SET amount_nanos = 7 WHERE event_id = 'b'", "are booked instead of 7"),
        ("UPDATE billing_callreport SET model = 'gpt-5' WHERE event_id = 'b'", "says something else"),
        ("UPDATE billing_callreport SET run_is_trace = NOT run_is_trace, cost_source = 'unpriced' "
         "WHERE event_id = 'b'", "stands"),
        ("UPDATE billing_callreport SET group_pk = id", "0 transactions book it"),
        ("UPDATE billing_callreport SET call_pk = id", "stored as those of other calls"),
        ("UPDATE billing_credittransaction SET output_tokens = 21 WHERE kind = 'reversal'", "take back"),
        ("DELETE FROM billing_credittransaction WHERE event_id = 'b'", "missing or reversed"),
        ("UPDATE products_agentjob SET has_call_report = 'f' WHERE job_id = 'a'", "has_call_report"),
    ],
)  # fmt: skip
def test_verification_names_a_wrong_call(project, statement, words):
    send(project, reported("a", "id"))
    send(project, reported("b", "id", costDollars="2"))
    with guards_lifted():
        assert sql(statement.replace("'f'", "FALSE"))
        found = list(verification.differences(project))
    assert any(words in line for line in found), found


def test_verification_finds_two_calls_that_are_one(project):
    send(project, reported("a", "id"), reported("b", "other"))
    with guards_lifted():
        sql("UPDATE billing_callid SET call_id = 'id'")
        found = list(verification.differences(project))
    assert any("share an id" in line for line in found), found


def test_reports_are_stored_once(project):
    for _ in range(3):
        send(project, reported("a", "id", "id2"), reported("b", "id"))
    assert CallReport.objects.count() == 2


# What else reads the ledger


def test_rebuilt_rollups_are_those_that_adjustments_left(project):
    send(project, reported("a", "id", runId="r1"), reported("b", "other", model="no-such-model"))
    send(project, reported("c", "id", runId="r2", jobId="j", agentType="testing", costDollars="2"))
    before = stored(project)
    rebuilding.rebuild(project)
    assert stored(project) == before


def test_an_adjustment_that_passes_the_limit_alerts(project):
    limits.set_limit(project, Decimal(1), by=project.owner)
    send(project, reported("a", "id"))
    crossings.evaluate(project)
    assert not BudgetAlert.objects.exists()
    send(project, reported("b", "id", costDollars="2"))
    crossings.evaluate(project)
    assert BudgetAlert.objects.filter(project=project, threshold=100).count() == 1


def test_a_call_that_is_booked_elsewhere_is_no_waste_of_its_first_job(project):
    send(project, reported("a", "id", runId="r1", jobStatus="failed"))
    assert sum(agent.wasted for agent in queries.month_summary(project).agents) == 600_000
    send(project, reported("b", "id", runId="r2", agentType="testing", jobStatus="succeeded"))
    assert sum(agent.wasted for agent in queries.month_summary(project).agents) == 0


def test_a_report_that_changes_nothing_still_ends_its_reservation(project):
    reservations.hold(project, "res-1", 10**9, by=project.owner)
    send(project, reported("a", "id", costDollars="1"))
    assert send(project, reported("b", "id", reservationId="res-1")) == ["duplicate"]
    assert reservations.held(project).count == 0


# Found by trying


def test_an_event_that_names_its_call_only_the_second_time_is_recorded_once(project):
    plain, named = reported("a"), reported("a", "id")
    other = reported("b", "other")
    assert send(project, plain, named, other) == ["recorded", "duplicate", "recorded"]
    assert sums(project)[1:] == (240, 2)
    assert send(project, named, plain) == ["duplicate", "duplicate"]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("gpt-4", "gpt-4-0613"),
        ("gemini-2.0-flash", "gemini-2.0-flash-001"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("openai:gpt-4o", "gpt-4o"),
        ("moonshotai.kimi-k2-thinking", "kimi-k2-thinking"),
        ("qwen.qwen3-32b-v1:0", "qwen3-32b"),
    ],
)
def test_versions_and_providers_make_no_other_family(a, b):
    assert family(a) == family(b)


def test_a_prefix_is_no_family():
    assert family("anthropic:claude-opus-4-5") != family("anthropic:claude-haiku-4-5")
