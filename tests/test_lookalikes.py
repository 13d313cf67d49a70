"""Calls that two senders may both have reported are shown, and united if people say that they are one."""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from html import unescape
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from aicost import queries
from aicost.queries import DoubleCount
from billing import lookalike_decisions, verification
from billing.imports.importer import import_paths
from billing.ledger.calls.batch import Nested
from billing.ledger.calls.lookalikes.likeness import Alike, Extent, alike, matched
from billing.ledger.recording import record as record_batch
from billing.ledger.traces import record
from billing.models import CallReport, Lookalike, LookalikeDecision
from billing.sources import Context
from billing.sources.otlp import claude_code, log_records
from products.models import Project
from products.models.audit import AuditEntry
from tests.conftest import NOW
from tests.factories import event
from tests.otlp import any_value, chat, event_id, nanos, request, span
from tests.span_calls import read
from tests.stored import stored
from tests.test_real_spans import MINI, items_in, shared

__all__ = ["shared"]  # a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

OPENAI, LANGCHAIN = "openinference.instrumentation.openai", "openinference.instrumentation.langchain"
SENDERS = (f"otlp {LANGCHAIN}", f"otlp {OPENAI}")
OPUS = "claude-opus-4-5"
SAME, DIFFERENT = "same_call", "different_calls"
COST = 249_300
"""Nano-dollars of the sample's call."""
SAMPLE = {
    "gen_ai.request.model": MINI,
    "gen_ai.usage.input_tokens": 1_308,
    "gen_ai.usage.cache_read.input_tokens": 444,
    "gen_ai.usage.output_tokens": 144,
}
More = Mapping[str, Any]
NOTHING_MORE: More = {}
MOMENT = timedelta(milliseconds=20)


def span_reports(number: int, scope: str, more: More = NOTHING_MORE, **options: Any) -> list[Any]:
    """What a span of a trace of its own reports of the sample's call."""
    service = options.pop("service", "")
    return read(
        request(chat(number, {**SAMPLE, **more}, trace=number, **options), scope=scope, service=service)
    )


def inner(number: int = 1, scope: str = OPENAI, more: More = NOTHING_MORE, **options: Any) -> list[Any]:
    return span_reports(number, scope, more, **{"ended": NOW - MOMENT, "seconds": 1, **options})


def outer(number: int = 2, scope: str = LANGCHAIN, more: More = NOTHING_MORE, **options: Any) -> list[Any]:
    return span_reports(number, scope, more, **{"ended": NOW, "seconds": 1.1, **options})


def send(project: Project, *items: Any) -> None:
    record(project, list(items))
    project.refresh_from_db()


def check(project: Project) -> None:
    with verification.snapshot():
        assert list(verification.differences(project)) == []


def decide(project: Project, decision: str, senders: tuple[str, str] = SENDERS) -> int | None:
    united = lookalike_decisions.decide(project, senders, decision, by=project.owner)
    check(project)
    return united


def pairs(project: Project) -> set[tuple[str, str]]:
    """The outer and inner reports that are remembered, by the numbers of their spans. It verifies, too."""
    check(project)
    rows = Lookalike.objects.filter(project=project).values_list("outer", "inner")
    return {(str(int(a[-16:], 16)), str(int(b[-16:], 16))) for a, b in rows}


def sums(project: Project) -> tuple[int, int, int]:
    """The month's cost, tokens and jobs."""
    month = queries.month_summary(project)
    return month.cost, month.tokens, month.jobs


def fresh(project: Project) -> Project:
    return Project.objects.create(name="one order", owner=project.owner)


def in_every_order(project: Project, *requests: list[Any]) -> Iterator[Project]:
    """A product for each order of the requests, and one that got all in one."""
    for order in permutations(requests):
        product = fresh(project)
        for items in order:
            send(product, *items)
        yield product
    product = fresh(project)
    send(product, *(item for items in requests for item in items))
    yield product


def the_same(values: Iterator[Any]) -> Any:
    first, *others = values
    assert all(value == first for value in others)
    return first


# The sample of two instrumentations that share no id


