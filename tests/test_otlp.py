"""OpenTelemetry spans: what is read from them, and that the ledger depends only on their set."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from billing import verification
from billing.events.usage_event import Rejection, Tokens
from billing.ledger import traces
from billing.models import CreditTransaction, MonthlySpend, TraceSpan
from billing.sources import Context, otlp
from billing.sources.otlp import bodies
from billing.sources.otlp.claude_code import LLM_REQUEST
from billing.sources.otlp.read_attributes import READ
from billing.sources.otlp.unknown_usage import NotUnderstood
from products.models import AgentJob, PipelineRun
from tests.conftest import NOW
from tests.factories import ProjectFactory, UserFactory
from tests.otlp import (
    CHAT,
    CHAT_NANOS,
    SUMS,
    agent,
    as_json,
    chat,
    event_id,
    from_json,
    from_protobuf,
    request,
    span,
    span_id,
    trace_id,
)
from tests.stored import stored
from tests.test_concurrency import at_once
from tests.test_properties import LONG, QUICK

pytestmark = pytest.mark.once

CONTEXT = Context(now=NOW, credits_per_dollar=100)


def found(*spans: Any) -> list[Any]:
    """What spans become, without the remarks on those that are not understood."""
    items = otlp.spans(request(*spans), CONTEXT)
    return [item for item in items if not isinstance(item, NotUnderstood)]


def only(wire: Any) -> Any:
    [result] = found(wire)
    return result


def record(project: Any, *spans: Any) -> list[str]:
    return [outcome.status for outcome in traces.record(project, found(*spans))]


def job_of(call: int, **where: Any) -> AgentJob:
    rows = CreditTransaction.objects.select_related("job__agent_type", "job__run")
    job = rows.get(event_id=event_id(call), **where).job
    assert job
    return job


def test_a_model_call_is_recorded_with_the_ids_of_its_span():
    event = only(chat(7, parent=3)).event
    assert (event.event_id, event.run_id, event.job_id) == (event_id(7), trace_id(1), event_id(3))
    assert (event.kind, event.model, event.stated_nanos) == ("deduction", "gpt-4o", None)
    assert event.tokens == Tokens(input=1_000, output=100)


def test_a_call_without_a_parent_is_a_job_of_its_own():
    assert only(chat(7)).event.job_id == event_id(7)


def test_a_call_happens_when_it_ends_cut_to_microseconds():
    wire = chat(1, ended=NOW)
    wire.end_time_unix_nano += 1_999
    assert only(wire).event.occurred_at == NOW + timedelta(microseconds=1)
    wire.end_time_unix_nano = 0  # unknown
    assert only(wire).event.occurred_at == NOW - timedelta(seconds=2)


BILLED = [
    *({"gen_ai.operation.name": name} for name in ("chat", "generate_content", "text_completion")),
    *({"gen_ai.operation.name": name} for name in ("embeddings", "call_llm")),
    *({"gen_ai.operation.name": name} for name in ("invoke_model", "converse", "create_response")),
    *({"openinference.span.kind": kind} for kind in ("LLM", "EMBEDDING")),
    *({"llm.request.type": kind} for kind in ("chat", "completion", "embedding")),
    {"llm.token_count.prompt": 5},
]
NEVER_BILLED = [
    *({"gen_ai.operation.name": name} for name in ("invoke_agent", "create_agent", "invoke_workflow")),
    *({"gen_ai.operation.name": name} for name in ("execute_tool", "invoke_swarm", "invoke_graph")),
    *({"gen_ai.operation.name": name} for name in ("execute_event_loop_cycle", "invoke_agent_stream")),
    {"gen_ai.operation.name": "invoke_flock"},
    *({"openinference.span.kind": kind} for kind in ("AGENT", "CHAIN", "TOOL", "RETRIEVER")),
    {"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 5},
    {"gen_ai.operation.name": "invoke_agent", "openinference.span.kind": "LLM"},
    {"http.request.method": "POST"},
    {"gen_ai.operation.name": 7},
    {},
]


@pytest.mark.parametrize("attributes", BILLED, ids=str)
def test_spans_that_call_a_model_are_billed(attributes):
    assert only(span(1, {**SUMS, **attributes})).event.tokens.total


@pytest.mark.parametrize("attributes", NEVER_BILLED, ids=str)
def test_spans_that_repeat_sums_or_call_no_model_are_not(attributes):
    assert only(span(1, {**SUMS, **attributes})).event is None


VOCABULARIES: dict[str, dict[str, Any]] = {
    "GenAI": {
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": "the-model",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_creation.input_tokens": 30,
        "gen_ai.usage.output_tokens": 5,
    },
    "newer GenAI": {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "the-model",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_write.input_tokens": 30,
        "gen_ai.usage.output_tokens": 5,
    },
    "OpenLIT": {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "the-model",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache.read_input_tokens": 60,
        "gen_ai.usage.cache.creation_input_tokens": 30,
        "gen_ai.usage.output_tokens": 5,
    },
    "OpenLLMetry": {
        "llm.request.type": "chat",
        "gen_ai.request.model": "the-model",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.cache_read_input_tokens": 60,
        "gen_ai.usage.cache_creation_input_tokens": 30,
        "gen_ai.usage.completion_tokens": 5,
    },
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.model_name": "the-model",
        "llm.token_count.prompt": 100,
        "llm.token_count.prompt_details.cache_read": 60,
        "llm.token_count.prompt_details.cache_write": 30,
        "llm.token_count.completion": 5,
    },
}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_convention_describes_the_same_call(name):
    event = only(span(1, VOCABULARIES[name])).event
    assert event.model == "the-model"
    assert event.tokens == Tokens(input=10, cache_read=60, cache_write=30, output=5)
    assert set(VOCABULARIES[name]) <= READ


def test_the_model_that_answered_wins_over_the_requested_one():
    assert only(chat(1, {"gen_ai.response.model": "gpt-4o-2024-08-06"})).event.model == "gpt-4o-2024-08-06"


def test_an_input_smaller_than_its_cached_part_excludes_the_caches():
    attributes = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 5_000}
    assert only(chat(1, attributes)).event.tokens == Tokens(input=10, cache_read=5_000, output=100)


@pytest.mark.parametrize(
    ("attributes", "stated"),
    [
        ({"gen_ai.usage.cost": 0.1}, 100_000_000),
        ({"gen_ai.usage.cost": 1}, 1_000_000_000),
        ({"gen_ai.usage.cost": 3.95e-05}, 39_500),
        ({"gen_ai.usage.input_cost": 0.1, "gen_ai.usage.output_cost": 0.2}, 300_000_000),
        ({"gen_ai.usage.input_cost": 0.1}, 100_000_000),
        ({"llm.cost.total": 0.25}, 250_000_000),
        ({"llm.cost.prompt": 0.25, "llm.cost.completion": 0.0}, 250_000_000),
        ({"gen_ai.usage.cost": 0.0}, None),  # OpenLIT knows no price
        ({}, None),
    ],
    ids=str,
)
def test_a_stated_cost_keeps_every_digit_that_its_sender_meant(attributes, stated):
    assert only(chat(1, attributes)).event.stated_nanos == stated


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({"gen_ai.usage.input_tokens": -1}, "gen_ai.usage.input_tokens"),
        ({"gen_ai.usage.output_tokens": 1.5}, "gen_ai.usage.output_tokens"),
        ({"gen_ai.usage.output_tokens": True}, "gen_ai.usage.output_tokens"),
        ({"gen_ai.usage.input_tokens": "many"}, "gen_ai.usage.input_tokens"),
        ({"gen_ai.usage.input_tokens": 10**12 + 1}, "gen_ai.usage.input_tokens"),
        ({"gen_ai.usage.cost": -0.1}, "gen_ai.usage.cost"),
        ({"gen_ai.usage.cost": float("nan")}, "gen_ai.usage.cost"),
        ({"gen_ai.usage.cost": float("inf")}, "gen_ai.usage.cost"),
        ({"gen_ai.usage.cost": "1"}, "gen_ai.usage.cost"),
        ({"gen_ai.usage.cost": 1e7}, "costDollars"),
        ({"gen_ai.request.model": 4}, "gen_ai.request.model"),
        ({"gen_ai.request.model": "a\nb"}, "model"),
        ({"gen_ai.agent.name": "a\0b"}, "gen_ai.agent.name"),
        ({"gen_ai.agent.name": 4}, "gen_ai.agent.name"),
    ],
    ids=str,
)
def test_what_cannot_be_recorded_is_named(attributes, field):
    rejection = only(chat(1, attributes))
    assert isinstance(rejection, Rejection)
    assert (rejection.event_id, rejection.field) == (event_id(1), field)
    assert rejection.reason


def test_whole_numbers_are_read_however_they_are_written():
    attributes = {"gen_ai.usage.input_tokens": "12", "gen_ai.usage.output_tokens": 3.0}
    assert only(chat(1, attributes)).event.tokens == Tokens(input=12, output=3)


@pytest.mark.parametrize("year", [1999, 2027])
def test_a_call_at_an_absurd_time_is_refused(year):
    rejection = only(chat(1, ended=NOW.replace(year=year)))
    assert (type(rejection), rejection.field) == (Rejection, "end_time_unix_nano")


def test_an_absurd_time_of_another_span_is_ignored():
    span_found = only(agent(1, "a", ended=NOW.replace(year=1999))).span
    assert (span_found.started_at, span_found.finished_at) == (None, None)


@pytest.mark.parametrize("name", ["trace_id", "span_id", "parent_span_id"])
def test_a_span_with_an_impossible_id_is_refused(name):
    wire = chat(1, parent=2)
    setattr(wire, name, b"short")
    assert (type(only(wire)), only(wire).field) == (Rejection, name)


def test_a_parent_of_zeros_is_no_parent():
    wire = chat(1)
    wire.parent_span_id = bytes(8)
    assert only(wire).span.parent_id == ""


def test_json_says_the_same_as_protobuf():
    message = request(
        chat(1, {"gen_ai.usage.cost": 0.25}, parent=3, error=True), agent(3, "🤖"), span(2**63, parent=3)
    )
    read = from_json(json.dumps(as_json(message)).encode())
    assert list(otlp.spans(read, CONTEXT)) == list(otlp.spans(message, CONTEXT))


def test_json_ids_are_hex_of_any_case_and_numbers_text_or_not():
    value = as_json(request(chat(0xABCDEF, parent=3)))
    [wire] = value["resourceSpans"][0]["scopeSpans"][0]["spans"]
    wire["spanId"] = wire["spanId"].upper()
    wire["endTimeUnixNano"] = int(wire["endTimeUnixNano"])
    wire["links"] = [{"traceId": "not hex at all"}]
    wire["somethingNew"] = {"of": "a later version"}
    for attribute in wire["attributes"]:
        if "intValue" in attribute["value"]:
            attribute["value"]["intValue"] = int(attribute["value"]["intValue"])
    [read] = otlp.spans(from_json(json.dumps(value).encode()), CONTEXT)
    assert read == only(chat(0xABCDEF, parent=3))


def test_an_id_that_is_not_hex_loses_only_its_span():
    value = as_json(request(chat(1), chat(2)))
    value["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = "zz" * 16
    first, second = otlp.spans(from_json(json.dumps(value).encode()), CONTEXT)
    assert (type(first), first.field, second.event.event_id) == (Rejection, "trace_id", event_id(2))


MALFORMED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"\xff",
    b"[" * 100_000,
    b'{"resourceSpans":' * 50_000,
    b'{"resourceSpans": 1}',
    b'{"resourceSpans": [1]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [7]}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 7}]}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": []}]}]}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"endTimeUnixNano": "soon"}]}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"endTimeUnixNano": 18446744073709551616}]}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}',
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: str(body[:80]))
def test_json_that_is_not_a_request_is_malformed(body):
    with pytest.raises(bodies.Malformed):
        from_json(body)


@given(st.data())
@hypothesis_settings(QUICK, max_examples=120)
def test_no_json_breaks_the_reader(data):
    """A valid request in which any value may be replaced by any other."""
    value = as_json(request(chat(1, {"gen_ai.usage.cost": 0.5}, parent=3), agent(3, "a")))
    at: Any = value
    for _ in range(data.draw(st.integers(0, 12))):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys)) if keys else None
        if key is None or not isinstance(at[key], dict | list) or data.draw(st.integers(0, 5)) == 0:
            break
        at = at[key]
    if isinstance(at, dict):
        at[data.draw(st.sampled_from([*at, "new"]))] = data.draw(anything)
    elif at:
        at[0] = data.draw(anything)
    with contextlib.suppress(bodies.Malformed):
        list(otlp.spans(from_json(json.dumps(value).encode()), CONTEXT))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.binary(max_size=200))
@hypothesis_settings(QUICK, max_examples=120)
def test_no_bytes_break_the_reader(body):
    for reader in (from_protobuf, from_json):
        with contextlib.suppress(bodies.Malformed):
            list(otlp.spans(reader(body), CONTEXT))


def agents(*spans: Any) -> dict[str, str]:
    """The agent of each model call."""
    trace = traces.Trace(one.span for one in found(*spans))
    return {one.span_id: trace.agent_of(one) for one in trace.spans.values() if one.calls_model}


def test_the_agent_is_that_of_the_nearest_ancestor():
    inner, outer = agent(2, "inner", parent=3), agent(3, "outer")
    assert agents(chat(1, parent=2), inner, outer) == {span_id(1): "inner"}
    step = span(4, parent=3)
    assert agents(chat(1, parent=4), step, outer) == {span_id(1): "outer"}
    own = chat(1, {"gen_ai.agent.name": "own"}, parent=2)
    assert agents(own, inner, outer) == {span_id(1): "own"}


def test_openinference_names_its_agents_otherwise():
    named = span(2, {"openinference.span.kind": "AGENT", "agent.name": "assistant"})
    assert agents(chat(1, parent=2), named) == {span_id(1): "assistant"}
    monitored = span(2, {"agent.name": "some-collector"})
    assert agents(chat(1, parent=2), monitored) == {span_id(1): ""}


def test_no_agent_is_guessed_past_a_span_that_is_not_known_yet():
    assert agents(chat(1, parent=4), agent(3, "outer")) == {span_id(1): ""}


def test_a_trace_with_a_cycle_comes_to_an_end():
    assert agents(chat(1, parent=2), span(2, parent=4), span(4, parent=2)) == {span_id(1): ""}
    assert agents(chat(1, parent=1)) == {span_id(1): ""}


def test_an_agent_is_not_billed_besides_its_calls(project):
    repeats = agent(9, "planner", {**SUMS, "gen_ai.usage.cost": 5.0}, seconds=20)
    assert record(project, repeats, chat(1, parent=9), chat(2, parent=9)) == ["recorded"] * 3
    assert set(CreditTransaction.objects.values_list("event_id", flat=True)) == {event_id(1), event_id(2)}
    [spend] = MonthlySpend.objects.filter(transactions__gt=0)
    assert (spend.cost_nanos, spend.agent_type.slug) == (2 * CHAT_NANOS, "planner")


def test_an_agents_name_that_comes_later_moves_what_is_recorded(project):
    record(project, chat(1, parent=9))
    assert job_of(1).agent_type.slug == "other"
    record(project, agent(9, "planner", seconds=60, ended=NOW + timedelta(minutes=1)))
    job = job_of(1)
    assert (job.agent_type.slug, job.finished_at) == ("planner", NOW + timedelta(minutes=1))
    spend = MonthlySpend.objects.filter(transactions__gt=0)
    assert [(one.agent_type.slug, one.cost_nanos) for one in spend] == [("planner", CHAT_NANOS)]
    assert not list(verification.differences(project))


def test_a_name_reaches_calls_through_a_span_that_comes_last(project):
    record(project, agent(9, "planner"))
    record(project, chat(1, parent=4))
    assert job_of(1).agent_type.slug == "other"
    record(project, span(4, parent=9))
    assert job_of(1).agent_type.slug == "planner"


def test_the_run_lasts_from_the_first_start_to_the_last_end_of_its_trace(project):
    record(project, span(8, seconds=100), chat(1, parent=9))
    record(project, span(7, ended=NOW + timedelta(hours=1)))
    run = PipelineRun.objects.get(run_id=trace_id(1))
    assert (run.started_at, run.finished_at) == (NOW - timedelta(seconds=100), NOW + timedelta(hours=1))
    assert (run.status, run.job_count) == ("succeeded", 1)


def test_a_failed_call_fails_its_job_and_records_nothing_without_usage(project):
    bare = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    assert record(project, span(1, bare, parent=9, error=True)) == ["recorded"]
    job = AgentJob.objects.get(job_id=event_id(9))
    assert (job.status, job.run.status, job.has_deduction) == ("failed", "failed", False)
    assert not CreditTransaction.objects.exists()


def test_a_call_that_reports_no_usage_is_never_recorded_as_free(project):
    record(project, span(1, {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}))
    assert AgentJob.objects.get(job_id=event_id(1)).status == "succeeded"
    assert not CreditTransaction.objects.exists()


def test_the_error_of_an_agents_own_span_fails_its_job_even_late(project):
    record(project, chat(1, parent=9))
    assert job_of(1).status == "succeeded"
    record(project, agent(9, "planner", error=True, parent=5))
    assert (job_of(1).status, job_of(1).run.status) == ("failed", "failed")


def test_the_error_of_the_root_fails_only_the_run(project):
    record(project, chat(1, parent=9), span(9, parent=5), span(5, error=True))
    assert (job_of(1).status, job_of(1).run.status) == ("succeeded", "failed")


def test_the_same_spans_again_change_nothing(project):
    spans = [chat(1, parent=9), agent(9, "planner"), chat(2, parent=9)]
    record(project, *spans)
    before, remembered = stored(project), TraceSpan.objects.count()
    assert record(project, *spans, *spans) == ["duplicate", "recorded", "duplicate"] * 2
    assert (stored(project), TraceSpan.objects.count()) == (before, remembered)


def test_another_call_under_the_same_ids_is_a_conflict_and_is_ignored(project):
    record(project, chat(1, parent=9))
    before = stored(project)
    assert record(project, chat(1, {"gen_ai.usage.output_tokens": 7}, parent=9)) == ["conflict"]
    assert record(project, chat(1, parent=8)) == ["conflict"]
    assert stored(project) == before


def test_two_projects_with_the_same_trace_stay_apart(project, other_project):
    record(other_project, agent(9, "theirs"))
    record(project, chat(1, parent=9))
    assert job_of(1).agent_type.slug == "other"


def test_only_part_of_a_large_trace_is_remembered_and_the_rest_is_billed_all_the_same(project, monkeypatch):
    monkeypatch.setattr(traces, "MAX_SPANS", 3)
    spans = [span(number, parent=9) for number in range(20, 30)]
    record(project, *spans, *(chat(number, parent=9) for number in (1, 2)))
    record(project, *(chat(number, parent=9) for number in (3, 4)))
    assert TraceSpan.objects.count() == 3
    assert {one.span_id for one in TraceSpan.objects.filter(calls_model=True)} >= {span_id(1), span_id(2)}
    assert CreditTransaction.objects.count() == 4
    record(project, agent(9, "planner"))
    assert job_of(4).agent_type.slug == "planner"  # of the same job as those remembered


def test_spans_are_forgotten_after_a_week(project, clock):
    record(project, chat(1, parent=9))
    clock.shift(traces.REMEMBERED_FOR + timedelta(days=1))
    record(project, chat(2, trace=2, parent=9))
    assert [one.trace_id for one in TraceSpan.objects.all()] == [trace_id(2)]
    assert record(project, chat(1, parent=9)) == ["duplicate"]


def test_no_span_is_remembered_if_nothing_was_recorded(project, monkeypatch):
    def broken(*args: Any) -> None:
        raise RuntimeError("the memory is full")

    with monkeypatch.context() as patch:
        patch.setattr(traces.bulk, "insert", broken)
        with pytest.raises(RuntimeError):
            record(project, chat(1, parent=9))
    assert not CreditTransaction.objects.exists()
    assert not TraceSpan.objects.exists()
    assert record(project, chat(1, parent=9)) == ["recorded"]


def test_the_number_of_queries_does_not_grow_with_the_spans(project, django_assert_max_num_queries):
    record(project, chat(1, trace=3))  # agent types and prices are loaded
    spans = [chat(n, trace=n % 7 + 1, parent=1000 + n % 5) for n in range(100, 300)]
    with django_assert_max_num_queries(40):
        record(project, *spans)


def test_the_traces_of_a_session_are_one_run(project):
    for number, trace in ((1, 1), (2, 2)):
        record(project, chat(number, {"session.id": "a session"}, parent=9, trace=trace))
    record(project, agent(9, "planner", seconds=60, error=True, trace=2))
    run = PipelineRun.objects.get()
    assert (run.run_id, run.job_count, run.status) == ("a session", 2, "failed")
    assert run.started_at == NOW - timedelta(seconds=60)
    assert {job.agent_type.slug for job in AgentJob.objects.all()} == {"other", "planner"}
    assert not list(verification.differences(project))


def test_late_reports_reach_every_run_of_a_trace(project):
    calls = [chat(n, {"session.id": f"session {n}"}, parent=9) for n in (1, 2)]
    record(project, *calls, chat(3, parent=8))
    record(project, span(7, error=True))
    assert set(PipelineRun.objects.values_list("run_id", "status")) == {
        *(("session 1", "failed"), ("session 2", "failed"), (trace_id(1), "failed"))
    }
    record(project, agent(9, "planner"))
    assert {(job.run.run_id, job.agent_type.slug) for job in AgentJob.objects.all()} == {
        *(("session 1", "planner"), ("session 2", "planner"), (trace_id(1), "other"))
    }


def test_the_calls_of_one_agent_of_claude_code_are_one_job_under_any_span(project):
    session = {"session.id": "a session", "span.type": "llm_request", "agent_id": "a1"}
    record(project, *(chat(n, session, parent=n + 10, trace=n, name=LLM_REQUEST) for n in (1, 2)))
    assert AgentJob.objects.values_list("run__run_id", "job_id", "status").get() == (
        *("a session", "a1", "succeeded"),
    )
    record(project, span(12, trace=2, error=True))
    assert AgentJob.objects.get().status == "failed"


@pytest.mark.django_db(transaction=True)
def test_parts_of_a_trace_that_arrive_at_the_same_moment_find_each_other(project, other_project):
    spans = [*(chat(n, parent=4) for n in (1, 2)), agent(9, "planner"), span(4, parent=9, error=True)]
    at_once(*(lambda one=one: record(project, one) for one in spans))
    record(other_project, *spans)
    assert stored(project) == stored(other_project)
    assert job_of(1, project=project).agent_type.slug == "planner"


# Traces that nobody would send: parents that never arrive or are their own, and names at every level.
NAMES = st.sampled_from(["planner", "Coder", "other", " planner "])
ENDS = st.sampled_from(
    [
        datetime(2026, 3, 1, tzinfo=UTC) + step
        for step in (timedelta(0), -timedelta(microseconds=1), timedelta(1))
    ]
)
KINDS = st.sampled_from(["chat", "chat", "bare chat", "invoke_agent", "execute_tool", None])


@st.composite
def any_span(draw: st.DrawFn, number: int, trace: int) -> Any:
    kind = draw(KINDS)
    attributes: dict[str, Any] = {}
    if kind == "chat":
        attributes |= {**CHAT, "gen_ai.usage.output_tokens": number}
    elif kind:
        attributes["gen_ai.operation.name"] = kind.removeprefix("bare ")
    if draw(st.booleans()):
        attributes["gen_ai.agent.name"] = draw(NAMES)
    if draw(st.booleans()):
        attributes["session.id"] = draw(st.sampled_from(["a session", "another"]))
    return span(
        number,
        attributes,
        trace=trace,
        parent=draw(st.integers(0, 7)),
        ended=draw(ENDS),
        seconds=draw(st.sampled_from([0, 1, 90_000])),
        error=draw(st.integers(0, 5)) == 0,
        name=draw(st.sampled_from(["a span", LLM_REQUEST])),
    )


all_spans = st.tuples(*(any_span(number, trace) for trace in (1, 2) for number in range(1, 7))).flatmap(
    lambda spans: st.lists(
        st.sampled_from(spans), min_size=3, max_size=9, unique_by=lambda wire: (wire.trace_id, wire.span_id)
    )
)


def in_requests(data: st.DataObject, spans: list[Any]) -> list[list[Any]]:
    requests: list[list[Any]] = [[]]
    for wire in spans:
        requests[-1].append(wire)
        if data.draw(st.booleans()):
            requests.append([])
    return requests


def check_any_order(profile: Any) -> None:
    owner = UserFactory()

    @hypothesis_settings(profile)
    @given(spans=all_spans, data=st.data())
    def check(spans: list[Any], data: st.DataObject) -> None:
        first, other = ProjectFactory(owner=owner), ProjectFactory(owner=owner)
        record(first, *spans)
        again = data.draw(st.lists(st.sampled_from(spans), max_size=4))
        for some in in_requests(data, data.draw(st.permutations([*spans, *again]))):
            record(other, *some)
        assert stored(other) == stored(first)
        assert not list(verification.differences(other))

    check()


@pytest.mark.django_db
def test_the_same_spans_in_any_order_requests_and_repetition_give_the_same_figures():
    check_any_order(hypothesis_settings(QUICK, max_examples=10))


@pytest.mark.long
@pytest.mark.django_db
def test_the_same_spans_give_the_same_figures_at_length():
    check_any_order(hypothesis_settings(LONG, max_examples=300))
