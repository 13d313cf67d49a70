"""Claude Code session logs become usage events: rules on made-up logs, figures on a month of real ones."""

import gzip
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.events.usage_event import Rejection, Tokens, UsageEvent
from billing.sources import BrokenFile, Context, Item, Skipped
from billing.sources.claude_code import parse
from billing.sources.discovery import discover
from billing.sources.files import LogFile
from tests.prices import listed_nanos

pytestmark = pytest.mark.once

CONTEXT = Context(now=datetime(2026, 6, 1, tzinfo=UTC), credits_per_dollar=100)
OPUS = "claude-opus-4-5-20251101"
SESSION = "logs/one.jsonl"


class Lines:
    """A file in memory; may break off after its last line."""

    def __init__(self, name: str, *lines: Any, breaks: bool = False) -> None:
        self.name = name
        self.breaks = breaks
        self._lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]

    def lines(self) -> Iterator[tuple[int, bytes]]:
        yield from enumerate(self._lines, 1)
        if self.breaks:
            raise BrokenFile(len(self._lines) + 1, "the compressed data breaks off")


def at(second: float) -> str:
    return f"2026-01-10T10:{int(second) // 60:02}:{second % 60:06.3f}Z"


def instant(second: float) -> datetime:
    return datetime.fromisoformat(at(second))


def usage(output: int = 5, **counts: Any) -> dict[str, Any]:
    return {"input_tokens": 10, "output_tokens": output, **counts}


def message(id_: str, output: int = 5, *content: Any, **counts: Any) -> dict[str, Any]:
    return {"id": id_, "model": OPUS, "usage": usage(output, **counts), "content": list(content)}


def reply(
    second: float, id_: str = "m1", output: int = 5, *content: Any, request: str | None = "r1", **more: Any
):
    """An assistant record; `more` are further fields of the record."""
    record = {"type": "assistant", "timestamp": at(second), "message": message(id_, output, *content), **more}
    return record if request is None else {**record, "requestId": request}


def call(id_: str, kind: str, name: str = "Task") -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": {"subagent_type": kind}}


def result(second: float, agent: str, status: str = "completed", call_id: str = "t1") -> dict[str, Any]:
    return {
        "type": "user",
        "timestamp": at(second),
        "message": {"content": [{"type": "tool_result", "tool_use_id": call_id}]},
        "toolUseResult": {"status": status, "agentId": agent, "totalTokens": 900},
    }


def progress(second: float, agent: str, nested: dict[str, Any], call_id: str = "t1") -> dict[str, Any]:
    data = {"type": "agent_progress", "agentId": agent, "message": nested}
    return {"type": "progress", "timestamp": at(second), "parentToolUseID": call_id, "data": data}


def read(*files: Any) -> list[Item]:
    return list(parse(list(files), CONTEXT))


def deductions(*files: Any) -> dict[str, UsageEvent]:
    """The deductions by event id, each of which must occur once."""
    found = [item.found for item in read(*files)]
    events = [e for e in found if isinstance(e, UsageEvent) and e.kind == "deduction"]
    assert len({e.event_id for e in events}) == len(events)
    return {e.event_id: e for e in events}


def jobs(*files: Any) -> dict[tuple[str, str], UsageEvent]:
    found = [item.found for item in read(*files)]
    events = [e for e in found if isinstance(e, UsageEvent) and e.kind == "job"]
    assert len({(e.run_id, e.job_id) for e in events}) == len(events)
    return {(e.run_id, e.job_id): e for e in events}


def skipped(*files: Any) -> dict[str, str]:
    return {item.origin: item.found.reason for item in read(*files) if isinstance(item.found, Skipped)}


# Responses


def test_a_response_is_billed_once_by_its_largest_copy_at_its_earliest_time():
    events = deductions(Lines(SESSION, reply(3, output=90), reply(1, output=1), reply(2, output=40)))
    assert list(events) == ["m1:r1"]
    event = events["m1:r1"]
    assert (event.tokens.output, event.occurred_at, event.model) == (90, instant(1), OPUS)
    assert event.stated_nanos is None