def sample(shared: Any) -> list[Any]:
    return list(items_in(shared / "otel_libraries" / "openinference_langchain_plus_openai_two_traces.json"))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_real_spans_without_an_id_are_booked_twice_and_once_united_once(project, shared, turned, together):
    spans = sample(shared)[::-1] if turned else sample(shared)
    for batch in [spans] if together else [[one] for one in spans]:
        send(project, *batch)
    month = date(2026, 11, 1)
    assert queries.month_summary(project, month).cost == 2 * COST
    assert queries.undecided_lookalikes(project, month) == [DoubleCount(SENDERS, 1, COST)]
    assert decide(project, SAME) == 1
    assert queries.undecided_lookalikes(project, month) == []
    [line] = [row for row in stored(project)["ledger"].values() if row[0] == "deduction"]
    assert line[2] == "1f8577968b37cda0631bf0ec49d8ba46"  # the outer one's run
    assert line[4:11] == (MINI, 864, 444, 0, 0, 144, COST)
    summary = queries.month_summary(project, month)
    assert (summary.cost, summary.tokens, summary.jobs) == (COST, 1_452, 1)


# Which reports look alike


def test_calls_that_look_alike_are_booked_and_remembered_in_any_order(project):
    found = the_same((pairs(one), sums(one)) for one in in_every_order(project, inner(), outer()))
    assert found == ({("2", "1")}, (2 * COST, 2 * 1_452, 2))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(outer(service="another process"), id="another resource"),
        pytest.param(outer(ended=NOW - 2 * MOMENT), id="overlaps without enclosing"),
        pytest.param(outer(seconds=0.5), id="starts later"),
        pytest.param(outer(ended=NOW + timedelta(minutes=5), seconds=1), id="after it"),
        pytest.param(outer(ended=NOW + timedelta(hours=2), seconds=9_000), id="lasts for hours"),
        pytest.param(outer(scope=OPENAI), id="one instrumentation"),
        pytest.param(outer(more={"gen_ai.usage.output_tokens": 145}), id="another output"),
        pytest.param(outer(more={"gen_ai.usage.input_tokens": 1_309}), id="another input"),
        pytest.param(outer(more={"gen_ai.request.model": "gpt-4o"}), id="another model"),
    ],
)
def test_other_calls_do_not_look_alike(project, other):
    assert the_same(pairs(one) for one in in_every_order(project, inner(), other)) == set()


def test_calls_without_tokens_do_not_look_alike(project):
    nothing = {"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
    none = {**nothing, "gen_ai.usage.cache_read.input_tokens": 0}
    send(project, *inner(more=none), *outer(more=none))
    assert pairs(project) == set()


def test_names_of_one_model_family_and_unknown_caches_look_alike(project):
    other = outer(more={"gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.cache_read.input_tokens": 0})
    assert the_same(pairs(one) for one in in_every_order(project, inner(), other)) == {("2", "1")}


def test_equal_times_look_alike_in_any_order(project):
    both = inner(), outer(ended=NOW - MOMENT, seconds=1)
    assert the_same(pairs(one) for one in in_every_order(project, *both)) == {("1", "2")}


def test_reports_that_are_one_call_already_are_no_pair(project):
    answer = {"gen_ai.response.id": "resp-1"}
    orders = in_every_order(project, inner(more=answer), outer(more=answer))
    assert the_same((pairs(one), sums(one)) for one in orders) == (set(), (COST, 1_452, 1))


def test_a_pair_is_forgotten_once_a_third_report_shows_that_it_is_one_call(project):
    send(project, *inner(more={"gen_ai.response.id": "resp-1"}), *outer(more={"litellm.call_id": "call-1"}))
    assert pairs(project) == {("2", "1")}
    record_batch(project, [], nested=[Nested(event_id(2, 2), event_id(1, 1))])
    assert (pairs(project), sums(project)) == (set(), (COST, 1_452, 1))


def test_a_call_that_both_have_reported_takes_no_third_report(project):
    """The first inner span is of the outer one's call; a second attempt within it was billed, too."""
    answer = {"gen_ai.response.id": "resp-1"}
    spans = outer(more=answer), inner(more=answer), inner(3, seconds=0.5)
    assert the_same((pairs(one), sums(one)) for one in in_every_order(project, *spans)) == (
        set(),
        (2 * COST, 2 * 1_452, 2),
    )


def test_usage_events_have_no_start_and_never_look_alike(project):
    record_batch(project, [event(callIds=["a"], occurredAt=NOW.isoformat())])
    send(project, *inner())
    assert pairs(project) == set()


def test_other_products_have_other_calls(project, other_project):
    send(project, *inner())
    send(other_project, *outer())
    assert pairs(project) | pairs(other_project) == set()


@pytest.mark.parametrize("seed", [7, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(8, 48))])
def test_random_spans_leave_the_same_pairs_in_any_order_and_batches(project, seed):
    """Some share the id of a response, and so turn out to be one call while others arrive."""
    chance, found = random.Random(seed), set()
    for _ in range(2):
        spans = [
            span_reports(
                number,
                chance.choice((OPENAI, LANGCHAIN, "third")),
                {"gen_ai.response.id": chance.choice("xyz")} if chance.random() < 0.5 else {},
                ended=NOW - timedelta(seconds=chance.randrange(3)),
                seconds=chance.randrange(1, 5),
            )
            for number in range(1, 8)
        ]
        states = []
        for _ in range(3):
            chance.shuffle(spans)
            product, rest = fresh(project), [item for items in spans for item in items]
            while rest:
                size = chance.randrange(1, 4)
                send(product, *rest[:size])
                rest = rest[size:]
            states.append((pairs(product), stored(product)))
        found |= states[0][0]
        assert states[1:] == states[:-1]
    assert found


