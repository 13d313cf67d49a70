"""A gateway's records whose ids come again: the same report, another report of the call, or another call."""

import itertools
import json
from typing import Any

import pytest
from msgspec.structs import replace

from billing import ledger, verification
from billing.events.usage_event import UsageEvent
from billing.imports.importer import import_paths
from billing.ledger import gateway_records
from billing.models import CallReport, CreditTransaction
from products.models import AgentJob, Project
from tests.factories import event as usage_event
from tests.test_litellm import event, payload

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

CALL = "4d1a6c1e-0c7b-4b6e-9b57-5f0a4a7b8a01"
START = 1772359200.123


def call(output: int = 30, *, prompt: int = 100, seconds: float = 0, **more: Any) -> UsageEvent:
    """A record of one id; a cost of a thousandth of a dollar for each token of output."""
    told = {
        "litellm_call_id": CALL,
        "startTime": START + seconds,
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "response_cost": output / 1000,
    }
    return event(payload(**{**told, **more}))


def failure(**more: Any) -> UsageEvent:
    return call(0, prompt=0, status="failure", **more)


def statuses(project: Any, *events: UsageEvent) -> list[str]:
    return [outcome.status for outcome in gateway_records.record(project, events)]


def figures(project: Any) -> tuple[Any, ...]:
    """Tokens and nano-dollars of each call that used any, and the jobs."""
    with verification.snapshot():
        assert list(verification.differences(project)) == []
    lines = CreditTransaction.objects.deductions().filter(project=project)
    calls = lines.values_list("occurred_at", "input_tokens", "output_tokens", "amount_nanos")
    jobs = AgentJob.objects.filter(project=project).values_list("job_id", "status")
    return sorted(row for row in calls if sum(row[1:])), sorted(jobs)


def spent(project: Any) -> tuple[int, int]:
    """Tokens of all output, and nano-dollars."""
    calls, _ = figures(project)
    return sum(row[2] for row in calls), sum(row[3] for row in calls)


SETS = {
    "a failure, then a success": ([failure(), call(30)], 30),
    "a failure and a success whose cost is not stated": ([failure(), call(30, response_cost=None)], 30),
    "a success at another instant": ([failure(), call(30, seconds=9)], 30),
    "a stream whose counts grow": ([call(5), call(20), call(30)], 30),
    "another instant": ([call(30), call(30, seconds=30), call(50, seconds=60)], 110),
    "another instant, and a stream there": ([call(30), call(5, seconds=30), call(50, seconds=30)], 80),
    "counts that can't have grown": ([call(30), call(200, prompt=50)], 230),
    "no id of the gateway": (
        [call(n, seconds=n, litellm_call_id=None) for n in (30, 40)] + [call(50, litellm_call_id=None)],
        120,
    ),
    "no id at all": ([call(n, id="None", seconds=n, litellm_call_id=None) for n in (30, 40)], 70),
    "an id of the gateway alone": ([call(30, id=""), call(40, id=""), failure(id="", seconds=3)], 40),
    "a cost that is stated later": ([call(30, response_cost=None), call(30)], 30),
    "a cost that is stated later, of a stream": (
        [call(5, response_cost=None), call(30, response_cost=None), call(30)],
        30,
    ),
    "a cost that is stated later, at another instant": (
        [call(30), call(40, seconds=9, response_cost=None), call(40, seconds=9)],
        70,
    ),
    "a cost that is stated later, without an id of the gateway": (
        [call(30, litellm_call_id=None, response_cost=None), call(30, litellm_call_id=None)],
        30,
    ),
    "a cost that is stated later, without any id": (
        [call(30, id="", response_cost=None), call(30, id="")],
        30,
    ),
    "a failed call that costs nothing": ([failure(response_cost=None), failure(), call(30)], 30),
    "a model with its provider": ([call(30), call(30, model="openai/gpt-4o-mini")], 30),
    "a model with its provider, and a cost that is stated later": (
        [call(30, response_cost=None), call(30, model="openai/gpt-4o-mini")],
        30,
    ),
    "a model with its provider, of which one name has a price": (
        [
            call(30, response_cost=None, model="reseller/gpt-4o-mini"),
            call(30, response_cost=None),
        ],
        30,
    ),
    "an id that is too long": ([call(n, id="r" * 300, seconds=n) for n in (30, 40)], 70),
}


@pytest.mark.parametrize("name", SETS)
def test_records_of_one_id_give_the_same_figures_in_any_order_batches_and_repetition(name, owner):
    records, output = SETS[name]
    seen = []
    for number, order in enumerate(itertools.permutations(records)):
        at_once, singly = (Project.objects.create(name=f"{number}{way}", owner=owner) for way in "ab")
        assert "conflict" not in statuses(at_once, *order)
        for one in order:
            assert "conflict" not in statuses(singly, one)
        for project in (at_once, singly):
            before = figures(project)
            lines = CreditTransaction.objects.filter(project=project).count()
            assert statuses(project, *order[::-1]) == ["duplicate"] * len(order)
            assert CreditTransaction.objects.filter(project=project).count() == lines
            assert figures(project) == before
            seen.append(before)
    assert all(one == seen[0] for one in seen)
    assert sum(row[2] for row in seen[0][0]) == output


def test_a_plain_repeat_is_a_duplicate_and_another_cost_a_conflict(project):
    assert statuses(project, call(), call()) == ["recorded", "duplicate"]
    assert statuses(project, call(), call(response_cost=9)) == ["duplicate", "conflict"]
    assert spent(project) == (30, 30_000_000)