def test_the_largest_copy_is_that_of_the_largest_total_and_counts_are_never_mixed():
    more_input = {**reply(1, output=1), "message": message("m1", 1, cache_read_input_tokens=500)}
    event = deductions(Lines(SESSION, reply(2, output=400), more_input))["m1:r1"]
    assert event.tokens == Tokens(input=10, cache_read=500, output=1)


def test_a_response_is_identified_by_both_ids_or_by_the_message_alone():
    two_requests = (reply(1), reply(2, request="r2"))
    no_request = (reply(3, request=None), reply(4, output=9, request=None))
    events = deductions(Lines(SESSION, *two_requests, *no_request))
    assert sorted(events) == ["m1", "m1:r1", "m1:r2"]
    assert events["m1"].tokens.output == 9


def test_a_resumed_session_pays_for_its_own_responses_only():
    first = Lines("logs/b.jsonl", reply(1), reply(2, "m2"))
    resumed = Lines("logs/a.jsonl", reply(5, output=70), reply(6, "m3"))
    events = deductions(resumed, first)
    assert {id_: e.run_id for id_, e in events.items()} == {"m1:r1": "b", "m2:r1": "b", "m3:r1": "a"}
    assert events["m1:r1"].tokens.output == 70


def test_of_copies_at_one_instant_the_one_in_the_first_path_counts():
    files = [Lines("logs/b.jsonl", reply(1)), Lines("logs/a.jsonl", reply(1))]
    assert deductions(*files)["m1:r1"].run_id == "a"
    assert deductions(*reversed(files))["m1:r1"].run_id == "a"


def test_an_api_error_placeholder_is_not_a_response():
    placeholder = reply(1, request=None)
    placeholder["message"]["model"] = "<synthetic>"
    assert not deductions(Lines(SESSION, placeholder))
    assert not skipped(Lines(SESSION, placeholder))


def test_cache_writes_for_an_hour_are_part_of_all_writes_and_cost_more():
    writes = {"cache_creation_input_tokens": 1000, "cache_read_input_tokens": 7}
    parts = {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600}
    long = {**reply(1, "long"), "message": message("long", 5, **writes, cache_creation=parts)}
    short = {**reply(1, "short"), "message": message("short", 5, **writes)}
    events = deductions(Lines(SESSION, long, short))
    assert events["long:r1"].tokens == Tokens(10, 7, 1000, 600, 5)
    assert events["short:r1"].tokens == Tokens(10, 7, 1000, 0, 5)
    costs = {id_: listed_nanos(e.model, e.tokens, e.occurred_at) for id_, e in events.items()}
    assert costs["long:r1"] - costs["short:r1"] == 600 * (10_000 - 6_250)


def test_ids_too_long_for_an_event_are_hashed_and_stay_distinct():
    long = "m" * 150
    events = deductions(Lines(SESSION, reply(1, long, request="r" * 150), reply(1, long, request="s" * 150)))
    assert len(events) == 2
    assert all(id_.startswith("sha256:") and len(id_) < 180 for id_ in events)


def test_ids_that_no_event_can_have_are_hashed():
    (event,) = deductions(Lines("logs/a\nb.jsonl", reply(2, "m\x01"))).values()
    assert event.event_id.startswith("sha256:")
    assert event.run_id.startswith("sha256:")
    request, message_id = event.call_ids
    assert (request, message_id[:7]) == ("r1", "sha256:")


# Runs and jobs


def test_a_session_is_a_run_with_its_main_job():
    other = {"type": "system", "timestamp": at(50)}
    summary = {"type": "summary", "summary": "no time"}
    files = Lines("logs/one.jsonl.gz", summary, reply(10), {"type": "user", "timestamp": at(2)}, other)
    (job,) = jobs(files).values()
    assert (job.run_id, job.job_id, job.agent_type, job.trigger) == ("one", "main", "main", "manual")
    assert (job.run_started_at, job.run_finished_at) == (instant(2), instant(50))
    assert (job.job_started_at, job.job_finished_at, job.occurred_at) == (instant(2), instant(50), instant(2))
    assert (job.job_status, job.run_status) == ("succeeded", "")
    event = deductions(files)["m1:r1"]
    assert (event.run_id, event.job_id, event.agent_type, event.trigger) == ("one", "main", "main", "manual")