def test_verification_finds_a_pair_that_is_one_call(project):
    send(project, *inner(), *outer())
    CallReport.objects.filter(project=project).update(call_pk=CallReport.objects.earliest("pk").pk)
    name = f"possible double count of {event_id(2, 2)} and {event_id(1, 1)}"
    with verification.snapshot():
        assert f"{name}: they are booked as one call" in list(verification.differences(project))


def extent(name: str, sender: str, start: float, end: float, fingerprint: str = "f") -> Extent:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Extent(name, sender, fingerprint, at + timedelta(seconds=start), at + timedelta(seconds=end))


def test_of_several_inner_reports_an_outer_one_is_paired_with_the_tightest():
    found = [Alike(5, "a", "x"), Alike(3, "a", "y"), Alike(4, "b", "y"), Alike(9, "b", "z")]
    assert matched(found) == [Alike(3, "a", "y"), Alike(9, "b", "z")]
    assert matched(reversed(found)) == matched(found)


def test_calls_at_once_are_each_paired_with_their_own():
    extents = [
        *(extent("O1", "o", 0, 10), extent("I1", "i", 2, 9)),
        *(extent("O2", "o", 1, 4), extent("I2", "i", 1.5, 3)),
    ]
    found = matched(alike(extents, {one.event_id for one in extents}))
    assert {(pair.outer, pair.inner) for pair in found} == {("O1", "I1"), ("O2", "I2")}


# An agent's own reports, which share its session


LOG, RECORD, SPAN = (
    "claude_code",
    "otlp com.anthropic.claude_code.events",
    "otlp com.anthropic.claude_code.tracing",
)
ENDED = NOW - timedelta(minutes=10)
SECOND = timedelta(seconds=1)
OPUS_COST = 1_000_000
STATED = 1_100_000


def log_file(project: Project, at: datetime = ENDED - SECOND, session: str = "s1", output: int = 20) -> None:
    """The session's log, as it is behind a gateway that gives no request ids."""
    usage = {"input_tokens": 100, "output_tokens": output}
    message = {"id": f"m{at}", "model": OPUS, "content": [], "usage": usage}
    line = {"type": "assistant", "sessionId": session, "timestamp": at.isoformat(), "message": message}
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{session}.jsonl"
        path.write_text(json.dumps(line))
        import_paths(project, [path])


def log_record(
    project: Project, at: datetime = ENDED, session: str = "s1", output: int = 20, **more: Any
) -> None:
    counts = {"model": OPUS, "input_tokens": 100, "output_tokens": output, "cost_usd": STATED / 10**9}
    message = ExportLogsServiceRequest()
    scope = message.resource_logs.add().scope_logs.add()
    scope.scope.name = RECORD.removeprefix("otlp ")
    one = scope.log_records.add(time_unix_nano=nanos(at), event_name=log_records.API_REQUEST)
    for key, value in {"session.id": session, **counts, **more}.items():
        one.attributes.add(key=key, value=any_value(value))
    record_batch(project, list(log_records.events(message, Context(now=NOW, credits_per_dollar=100))))