def test_a_stated_cost_stands_over_none_whichever_came_first(owner):
    for order in ((None, 0.5), (0.5, None)):
        project = Project.objects.create(name=str(order), owner=owner)
        statuses(project, *(call(response_cost=cost) for cost in order))
        assert spent(project) == (30, 500_000_000)
        assert statuses(project, call(response_cost=0.7)) == ["conflict"]
        assert statuses(project, call(model="claude-opus-4-5", response_cost=0.5)) == ["conflict"]
        assert spent(project) == (30, 500_000_000)


def test_another_spelling_of_the_model_is_a_duplicate_and_another_model_a_conflict(project):
    assert statuses(project, call(model="gpt-4o"), call(model="openai/gpt-4o")) == ["recorded", "duplicate"]
    assert statuses(project, call(model="openai/gpt-4o-2024-08-06")) == ["duplicate"]
    assert statuses(project, call(model="claude-opus-4-5")) == ["conflict"]


def test_a_cost_is_stated_for_what_was_recorded_before_calls_had_ids(project):
    before = replace(
        call(response_cost=None, litellm_call_id=None), call_ids=(), sender="", run_is_trace=False
    )
    ledger.record(project, [before])
    assert statuses(project, call(litellm_call_id=None, response_cost=0.5)) == ["recorded"]
    assert spent(project) == (30, 500_000_000)


def test_the_plain_id_is_that_of_the_first_record(project):
    statuses(project, call(30), call(40), call(50, seconds=60), call(60, seconds=60))
    assert set(CallReport.objects.values_list("event_id", flat=True)) == {
        f"chatcmpl-1@{CALL}",
        f"chatcmpl-1@{CALL}+100,0,0,0,40",
        f"chatcmpl-1@{CALL}@20260301T100100.123000Z",
        f"chatcmpl-1@{CALL}@20260301T100100.123000Z+100,0,0,0,60",
    }


def test_a_failed_attempt_of_a_call_that_another_sender_reports_does_not_stand_for_it(project):
    reported = usage_event(
        eventId="mine", callIds=[CALL], occurredAt="2026-03-01T10:00:01Z", outputTokens=7, costDollars=None
    )
    for one in (reported, failure(id="")):
        gateway_records.record(project, [one])
    assert spent(project)[0] == reported.tokens.output > 0


def span(number: int, ended: str) -> UsageEvent:
    """An instrumented client's report of an answer with the id that the provider gave it."""
    event = usage_event(
        eventId=f"span-{number}",
        occurredAt=f"2026-03-01T{ended}Z",
        callIds=["chatcmpl-1"],
        model="gpt-4o-mini",
        inputTokens=100,
        outputTokens=30,
        costDollars=None,
    )
    return replace(event, sender="sdk")


ANSWERED = {"the client's": span(1, "10:00:02"), "the gateway's": call(30)}
REPEATED = {
    "the client's of the hit": span(2, "10:01:01"),
    "the gateway's of the hit": call(
        id="chatcmpl-1_cache_hit1772359260.5",
        litellm_call_id="another",
        cache_hit=True,
        seconds=60,
        response_cost=0,
    ),
}


@pytest.mark.parametrize("missing", [None, "the client's", "the client's of the hit"])
def test_an_answer_from_the_cache_is_free_and_the_call_that_it_repeats_is_not(missing, owner):
    reports = [report for name, report in (ANSWERED | REPEATED).items() if name != missing]
    for order in itertools.permutations(reports):
        project = Project.objects.create(name="one order", owner=owner)
        for report in order:
            gateway_records.record(project, [report])
        assert spent(project) == (60, 30_000_000)


def test_an_id_that_a_usage_event_has_taken_is_a_conflict_as_before(project):
    taken = usage_event(eventId="chatcmpl-1", occurredAt="2026-03-01T10:00:00Z")
    assert statuses(project, taken, call(litellm_call_id=None)) == ["recorded", "conflict"]
    assert statuses(project, call(litellm_call_id=None)) == ["conflict"]


def test_what_was_recorded_before_stays_and_is_not_recorded_again(project):
    """Earlier versions recorded the first record of an id, and refused others."""
    old = [call(30), call(5, id="chatcmpl-2"), failure(id="chatcmpl-3")]
    ledger.record(project, old)
    before = figures(project)
    assert statuses(project, *old) == ["duplicate"] * 3
    assert figures(project) == before


def test_other_events_of_a_batch_are_recorded_as_they_are(project):
    other = usage_event(eventId="other")
    assert statuses(project, other, call(30), other, call(30, seconds=9), other) == [
        *("recorded", "recorded", "duplicate", "recorded", "duplicate")
    ]


def test_an_import_tells_calls_apart_too(project, tmp_path):
    told = {"litellm_call_id": CALL}
    rows = [payload(**told), payload(**told, startTime=START + 9), payload(**told, completion_tokens=40)]
    path = tmp_path / "payloads.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert import_paths(project, [path]).counts == {"recorded": 3}
    assert import_paths(project, [path]).counts == {"duplicate": 3}
    assert spent(project)[0] == 30 + 40


def test_the_number_of_queries_does_not_grow_with_the_records(project, django_assert_max_num_queries):
    statuses(project, *(call(id=f"r{n}") for n in range(50)))
    with django_assert_max_num_queries(45):
        statuses(project, *(call(id=f"r{n}", seconds=9) for n in range(50)))