def test_a_subagents_file_belongs_to_the_session_of_its_folder():
    own = {"isSidechain": True, "agentId": "a1"}
    main = Lines("logs/one.jsonl", reply(10, "m1", 5, call("t1", "Explore")), result(40, "a1"))
    agent = Lines("logs/one/subagents/agent-a1.jsonl", reply(20, "m2", **own), reply(60, "m3", **own))
    found = jobs(agent, main)
    assert set(found) == {("one", "main"), ("one", "a1")}
    job = found["one", "a1"]
    assert (job.agent_type, job.job_status) == ("Explore", "succeeded")
    assert (job.job_started_at, job.job_finished_at) == (instant(20), instant(60))
    assert (job.run_started_at, job.run_finished_at) == (instant(10), instant(60))
    assert found["one", "main"].job_finished_at == instant(40)
    events = deductions(agent, main)
    assert {id_: (e.run_id, e.job_id, e.agent_type) for id_, e in events.items()} == {
        "m1:r1": ("one", "main", "main"),
        "m2:r1": ("one", "a1", "Explore"),
        "m3:r1": ("one", "a1", "Explore"),
    }


def test_a_subagents_file_is_recognised_by_its_name_if_its_records_name_no_agent():
    events = deductions(Lines("one/subagents/agent-a7.jsonl", reply(1)))
    assert (events["m1:r1"].run_id, events["m1:r1"].job_id) == ("one", "a7")


@pytest.mark.parametrize(
    "name", ["agent-a1.jsonl", "subagents/agent-a1.jsonl", "../subagents/agent-a1.jsonl"]
)
def test_a_subagents_file_whose_path_has_no_session_belongs_to_that_of_its_records(name):
    agent = Lines(name, reply(1, sessionId="one", isSidechain=True, agentId="a1"))
    assert set(jobs(agent, Lines(SESSION, reply(2, "m2")))) == {("one", "main"), ("one", "a1")}


def test_a_sidechain_record_in_the_sessions_own_file_belongs_to_its_agent():
    sidechain = reply(1, isSidechain=True, agentId="a1")
    main = reply(2, "m2", isSidechain=False, agentId="a1")
    events = deductions(Lines(SESSION, sidechain, main))
    assert {id_: e.job_id for id_, e in events.items()} == {"m1:r1": "a1", "m2:r1": "main"}


def test_progress_records_contain_a_subagents_responses():
    nested = reply(20, "m2", 8, request="r2")
    log = Lines(SESSION, reply(10, "m1", 5, call("t1", "dev", "Agent")), progress(21, "a1", nested))
    event = deductions(log)["m2:r2"]
    assert (event.job_id, event.agent_type, event.occurred_at) == ("a1", "dev", instant(20))
    assert event.tokens.output == 8
    assert jobs(log)["one", "a1"].job_status == "running"


def test_a_nested_record_without_a_time_has_that_of_the_progress_record():
    nested = reply(20)
    del nested["timestamp"]
    assert deductions(Lines(SESSION, progress(21, "a1", nested)))["m1:r1"].occurred_at == instant(21)


def test_a_response_in_progress_and_in_the_subagents_own_file_counts_once():
    own = reply(20, "m2", 30, isSidechain=True, agentId="a1")
    files = [
        Lines(SESSION, reply(10), progress(21, "a1", reply(20, "m2", 8))),
        Lines("logs/one/subagents/agent-a1.jsonl", own),
    ]
    event = deductions(*files)["m2:r1"]
    assert (event.job_id, event.tokens.output, event.occurred_at) == ("a1", 30, instant(20))


def test_a_nested_record_with_usage_is_a_response_even_without_a_type():
    nested = {"message": message("m2"), "requestId": "r2"}
    assert deductions(Lines(SESSION, progress(21, "a1", nested)))["m2:r2"].job_id == "a1"