def own_span(
    project: Project, ended: datetime = ENDED, session: str = "s1", output: int = 20, seconds: float = 3
) -> None:
    counts = {"span.type": "llm_request", "input_tokens": 100, "output_tokens": output}
    attributes = {"session.id": session, "gen_ai.request.model": OPUS, **counts}
    name, number = claude_code.LLM_REQUEST, int(ended.timestamp())
    one = span(number, attributes, trace=number, ended=ended, seconds=seconds, name=name)
    record(project, read(request(one, scope=SPAN.removeprefix("otlp "))))


OWN = (log_file, log_record, own_span)


def own_pairs(project: Project) -> list[tuple[str, str, int]]:
    check(project)
    rows = Lookalike.objects.filter(project=project).values_list("sender_a", "sender_b", "margin")
    return sorted(rows)


@pytest.mark.parametrize("order", list(permutations(OWN)))
def test_an_agents_reports_without_a_shared_id_look_alike_in_any_order(project, order):
    for report in order:
        report(project)
    second = SECOND // timedelta(microseconds=1)
    assert own_pairs(project) == [(LOG, RECORD, second), (LOG, SPAN, second), (RECORD, SPAN, 0)]
    assert sums(project)[:2] == (2 * OPUS_COST + STATED, 3 * 120)
    decide(project, SAME, (LOG, RECORD))
    assert sums(project)[:2] == (OPUS_COST + STATED, 2 * 120)
    decide(project, SAME, (LOG, SPAN))
    assert (own_pairs(project), sums(project)) == ([], (STATED, 120, 1))


@pytest.mark.parametrize("order", list(permutations(OWN)))
def test_an_agents_reports_count_once_when_they_come(project, order):
    for report in OWN:
        report(project)
    for names in ((LOG, RECORD), (LOG, SPAN), (RECORD, SPAN)):
        decide(project, SAME, names)
    for report in order:
        report(project, ENDED + 60 * SECOND)
    assert (own_pairs(project), sums(project)) == ([], (2 * STATED, 240, 1))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("options", "alike"),
    [
        ({}, True),
        ({"at": ENDED + 4 * SECOND}, True),
        ({"at": ENDED + 5 * SECOND}, False),
        ({"at": ENDED + 60 * SECOND}, False),
        ({"at": ENDED + 60 * SECOND, "duration_ms": 58_000}, True),
        ({"at": ENDED + 60 * SECOND, "duration_ms": "58000"}, True),
        ({"at": ENDED + 60 * SECOND, "duration_ms": "long"}, False),
        ({"at": ENDED + 60 * SECOND, "duration_ms": 10**12}, False),
        ({"session": "s2"}, False),
        ({"session": ""}, False),
        ({"output": 21}, False),
        ({"model": "claude-haiku-4-5"}, False),
        ({"model": f"{OPUS}-20251101"}, True),
    ],
)
def test_a_log_and_a_log_record_look_alike_if_they_have_a_moment_in_common(project, turned, options, alike):
    reports = [partial(log_file, project), partial(log_record, project, **options)]
    for report in reports[::-1] if turned else reports:
        report()
    assert bool(own_pairs(project)) == alike


def test_an_agents_calls_and_those_of_other_instrumentations_do_not_look_alike(project):
    own_span(project)
    counts = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "session.id": "s1"}
    other = chat(2, {**counts, "gen_ai.request.model": OPUS}, ended=ENDED, seconds=3)
    send(project, *read(request(other, scope="third")))
    assert own_pairs(project) == []


def test_calls_of_a_session_with_equal_counts_are_each_paired_with_their_own():
    extents = [
        *(extent("R1", "r", 1, 3, "s"), extent("L1", "l", 2, 2, "s")),
        *(extent("R2", "r", 4, 7, "s"), extent("L2", "l", 6, 6, "s")),
    ]
    found = matched(alike(extents, {one.event_id for one in extents}))
    assert {(pair.outer, pair.inner) for pair in found} == {("R1", "L1"), ("R2", "L2")}


# What is decided


def test_reports_of_the_same_calls_count_once_in_the_past(project):
    send(project, *inner(), *outer())
    assert decide(project, SAME) == 1
    assert (pairs(project), sums(project)) == (set(), (COST, 1_452, 1))
    assert decide(project, SAME) is None


