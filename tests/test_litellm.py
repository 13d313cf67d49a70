"""LiteLLM's spend logs and callbacks become usage events."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import verification
from billing.events.usage_event import Rejection, Tokens, UsageEvent
from billing.imports.importer import Receipt, import_paths
from billing.json_decoding import decode
from billing.models import CreditTransaction
from billing.sources import BrokenFile, Context, Item
from billing.sources.files import LogFile
from billing.sources.guess import guess_format
from billing.sources.litellm import parse, read_record
from products.models import AgentJob

pytestmark = pytest.mark.once

CONTEXT = Context(now=datetime(2026, 6, 1, tzinfo=UTC), credits_per_dollar=100)
NAME = "logs/spend.jsonl"
START = datetime(2026, 3, 1, 10, 0, 0, 123_000, tzinfo=UTC)
FINISH = datetime(2026, 3, 1, 10, 0, 2, tzinfo=UTC)


class Lines:
    """A file in memory; may break off after its last line."""

    def __init__(self, *lines: Any, breaks: bool = False) -> None:
        self.name = NAME
        self.breaks = breaks
        self._lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]

    def lines(self) -> Iterator[tuple[int, bytes]]:
        yield from enumerate(self._lines, 1)
        if self.breaks:
            raise BrokenFile(len(self._lines) + 1, "the compressed data breaks off")


def spend_log(id_: str = "chatcmpl-1", **more: Any) -> dict[str, Any]:
    """A row as `GET /spend/logs` returns it, without the fields that are not read."""
    row = {
        "request_id": id_,
        "call_type": "acompletion",
        "spend": 0.00123,
        "total_tokens": 130,
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "startTime": "2026-03-01T10:00:00.123Z",
        "endTime": "2026-03-01T10:00:02Z",
        "model": "gpt-4o-mini",
        "metadata": {"usage_object": {"prompt_tokens": 100, "completion_tokens": 30}},
        "cache_hit": "False",
        "request_tags": ["a tag"],
        "session_id": "session-1",
        "agent_id": "reviewer",
        "status": "success",
    }
    return {**row, **more}


def payload(id_: str = "chatcmpl-1", **more: Any) -> dict[str, Any]:
    """The same call in the form that the callback sends."""
    row = {
        "id": id_,
        "trace_id": "session-1",
        "session_id": "",
        "response_cost": 0.00123,
        "response_cost_failure_debug_info": None,
        "zero_cost_diagnostic": None,
        "status": "success",
        "total_tokens": 130,
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "startTime": 1772359200.123456,
        "endTime": 1772359202.0,
        "model": "gpt-4o-mini",
        "metadata": {"usage_object": {}, "requester_metadata": {"agent_id": "reviewer"}},
    }
    return {**row, **more}


def cached(**usage: Any) -> dict[str, Any]:
    return {"metadata": {"usage_object": usage}}


def read(*lines: Any, **options: Any) -> list[Item]:
    return list(parse([Lines(*lines, **options)], CONTEXT))


def event(record: Any) -> UsageEvent:
    (item,) = read(record)
    assert isinstance(item.found, UsageEvent), item.found
    return item.found


def refusals(*lines: Any, **options: Any) -> dict[str, Rejection]:
    return {item.origin: item.found for item in read(*lines, **options) if isinstance(item.found, Rejection)}


# A call


@pytest.mark.parametrize(
    ("record", "run_is_trace"), [(spend_log(), False), (payload(), True)], ids=["spend log", "callback"]
)
def test_a_call_is_a_deduction_of_its_own_job(record, run_is_trace):
    assert event(record) == UsageEvent(
        kind="deduction",
        event_id="chatcmpl-1",
        occurred_at=START,
        run_id="session-1",
        run_started_at=START,
        run_finished_at=FINISH,
        job_id="chatcmpl-1",
        agent_type="reviewer",
        job_status="succeeded",
        job_started_at=START,
        job_finished_at=FINISH,
        model="gpt-4o-mini",
        tokens=Tokens(input=100, output=30),
        stated_nanos=1_230_000,
        call_ids=("chatcmpl-1",),
        sender="litellm",
        run_is_trace=run_is_trace,
    )


def test_the_callback_and_the_spend_log_of_a_call_are_the_same_event():
    assert event(spend_log()).content == event(payload()).content


@pytest.mark.parametrize("record", [spend_log, payload])
def test_a_call_without_a_session_is_its_own_run_and_without_an_agent_is_other(record):
    for nothing in (None, ""):
        found = event(record(session_id=nothing, trace_id=nothing, agent_id=nothing, metadata=nothing))
        assert (found.run_id, found.agent_type, found.run_is_trace) == ("chatcmpl-1", "other", True)


def test_a_failed_call_without_usage_is_not_named_as_a_call_that_others_may_report():
    nothing = {"status": "failure", "prompt_tokens": 0, "completion_tokens": 0}
    assert event(payload(**nothing, response_cost=0)).call_ids == ()
    assert event(payload(**nothing, response_cost=0.5)).call_ids == ("chatcmpl-1",)
    assert event(payload(response_cost=None)).call_ids == ("chatcmpl-1",)


def test_a_callbacks_session_comes_before_its_trace():
    found = event(payload(session_id="conversation"))
    assert (found.run_id, found.run_is_trace) == ("conversation", False)


def test_a_callbacks_agent_may_be_in_the_metadata_meant_for_spend_logs():
    metadata = {"requester_metadata": None, "spend_logs_metadata": {"agent_id": "tester"}}
    assert event(payload(metadata=metadata)).agent_type == "tester"


@pytest.mark.parametrize("record", [spend_log, payload])
@pytest.mark.parametrize(
    ("reported", "status"), [("failure", "failed"), ("success", "succeeded"), (None, ""), (7, "")]
)
def test_a_failed_call_is_a_failed_job(record, reported, status):
    assert event(record(status=reported)).job_status == status


def test_a_cache_hit_has_an_id_of_its_own_and_costs_nothing():
    hit = event(spend_log("chatcmpl-1_cache_hit1772359300.5", spend=0.0, cache_hit="True"))
    assert (hit.event_id, hit.stated_nanos) == ("chatcmpl-1_cache_hit1772359300.5", 0)


# Tokens


@pytest.mark.parametrize(
    ("metadata", "tokens"),
    [
        (cached(prompt_tokens_details={"cached_tokens": 60}), Tokens(40, 60, 0, 0, 30)),
        (cached(cache_read_input_tokens=60), Tokens(40, 60, 0, 0, 30)),
        (
            cached(cache_read_input_tokens=60, prompt_tokens_details={"cached_tokens": 60}),
            Tokens(40, 60, 0, 0, 30),
        ),
        (
            cached(cache_read_input_tokens=0, prompt_tokens_details={"cached_tokens": 60}),
            Tokens(40, 60, 0, 0, 30),
        ),
        (cached(cache_creation_input_tokens=20), Tokens(80, 0, 20, 0, 30)),
        (cached(prompt_tokens_details={"cache_write_tokens": 20}), Tokens(80, 0, 20, 0, 30)),
        (
            cached(
                cache_read_input_tokens=50,
                cache_creation_input_tokens=20,
                prompt_tokens_details={
                    "cached_tokens": 50,
                    "cache_creation_tokens": 20,
                    "cache_creation_token_details": {
                        "ephemeral_5m_input_tokens": 5,
                        "ephemeral_1h_input_tokens": 15,
                    },
                },
            ),
            Tokens(30, 50, 20, 15, 30),
        ),
        (cached(cache_read_input_tokens=900), Tokens(100, 900, 0, 0, 30)),
        (
            {"metadata": {"additional_usage_values": {"cache_read_input_tokens": 60}}},
            Tokens(40, 60, 0, 0, 30),
        ),
        ({"metadata": json.dumps(cached(cache_read_input_tokens=60)["metadata"])}, Tokens(40, 60, 0, 0, 30)),
        (cached(prompt_tokens_details=None), Tokens(100, 0, 0, 0, 30)),
        (cached(prompt_tokens_details=[1]), Tokens(100, 0, 0, 0, 30)),
        (cached(prompt_tokens_details={"cache_creation_tokens": 20}), Tokens(80, 0, 20, 0, 30)),
        (
            cached(prompt_tokens_details={"cache_creation_token_details": {"ephemeral_1h_input_tokens": 5}}),
            Tokens(100, 0, 0, 0, 30),
        ),
        ({"metadata": "{"}, Tokens(100, 0, 0, 0, 30)),
        ({"metadata": "[" * 100_000}, Tokens(100, 0, 0, 0, 30)),
        ({"metadata": None}, Tokens(100, 0, 0, 0, 30)),
    ],
    ids=lambda value: json.dumps(value)[:90] if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("record", [spend_log, payload])
def test_cached_tokens_are_subtracted_from_the_prompt(record, metadata, tokens):
    assert event(record(**metadata)).tokens == tokens


# Money


@pytest.mark.parametrize(
    ("spend", "nanos"),
    [
        (b"1.35e-05", 13_500),
        (b"0.1", 100_000_000),
        (b"0.30000000000000004", 300_000_000),
        # What a float of 0.0000000025 is when it is written out: its shortest form is halfway.
        (b"2.50000000000000014876895392e-9", 2),
        (b"7", 7_000_000_000),
        (b"0", None),
        (b'"0.25"', 250_000_000),
    ],
)
def test_the_cost_is_the_shortest_decimal_form_of_the_float(spend, nanos):
    line = json.dumps(spend_log(spend="SPEND")).encode().replace(b'"SPEND"', spend)
    assert event(line).stated_nanos == nanos


@pytest.mark.parametrize("zero", [0, 0.0, "0", "0.0", "0E-9", "-0.0"])
@pytest.mark.parametrize(("record", "field"), [(spend_log, "spend"), (payload, "response_cost")])
def test_a_cost_of_0_for_tokens_is_not_a_cost_unless_a_cache_gave_the_answer(record, field, zero):
    assert event(record(**{field: zero})).stated_nanos is None
    assert event(record(**{field: zero}, prompt_tokens=0)).stated_nanos is None
    assert event(record(**{field: zero}, prompt_tokens=0, completion_tokens=0)).stated_nanos in (0, None)
    for hit in (True, "True", "true"):
        assert event(record(**{field: zero}, cache_hit=hit)).stated_nanos == 0
    assert event(record("chatcmpl-1_cache_hit1772359300.5", **{field: zero})).stated_nanos == 0


@pytest.mark.parametrize(("record", "field"), [(spend_log, "spend"), (payload, "response_cost")])
def test_an_answer_from_the_cache_costs_nothing_even_if_no_cost_is_stated(record, field):
    assert event(record(**{field: None}, cache_hit=True)).stated_nanos == 0
    assert event(record("chatcmpl-1_cache_hit1772359300.5", **{field: None})).stated_nanos == 0
    assert event(record(**{field: None}, cache_hit="False")).stated_nanos is None


def test_a_call_that_used_nothing_may_cost_nothing():
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "status": "failure"}
    assert event(payload(response_cost=0.0, **nothing)).stated_nanos == 0
    assert event(payload(response_cost=None)).stated_nanos is None


# Times


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-01T10:00:00.123",
        "2026-03-01 10:00:00.123456",
        "2026-03-01T10:00:00.123Z",
        "2026-03-01 10:00:00.123999+00:00",
        "2026-03-01T12:00:00.123+02:00",
        1772359200.1235,
    ],
)
def test_a_time_without_an_offset_is_utc_and_all_are_cut_to_milliseconds(written, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/New_York")
        time.tzset()
        found = event(spend_log(startTime=written)).occurred_at
    time.tzset()
    assert found == START


# What can't be read

WRONG = {
    "a cut-off line": (b'{"request_id": "x", "spe', "", "not valid JSON"),
    "a list": ([1], "", "a JSON object is needed"),
    "no UTF-8": (b'{"request_id": "\xff"}', "", "not valid JSON"),
    "deep nesting": (b"[" * 100_000, "", "nested too deeply"),
    "no id": ({"spend": 1}, "", "it has neither a request_id nor an id"),
    "an id that is none": (spend_log(7), "eventId", "must be text"),
    "an empty id": (spend_log(""), "eventId", "must have 1 to 200 characters"),
    "NUL": (spend_log(model="a\0"), "model", "must not contain control characters"),
    "a negative cost": (spend_log(spend=-0.1), "costDollars", "must be from 0"),
    "a cost that is none": (spend_log(spend="free"), "costDollars", "must be a decimal number"),
    "a cost that is true": (spend_log(spend=True), "costDollars", "must be a decimal number"),
    "an endless cost": (
        json.dumps(spend_log(spend=1)).replace('"spend": 1', '"spend": 1e999'),
        "costDollars",
        "",
    ),
    "a negative count": (spend_log(prompt_tokens=-1), "prompt_tokens", "must be a whole number"),
    "half a token": (spend_log(completion_tokens=1.5), "completion_tokens", "must be a whole number"),
    "a count beyond all": (spend_log(prompt_tokens=10**13), "prompt_tokens", "must be a whole number"),
    "no time": (spend_log(startTime=None), "occurredAt", "is required"),
    "a time that is none": (spend_log(startTime="yesterday"), "occurredAt", "must be an ISO 8601 time"),
    "a time long ago": (spend_log(startTime=0), "occurredAt", "must not be before 2000"),
    "a time beyond all": (spend_log(startTime=10**30), "startTime", "is not a possible time"),
    "a time with a million digits": (
        json.dumps(spend_log(startTime=1)).replace('"startTime": 1', '"startTime": 1e4000'),
        "startTime",
        "is not a possible time",
    ),
    "a count beyond all decimals": (
        json.dumps(spend_log(prompt_tokens=1)).replace('"prompt_tokens": 1', '"prompt_tokens": 1e9999999'),
        "prompt_tokens",
        "must be a whole number",
    ),
    "a time to come": (spend_log(startTime="2031-03-01T10:00:00"), "occurredAt", "in the future"),
    "an agent that is none": (spend_log(agent_id=["x"]), "agentType", "must be text"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_record_is_named_and_the_others_are_read(wrong):
    line, field, reason = WRONG[wrong]
    given_line = line.encode() if isinstance(line, str) else line
    found = refusals(spend_log("a"), given_line, b"", spend_log("b"))
    assert list(found) == [f"{NAME}:2"]
    assert found[f"{NAME}:2"].field == field
    assert reason in found[f"{NAME}:2"].reason
    events = [item.found for item in read(spend_log("a"), given_line, spend_log("b"))]
    assert [e.event_id for e in events if isinstance(e, UsageEvent)] == ["a", "b"]


def test_a_refusal_names_the_request():
    (refusal,) = refusals(spend_log("chatcmpl-9", prompt_tokens=-1)).values()
    assert refusal.event_id == "chatcmpl-9"


def test_a_file_that_breaks_off_is_rejected_and_what_was_read_before_counts():
    items = read(spend_log(), breaks=True)
    assert [type(item.found) for item in items] == [UsageEvent, Rejection]
    assert items[1].origin == f"{NAME}:2"


ODD = [
    *(None, True, 0, -1, 7, 10**13, 10**30, "", "1", "x" * 600, "\0", "\ud800", "{", "[1]", "NaN"),
    *("2026-03-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", [], [7], [{}], {}, {"a": {}}),
    *map(Decimal, ("0.5", "-1.5", "1e-9999999", "1e4000", "1e999999", "1e9999999", "Infinity")),
]
"""What JSON may hold where a record has something else. Numbers with a fraction are decimals by then."""


def full(record: Any) -> dict[str, Any]:
    """A record with everything that is read."""
    details = {"cached_tokens": 3, "audio_tokens": 1}
    usage = {
        "prompt_tokens_details": {
            **details,
            "cache_creation_token_details": {"ephemeral_1h_input_tokens": 1},
        },
        "completion_tokens_details": {"audio_tokens": 1},
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 4,
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 1},
        "speed": "fast",
        "service_tier": "flex",
        "inference_geo": "us",
    }
    metadata = {"usage_object": usage, "requester_metadata": {"agent_id": "a"}, "spend_logs_metadata": {}}
    told = {"litellm_call_id": "call", "session_id": "s", "custom_llm_provider": "bedrock"}
    told |= {"model_parameters": {"speed": "fast"}, "cache_hit": False, "metadata": metadata}
    return dict(decode(json.dumps(record(**told))))


def places(value: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield (*above, name)
        yield from places(inner, (*above, name))


def with_odd(record: dict[str, Any], place: tuple[str, ...], odd: Any) -> dict[str, Any]:
    name, *below = place
    return {**record, name: with_odd(record[name], tuple(below), odd) if below else odd}


@pytest.mark.parametrize("record", [spend_log, payload])
def test_no_value_of_any_field_is_too_odd_to_read(record):
    assert isinstance(read_record(full(record), CONTEXT), UsageEvent)
    for place in places(full(record)):
        for odd in ODD:
            found = read_record(with_odd(full(record), place, odd), CONTEXT)
            assert isinstance(found, UsageEvent) or found.reason


@pytest.mark.parametrize(
    "place",
    [
        ("usage_object", "server_tool_use"),
        ("usage_object", "server_tool_use", "web_search_requests"),
        ("usage_object", "completion_tokens_details"),
        ("usage_object", "completion_tokens_details", "audio_tokens"),
        ("usage_object", "speed"),
    ],
    ids=".".join,
)
def test_a_call_is_recorded_whatever_is_said_of_its_price(place):
    for odd in ODD:
        found = read_record(with_odd(full(payload), ("metadata", *place), odd), CONTEXT)
        assert isinstance(found, UsageEvent)
        assert (found.tokens.total, found.stated_nanos) == (130, 1_230_000)


_KEYS = st.sampled_from(
    [
        *(*spend_log(), *payload(), "usage_object", "prompt_tokens_details", "completion_tokens_details"),
        *("cached_tokens", "audio_tokens", "server_tool_use", "web_search_requests", "web_fetch_requests"),
        *("requester_metadata", "model_parameters", "speed", "custom_llm_provider", "litellm_call_id"),
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_LEAVES |= st.text(max_size=4) | st.sampled_from(
    ["{", '{"usage_object":1}', "2026-03-01", "0001-01-01T00:00:00+23:00"]
)
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner), max_leaves=12
)


@given(st.dictionaries(_KEYS, _JSON), st.sampled_from([spend_log, payload]))
def test_no_json_is_too_odd_to_read(values, record):
    read(values, record(**{key: value for key, value in values.items() if key not in ("request_id", "id")}))


# Arrays


def array(*values: Any, indent: int | None = None) -> list[bytes]:
    return json.dumps(values, indent=indent).encode().split(b"\n")


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_is_read_record_by_record(indent):
    items = read(b"", *array(spend_log("a"), 7, spend_log("b", spend=-1), spend_log("c"), indent=indent))
    assert [item.origin for item in items] == [f"{NAME}[{index}]" for index in range(4)]
    assert [item.found.event_id for item in items if isinstance(item.found, UsageEvent)] == ["a", "c"]
    assert [item.found.field for item in items if isinstance(item.found, Rejection)] == ["", "costDollars"]


@pytest.mark.parametrize(
    ("text", "reason"), [(b'[{"id": 1}', "not valid JSON"), (b"[" * 100_000, "too deeply")]
)
def test_nothing_is_read_from_an_array_that_is_not_json(text, reason):
    (item,) = read(text)
    assert item.origin == NAME
    assert reason in item.found.reason


# Files


def imported(project: Any, *paths: Path) -> Receipt:
    receipt = import_paths(project, paths)
    assert not list(verification.differences(project))
    return receipt


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("a.jsonl", [json.dumps(spend_log()).encode()]),
        ("a.jsonl", [json.dumps(payload()).encode()]),
        ("a.json", array(spend_log())),
        ("a.json", array(spend_log(), indent=4)),
        ("a.json", array({"model_map": list(range(999)), **payload()}, indent=1)),
        ("a.json", [b"\xef\xbb\xbf" + array(payload())[0]]),
    ],
    ids=[
        *("lines", "lines of the callback"),
        *("array", "array over many lines", "array of long objects", "array after a byte order mark"),
    ],
)
def test_the_format_is_guessed_from_the_content(tmp_path, name, lines):
    path = write(tmp_path / name, *lines)
    assert guess_format(LogFile(path)) == "litellm"
    assert [type(item.found) for item in parse([LogFile(path)], CONTEXT)] == [UsageEvent]


def test_another_array_is_not_taken_for_spend_logs(tmp_path):
    assert guess_format(LogFile(write(tmp_path / "a.json", b'[{"request_id": 1}]'))) is None
    assert guess_format(LogFile(write(tmp_path / "a.jsonl", b'{"x": ["request_id", "spend"]}'))) is None


def test_spend_logs_are_recorded_once_whichever_way_they_come(project, tmp_path):
    failed = spend_log("chatcmpl-2", status="failure", spend=0.0, prompt_tokens=0, completion_tokens=0)
    logs = write(tmp_path / "a.jsonl", *(json.dumps(row).encode() for row in (spend_log(), failed)))
    answer = write(tmp_path / "b.json", *array(spend_log(), failed, indent=2))
    callback = write(tmp_path / "c.jsonl", json.dumps(payload()).encode())
    assert imported(project, logs).counts["recorded"] == 2
    again = imported(project, logs, answer, callback)
    assert (again.counts["duplicate"], again.read) == (5, 5)
    rows = CreditTransaction.objects.filter(project=project)
    assert {row.event_id: row.amount_nanos for row in rows} == {"chatcmpl-1": 1_230_000, "chatcmpl-2": 0}
    jobs = AgentJob.objects.filter(project=project).values_list("job_id", "status")
    assert dict(jobs) == {"chatcmpl-1": "succeeded", "chatcmpl-2": "failed"}