def test_other_progress_and_a_subagents_questions_are_not_responses():
    question = {"type": "user", "timestamp": at(20), "message": {"role": "user", "content": "look"}}
    hook = {"type": "progress", "timestamp": at(1), "data": {"type": "hook_progress", "message": "x"}}
    log = Lines(SESSION, hook, progress(21, "a1", question))
    assert not deductions(log)
    assert not skipped(log)
    assert ("one", "a1") in jobs(log)


def test_a_response_in_the_main_log_that_is_replayed_to_a_subagent_is_the_main_agents():
    replay = reply(1, isSidechain=True, agentId="a1")
    files = [Lines("logs/one/subagents/agent-a1.jsonl", replay), Lines("logs/one.jsonl", reply(1))]
    assert deductions(*files)["m1:r1"].job_id == "main"


def test_of_copies_in_one_file_at_one_instant_the_one_that_names_a_subagent_counts():
    lines = [reply(1), progress(2, "a1", reply(1))]
    for order in (lines, lines[::-1]):
        assert deductions(Lines(SESSION, *order))["m1:r1"].job_id == "a1"


@pytest.mark.parametrize(
    ("reported", "status"),
    [
        ("completed", "succeeded"),
        ("failed", "failed"),
        ("error", "failed"),
        ("cancelled", "cancelled"),
        ("killed", "cancelled"),
        ("async_launched", "running"),
        (None, "running"),
        (["completed"], "running"),
    ],
)
def test_a_subagents_status_is_that_of_its_result(reported, status):
    assert jobs(Lines(SESSION, result(1, "a1", reported)))["one", "a1"].job_status == status


@pytest.mark.parametrize(
    ("reported", "status"),
    [(["async_launched", "completed"], "succeeded"), (["completed", "failed"], "failed")],
)
def test_of_several_results_the_one_that_wins_in_the_ledger_is_reported(reported, status):
    results = [result(second, "a1", status) for second, status in enumerate(reported)]
    for order in (results, results[::-1]):
        assert jobs(Lines(SESSION, *order))["one", "a1"].job_status == status


def test_a_session_known_only_from_its_subagents_has_a_main_job_too():
    agent = Lines("one/subagents/agent-a1.jsonl", reply(1), reply(9, "m2"))
    job = jobs(agent)["one", "main"]
    assert (job.job_started_at, job.job_finished_at) == (instant(1), instant(9))


def test_a_blank_type_is_unknown():
    log = Lines(SESSION, reply(1, "m1", 5, call("t1", " ")), result(2, "a1"))
    assert jobs(log)["one", "a1"].agent_type == "unknown"


def test_a_subagent_without_usage_is_only_a_job():
    log = Lines(SESSION, reply(1, "m1", 5, call("t1", "Explore")), result(9, "old"))
    job = jobs(log)["one", "old"]
    assert (job.agent_type, job.job_started_at, job.job_finished_at) == ("Explore", instant(9), instant(9))
    assert [e.job_id for e in deductions(log).values()] == ["main"]


def test_types_keep_their_namespaces_and_compaction_and_unknown_agents_have_types_too():
    log = Lines(
        SESSION,
        reply(
            1, "m1", 5, call("t1", "tools:review:linter"), {"type": "tool_use", "id": "t3", "name": "Task"}
        ),
        result(2, "a1"),
        result(3, "a2", call_id="t2"),
        result(4, "a3", call_id="t3"),
        reply(5, "m2", isSidechain=True, agentId="acompact-77"),
    )
    types = {job: event.agent_type for (_, job), event in jobs(log).items()}
    assert types == {
        "main": "main",
        "a1": "tools:review:linter",
        "a2": "unknown",
        "a3": "unknown",
        "acompact-77": "compact",
    }
    assert deductions(log)["m2:r1"].agent_type == "compact"