def test_reports_of_the_same_calls_count_once_when_they_come(project):
    send(project, *inner(), *outer())
    decide(project, SAME)
    before = NOW - timedelta(minutes=1)
    send(project, *inner(3, ended=before - MOMENT))
    send(project, *outer(4, ended=before))
    later = timedelta(minutes=2)
    send(project, *outer(6, ended=NOW - later), *inner(5, ended=NOW - later - MOMENT))
    assert (pairs(project), sums(project)) == (set(), (3 * COST, 3 * 1_452, 3))


def test_attempts_that_were_all_billed_are_not_swallowed(project):
    """One outer span encloses two inner ones with equal counts: one is of its call."""
    send(project, *outer(), *inner(), *inner(3, seconds=0.5))
    assert pairs(project) == {("2", "1"), ("2", "3")}
    assert queries.undecided_lookalikes(project) == [DoubleCount(SENDERS, 1, COST)]
    assert decide(project, SAME) == 1
    assert (pairs(project), sums(project)) == (set(), (2 * COST, 2 * 1_452, 2))
    send(project, *inner(4, seconds=0.4))
    assert sums(project) == (3 * COST, 3 * 1_452, 3)


def test_different_calls_stay_and_are_no_longer_shown(project):
    send(project, *inner(), *outer())
    assert decide(project, DIFFERENT) == 0
    send(project, *inner(3, seconds=0.6), *outer(4, seconds=0.7, ended=NOW - MOMENT / 2))
    assert queries.undecided_lookalikes(project) == []
    assert sums(project) == (4 * COST, 4 * 1_452, 4)


def test_different_calls_can_turn_out_to_be_the_same(project):
    send(project, *inner(), *outer())
    decide(project, DIFFERENT)
    before = NOW - timedelta(minutes=30)
    send(project, *inner(3, ended=before - MOMENT), *outer(4, ended=before))
    assert decide(project, SAME) == 2
    assert sums(project) == (2 * COST, 2 * 1_452, 2)


def test_the_same_calls_can_be_different_from_now_on(project):
    send(project, *inner(), *outer())
    decide(project, SAME)
    assert decide(project, DIFFERENT) == 0
    before = NOW - timedelta(minutes=30)
    send(project, *inner(3, ended=before - MOMENT), *outer(4, ended=before))
    assert sums(project) == (3 * COST, 3 * 1_452, 3)


def test_other_senders_are_not_decided_on(project):
    send(project, *inner(), *outer(), *outer(3, scope="third", seconds=1.2))
    assert pairs(project) == {("2", "1"), ("3", "1"), ("3", "2")}
    decide(project, SAME)
    assert pairs(project) == {("3", "1"), ("3", "2")}
    decide(project, SAME, (SENDERS[1], "otlp third"))
    assert (pairs(project), sums(project)) == (set(), (COST, 1_452, 1))


def test_many_calls_are_united_at_once(project, monkeypatch):
    monkeypatch.setattr(lookalike_decisions, "_CHUNK", 2)
    for number in range(5):
        ended = NOW - timedelta(minutes=number)
        send(project, *inner(10 + number, ended=ended - MOMENT), *outer(20 + number, ended=ended))
    assert decide(project, SAME) == 5
    assert sums(project) == (5 * COST, 5 * 1_452, 5)


# Pages


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(user: Any, project: Project, name: str = "connect", query: str = "") -> str:
    response = client_of(user).get(reverse(name, args=[project.pk]) + query)
    assert response.status_code == 200
    return " ".join(unescape(response.content.decode()).split())


@pytest.fixture
def doubled(project: Project) -> Project:
    send(project, *inner(), *outer())
    return project


NOTE = (
    "Possible double count: 1 call, $0.00025 this month. "
    f"{LANGCHAIN} and {OPENAI} report equal calls at the same time."
)
LINK = "Settle it on Connect"
BUTTONS = ("They report the same calls", "They are different calls")


def settle(user: Any, project: Project, decision: str, follow: bool = True) -> Any:
    data = {"sender_a": SENDERS[0], "sender_b": SENDERS[1], "decision": decision}
    return client_of(user).post(reverse("connect-double-count", args=[project.pk]), data, follow=follow)