def test_a_resumed_subagent_keeps_the_type_of_the_call_that_started_it():
    log = Lines(
        SESSION,
        result(9, "a1", call_id="t2"),
        reply(1, "m1", 5, call("t1", "dev"), call("t2", "architect")),
        result(2, "a1", call_id="t1"),
    )
    assert jobs(log)["one", "a1"].agent_type == "dev"


def test_the_call_that_started_a_subagent_may_be_in_another_file():
    files = [Lines("a.jsonl", result(2, "a1")), Lines("b.jsonl", reply(1, "m1", 5, call("t1", "dev")))]
    assert jobs(*files)["a", "a1"].agent_type == "dev"


# What can't be read


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"assistant","timestamp":"2026-01-1',
        b"plain text",
        b"\xff\xfe",
        b"[1, 2]",
        b"[" * 100_000,
        {"type": "assistant", "timestamp": at(1)},
        {"type": "assistant", "timestamp": at(1), "message": "text"},
        {"type": "assistant", "timestamp": at(1), "message": {"id": "m9", "model": OPUS}},
        {**reply(1, "m9"), "message": {"model": OPUS, "usage": usage()}},
        {**reply(1, "m9"), "message": {"id": "m9", "model": 4, "usage": usage()}},
        {**reply(1, "m9"), "message": {"id": "m9", "model": OPUS, "usage": {}}},
        {**reply(1, "m9"), "message": {"id": "m9", "model": OPUS, "usage": [1]}},
        reply(1, "m9", -1),
        reply(1, "m9", 10**12 + 1),
        reply(1, "m9", 1.5),
        reply(1, "m9", True),
        reply(1, "m9", "5"),
        {**reply(1, "m9"), "message": message("m9", cache_creation=7)},
        {**reply(1, "m9"), "message": message("m9", cache_creation={"ephemeral_1h_input_tokens": -1})},
        {**reply(1, "m9"), "requestId": 7},
        {**reply(1, "m9"), "timestamp": None},
        {**reply(1, "m9"), "timestamp": 1767996000},
        {**reply(1, "m9"), "timestamp": "yesterday"},
        {**reply(1, "m9"), "timestamp": "2026-01-10T10:00:00"},
        {**reply(1, "m9"), "timestamp": "2031-01-10T10:00:00Z"},
        {**reply(1, "m9"), "timestamp": "1969-01-10T10:00:00Z"},
        progress(1, "", reply(1, "m9")),
        progress(1, "a1", {**reply(1, "m9"), "message": {"id": "m9", "model": OPUS}}),
        {"type": "progress", "timestamp": at(1), "data": {"type": "agent_progress", "agentId": "a1"}},
        {**result(1, "a1"), "timestamp": None},
        {**progress(1, "a1", reply(1, "m9")), "data": {"type": "new", "message": reply(1, "m9")}},
    ],
    ids=lambda line: repr(line)[:60],
)
def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_read(line):
    log = Lines(SESSION, reply(1), line, b"", reply(2, "m2"))
    assert list(skipped(log)) == [f"{SESSION}:2"]
    assert sorted(deductions(log)) == ["m1:r1", "m2:r1"]
    assert not [item for item in read(log) if isinstance(item.found, Rejection)]


def test_skipped_lines_are_reported_in_order_of_file_name():
    assert list(skipped(Lines("b.jsonl", b"x", b"y"), Lines("a.jsonl", b"z"))) == [
        "a.jsonl:1",
        "b.jsonl:1",
        "b.jsonl:2",
    ]


def test_a_time_out_of_range_does_not_move_the_run():
    log = Lines(SESSION, reply(1), {"type": "system", "timestamp": "2031-01-01T00:00:00Z"})
    assert jobs(log)["one", "main"].run_finished_at == instant(1)


def test_a_file_that_breaks_off_is_rejected_and_what_was_read_before_counts():
    log = Lines(SESSION, reply(1), breaks=True)
    (rejected,) = [item for item in read(log) if isinstance(item.found, Rejection)]
    assert (rejected.origin, rejected.found.reason) == (f"{SESSION}:2", "the compressed data breaks off")
    assert list(deductions(log)) == ["m1:r1"]


def test_a_byte_order_mark_is_not_part_of_the_first_line():
    assert list(deductions(Lines(SESSION, b"\xef\xbb\xbf" + json.dumps(reply(1)).encode()))) == ["m1:r1"]


_KEYS = st.sampled_from(
    [
        "type",
        "timestamp",
        "message",
        "data",
        "usage",
        "id",
        "content",
        "agentId",
        "toolUseResult",
        "isSidechain",
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just(at(1))
_LEAVES |= st.sampled_from(["assistant", "progress", "agent_progress", "completed", "tool_use", "Task"])
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner), max_leaves=15
)


@given(st.lists(_JSON, max_size=5))
def test_no_json_is_too_odd_to_read(values):
    read(Lines(SESSION, *values))


# Whole folders


def test_the_order_of_files_and_lines_does_not_matter():
    logs = {
        "a.jsonl": [
            reply(1, "m1", 5, call("t1", "dev")),
            reply(1, "m1", 9),
            result(7, "a1"),
            reply(3, "m2", 2),
        ],
        "b.jsonl": [reply(1, "m1", 4), reply(3, "m2", 8), progress(5, "a1", reply(4, "m3"))],
        "a/subagents/agent-a1.jsonl": [reply(4, "m3", 6, isSidechain=True, agentId="a1")],
    }
    outcomes = set()
    for order in itertools.permutations(logs.items()):
        for step in (1, -1):
            items = read(*(Lines(name, *lines[::step]) for name, lines in order))
            outcomes.add(tuple(sorted(repr(item.found) for item in items)))
    assert len(outcomes) == 1


def test_a_folder_of_logs_on_disk_plain_and_compressed(tmp_path):
    made_up = Path(__file__).parent / "data" / "claude_code"
    for path in sorted(made_up.rglob("*.jsonl")):
        packed = tmp_path / path.relative_to(made_up).with_suffix(".jsonl.gz")
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(gzip.compress(path.read_bytes()))
    for folder in (made_up, tmp_path):
        files: list[LogFile] = discover([folder]).files
        events = deductions(*files)
        assert {id_: (e.run_id, e.job_id, e.tokens.total) for id_, e in events.items()} == {
            "msg_1:req_1": ("5e55", "main", 1160),
            "msg_2:req_2": ("5e55", "a1", 300),
        }
        assert {(e.job_id, e.agent_type, e.job_status) for e in jobs(*files).values()} == {
            ("main", "main", "succeeded"),
            ("a1", "Explore", "succeeded"),
        }
        (name,) = skipped(*files)
        assert Path(name.rpartition(":")[0]).name.startswith("5e55.jsonl")
        assert name.endswith(":6")


# A month of real logs

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
EXPECTED = SHARED / "expected" / "claude_code_entireio-cli_2026-01.json"
REAL_STATUSES = {"completed": "succeeded", "unknown": "running", "async_launched": "running"}


@cache
def cost_of(event: UsageEvent) -> int:
    cost = listed_nanos(event.model, event.tokens, event.occurred_at, factors=event.factors)
    assert cost is not None
    return cost


class Figures:
    """Sums over deductions, in the names and units of the expected answers."""

    def __init__(self) -> None:
        self.transactions = self.input_tokens = self.output_tokens = self.nanos = 0

    def add(self, event: UsageEvent) -> None:
        self.transactions += 1
        self.input_tokens += event.tokens.all_input
        self.output_tokens += event.tokens.output
        self.nanos += cost_of(event)

    def shown(self) -> dict[str, Any]:
        counts = {k: v for k, v in vars(self).items() if k != "nanos"}
        return {**counts, "cost_usd": round(self.nanos / 1e9, 6)}


def figures_by(events: list[UsageEvent], key: Any) -> dict[str, dict[str, Any]]:
    sums: defaultdict[str, Figures] = defaultdict(Figures)
    for event in events:
        sums[key(event)].add(event)
    return {name: figures.shown() for name, figures in sums.items()}


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads(EXPECTED.read_text())