def test_the_dashboard_shows_them_with_a_link_for_those_who_can_settle_them(doubled, owner, manager, viewer):
    for name in ("ai-cost", "ai-cost-month"):
        for user in (owner, manager):
            assert NOTE in page(user, doubled, name)
            assert LINK in page(user, doubled, name)
        seen = page(viewer, doubled, name)
        assert NOTE in seen
        assert LINK not in seen
        assert "The owner and managers of this product can settle it." in seen


def test_other_months_do_not_show_them(doubled, owner):
    assert "Possible double count" not in page(owner, doubled, "ai-cost", "?month=2026-02")


def test_a_product_without_any_shows_nothing(project, owner):
    send(project, *inner())
    for name in ("ai-cost", "connect"):
        assert "ossible double count" not in page(owner, project, name)


def test_the_dashboard_asks_once_for_them(doubled, django_assert_num_queries):
    # limits, summary, days, running jobs, changes, and the double counts; the open tab shows the summary
    with django_assert_num_queries(6):
        queries.dashboard(doubled, "agents", 30)


def test_connect_shows_what_each_decision_does(doubled, owner, viewer):
    seen = page(owner, doubled)
    assert f"{LANGCHAIN} and {OPENAI}" in seen
    assert "1 call, $0.00025, may be counted twice." in seen
    assert "each call is counted once, past and future" in seen
    assert "all of them stay counted, and the dashboard no longer warns of them" in seen
    assert all(button in seen for button in BUTTONS)
    seen = page(viewer, doubled)
    assert "1 call, $0.00025, may be counted twice." in seen
    assert not any(button in seen for button in BUTTONS)


def test_owner_and_managers_settle_them_and_the_audit_log_says_so(doubled, manager):
    response = settle(manager, doubled, SAME)
    assert response.redirect_chain == [(reverse("connect", args=[doubled.pk]), 302)]
    seen = " ".join(unescape(response.content.decode()).split())
    assert "1 call that had been counted twice is now counted once, as are those to come." in seen
    assert "They report the same calls; each is counted once. Decided by manager" in seen
    assert "Calls that have been united until now stay so." in seen
    assert BUTTONS[0] + "<" not in seen
    entry = AuditEntry.objects.get(kind="lookalikes-decided")
    assert (entry.who, entry.project) == (manager, doubled)
    assert entry.detail == f"{SENDERS[0]} and {SENDERS[1]}: the same calls"
    assert "Possible double count" not in page(manager, doubled, "ai-cost")
    assert "Nothing changed" in settle(manager, doubled, SAME).content.decode()
    assert "all that arrive are counted" in settle(manager, doubled, DIFFERENT).content.decode()
    assert "They are different calls, and all are counted: 0 calls, $0.00." in page(manager, doubled)


def test_others_can_not_settle_them(doubled, viewer, stranger, superuser):
    for user, status in ((viewer, 403), (stranger, 404), (superuser, 403)):
        assert settle(user, doubled, SAME).status_code == status
    forged = Client(enforce_csrf_checks=True)
    forged.force_login(doubled.owner)
    assert forged.post(reverse("connect-double-count", args=[doubled.pk])).status_code == 403
    assert not LookalikeDecision.objects.exists()


@pytest.mark.parametrize("wrong", [{"sender_a": "nobody"}, {"decision": "perhaps"}, {"sender_b": "\0"}])
def test_what_does_not_exist_is_not_settled(doubled, owner, wrong):
    data = {"sender_a": SENDERS[0], "sender_b": SENDERS[1], "decision": SAME, **wrong}
    address = reverse("connect-double-count", args=[doubled.pk])
    response = client_of(owner).post(address, data, follow=True)
    assert "There is no such double count. Nothing has been changed." in response.content.decode()
    assert not LookalikeDecision.objects.exists()


def test_downloads_do_not_change(doubled, owner):
    """What may be counted twice is counted until it is settled."""
    client = client_of(owner)
    address = reverse("export", args=[doubled.pk, "agents", "json"])
    [row] = client.get(address).json()["rows"]
    assert row["cost"] == pytest.approx(2 * COST / 10**9)
    columns = list(row)
    settle(owner, doubled, SAME)
    [row] = client.get(address).json()["rows"]
    assert (list(row), row["cost"]) == (columns, pytest.approx(COST / 10**9))