@pytest.fixture(scope="module")
def real() -> list[Item]:
    return read(*discover([SHARED / "claude_code" / "entireio-cli"]).files)


@pytest.fixture(scope="module")
def spent(real) -> list[UsageEvent]:
    return [i.found for i in real if isinstance(i.found, UsageEvent) and i.found.kind == "deduction"]


@pytest.fixture(scope="module")
def worked(real) -> list[UsageEvent]:
    return [i.found for i in real if isinstance(i.found, UsageEvent) and i.found.kind == "job"]


@pytest.mark.skipif(not EXPECTED.exists(), reason="the real session logs are not beside the checkout")
class TestRealLogs:
    def test_totals(self, real, spent, worked, expected):
        assert len(spent) + len(worked) == len(real)  # nothing skipped, nothing rejected
        (totals,) = figures_by(spent, lambda e: "all").values()
        tokens = [e.tokens for e in spent]
        assert expected["totals"] == {
            **totals,
            "uncached_input_tokens": sum(t.input for t in tokens),
            "cache_creation_input_tokens": sum(t.cache_write for t in tokens),
            "cache_read_input_tokens": sum(t.cache_read for t in tokens),
            "runs": len({job.run_id for job in worked}),
            "runs_with_billed_usage": len({e.run_id for e in spent}),
            "jobs": len(worked),
            "synthetic_records_skipped": count_synthetic(SHARED / "claude_code" / "entireio-cli"),
        }

    def test_lines(self, expected):
        files = discover([SHARED / "claude_code" / "entireio-cli"]).files
        assert expected["lines"] == sum(1 for file in files for _ in file.lines())

    def test_per_month(self, spent, expected):
        assert figures_by(spent, lambda e: f"{e.occurred_at:%Y-%m}") == expected["per_month"]

    def test_per_day(self, spent, expected):
        assert figures_by(spent, lambda e: f"{e.occurred_at:%Y-%m-%d}") == expected["per_day_utc"]

    def test_per_model(self, spent, expected):
        assert figures_by(spent, lambda e: e.model) == expected["per_model"]

    def test_per_agent_type(self, spent, worked, expected):
        sums = figures_by(spent, lambda e: e.agent_type)
        billed = {(e.run_id, e.job_id) for e in spent}
        of_type: defaultdict[str, list[UsageEvent]] = defaultdict(list)
        for job in worked:
            of_type[job.agent_type].append(job)
        found = {}
        for kind, its in of_type.items():
            idle = sum((job.run_id, job.job_id) not in billed for job in its)
            found[kind] = {
                **sums.get(kind, Figures().shown()),
                "jobs": len(its),
                "status": Counter(job.job_status for job in its),
                **({"jobs_without_billed_usage": idle} if idle else {}),
            }
        assert sums.keys() <= found.keys()
        assert found == {
            kind: with_our_statuses(figures) for kind, figures in expected["per_agent_type"].items()
        }

    def test_top_runs(self, spent, worked, expected):
        sums = figures_by(spent, lambda e: e.run_id)
        first = sorted(sums, key=lambda run: -sums[run]["cost_usd"])[:5]
        runs = {job.run_id: job for job in worked}
        found = [
            {
                **sums[run],
                "run": run,
                "started_at": log_time(runs[run].run_started_at),
                "finished_at": log_time(runs[run].run_finished_at),
                "jobs": sum(job.run_id == run for job in worked),
            }
            for run in first
        ]
        assert found == expected["top5_runs"]


def count_synthetic(folder: Path) -> int:
    texts = (gzip.decompress(path.read_bytes()) for path in folder.glob("*.gz"))
    return sum(text.count(b'"<synthetic>"') for text in texts)


def with_our_statuses(figures: dict[str, Any]) -> dict[str, Any]:
    statuses: Counter[str] = Counter()
    for status, count in figures["status"].items():
        statuses[REAL_STATUSES[status]] += count
    return {**figures, "status": statuses}


def log_time(instant: datetime | None) -> str:
    assert instant is not None
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
