"""Codex session logs become usage events: rules on made-up logs, figures on real ones."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from billing import verification
from billing.events.usage_event import Rejection, Tokens, UsageEvent
from billing.imports.importer import Receipt, import_paths
from billing.models import CreditTransaction
from billing.sources import BrokenFile, Context, Item, Skipped
from billing.sources.codex import parse
from billing.sources.discovery import discover
from billing.sources.files import LogFile
from billing.sources.guess import guess_format
from products.models import AgentJob, PipelineRun
from tests.factories import ProjectFactory
from tests.prices import listed_nanos

pytestmark = pytest.mark.once

CONTEXT = Context(now=datetime(2026, 6, 1, tzinfo=UTC), credits_per_dollar=100)
MODEL = "gpt-5.3-codex"
PARENT = "019c8a00-0000-7000-8000-000000000001"
SESSION = "019c8a4c-ed82-79a1-aa28-7738fc5ab61a"
OLD_TURN = "019c8a10-0000-7000-8000-000000000002"
TURN = "019c8a4d-0330-71a2-b22b-785a3a27ed20"
NAME = f"logs/rollout-2026-02-23T12-40-23-{SESSION}.jsonl"


class Lines:
    """A file in memory; may break off after its last line."""

    def __init__(self, *lines: Any, name: str = NAME, breaks: bool = False) -> None:
        self.name = name
        self.breaks = breaks
        self._lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]

    def lines(self) -> Iterator[tuple[int, bytes]]:
        yield from enumerate(self._lines, 1)
        if self.breaks:
            raise BrokenFile(len(self._lines) + 1, "the compressed data breaks off")


def at(second: float) -> str:
    return f"2026-02-23T11:{40 + int(second) // 60:02}:{second % 60:06.3f}Z"


def instant(second: float) -> datetime:
    return datetime.fromisoformat(at(second))


def line(second: float, kind: str, **payload: Any) -> dict[str, Any]:
    return {"timestamp": at(second), "type": kind, "payload": payload}


def meta(second: float = 0, session: str = SESSION, **more: Any) -> dict[str, Any]:
    return line(second, "session_meta", id=session, **more)


def turn(second: float, model: str = MODEL, id_: str | None = TURN) -> dict[str, Any]:
    return line(second, "turn_context", turn_id=id_, model=model)


def used(input_: int, cached: int, output: int, **more: int) -> dict[str, int]:
    total = {"total_tokens": input_ + output}
    return {"input_tokens": input_, "cached_input_tokens": cached, "output_tokens": output, **total, **more}


def counted(second: float, total: dict[str, int], last: dict[str, int] | None = None) -> dict[str, Any]:
    info = {"total_token_usage": total, "last_token_usage": last}
    return line(second, "event_msg", type="token_count", info=info)


FIRST = used(100, 40, 10)
SECOND = used(300, 140, 25)


def read(*files: Any) -> list[Item]:
    return list(parse(list(files), CONTEXT))


def deductions(*files: Any) -> dict[str, UsageEvent]:
    """The deductions by event id, each of which must occur once."""
    found = [item.found for item in read(*files)]
    events = [e for e in found if isinstance(e, UsageEvent) and e.kind == "deduction"]
    assert len({e.event_id for e in events}) == len(events)
    return {e.event_id: e for e in events}


def tokens(*lines: Any) -> dict[str, Tokens]:
    """Token counts by the part of the event id after the session's id."""
    return {id_.removeprefix(f"{SESSION}:"): e.tokens for id_, e in deductions(Lines(*lines)).items()}


def job(*lines: Any) -> UsageEvent:
    (event,) = [
        i.found for i in read(Lines(*lines)) if isinstance(i.found, UsageEvent) and i.found.kind == "job"
    ]
    return event


def skipped(*files: Any) -> dict[str, str]:
    return {item.origin: item.found.reason for item in read(*files) if isinstance(item.found, Skipped)}


# Counters


def test_a_response_used_what_the_counter_rose_by_and_cached_tokens_are_not_input():
    assert tokens(meta(), turn(1), counted(2, FIRST), counted(3, SECOND)) == {
        "110": Tokens(input=60, cache_read=40, output=10),
        "325": Tokens(input=100, cache_read=100, output=15),
    }


def test_a_repeated_counter_is_not_a_response_and_the_first_one_gives_the_time():
    events = deductions(Lines(meta(), turn(1), counted(2, FIRST), turn(3), counted(4, FIRST)))
    assert [e.occurred_at for e in events.values()] == [instant(2)]


def test_a_session_begins_without_a_counter():
    assert not tokens(meta(), turn(1), line(2, "event_msg", type="token_count", info=None))


def test_the_model_is_the_latest_turns():
    log = Lines(meta(), turn(1, "gpt-5"), counted(2, FIRST), turn(3, "gpt-5-mini"), counted(4, SECOND))
    assert [e.model for e in deductions(log).values()] == ["gpt-5", "gpt-5-mini"]


def test_tokens_written_to_the_cache_are_part_of_the_input():
    total = used(100, 40, 10, cache_write_input_tokens=50)
    assert tokens(meta(), counted(1, total)) == {
        "110": Tokens(input=10, cache_read=40, cache_write=50, output=10)
    }


@pytest.mark.parametrize("again", [used(90, 40, 5), used(400, 10, 5)], ids=["lower", "lower in a part only"])
def test_a_counter_that_falls_has_restarted(again):
    found = tokens(meta(), counted(1, FIRST), counted(2, again))
    total = again["total_tokens"]
    assert found[f"{total}#1"].total == total


@pytest.mark.parametrize(
    ("again", "last"),
    [(used(150, 40, 15), used(50, 0, 5)), (used(400, 10, 30), used(100, 0, 5))],
    ids=["an earlier state", "lower in a part only"],
)
def test_a_counter_that_falls_says_itself_what_its_response_used(again, last):
    lines = [counted(1, FIRST, FIRST), counted(2, SECOND, used(200, 100, 15)), counted(3, again, last)]
    found = tokens(meta(), *lines)
    assert found[f"{again['total_tokens']}#1"].total == last["total_tokens"]
    assert sum(t.total for t in found.values()) == 325 + last["total_tokens"]


def test_a_state_that_the_thread_goes_back_to_is_not_a_response():
    second = counted(2, SECOND, used(200, 100, 15))
    third = counted(3, used(900, 140, 60), used(600, 0, 35))
    other = counted(5, used(350, 140, 30), used(50, 0, 5))
    found = tokens(meta(), counted(1, FIRST, FIRST), second, third, second, other)
    assert {id_: t.total for id_, t in found.items()} == {"110": 110, "325": 215, "960": 635, "380#1": 55}


def test_a_counter_equal_to_the_last_response_has_restarted_even_if_it_is_higher():
    found = tokens(meta(), counted(1, FIRST, FIRST), counted(2, SECOND, SECOND))
    assert found["325#1"].total == 325


def test_a_total_that_is_reached_again_after_a_restart_names_another_response():
    lower = used(20, 0, 5)
    lines = [counted(second, total) for second, total in enumerate([FIRST, lower, FIRST, lower, FIRST])]
    assert list(tokens(meta(), *lines)) == ["110", "25#1", "110#1", "25#2", "110#2"]


def test_a_full_context_window_is_not_a_response_and_what_follows_is_counted():
    full = used(0, 0, 0, total_tokens=258_400)
    after = used(50, 0, 5, total_tokens=258_455)
    found = tokens(meta(), counted(1, SECOND), counted(2, full), counted(3, after))
    assert found == {"325": Tokens(160, 140, 0, 0, 25), "258455#1": Tokens(input=50, output=5)}


def test_a_counter_without_a_total_goes_by_its_sum():
    assert list(tokens(meta(), counted(1, {"input_tokens": 7, "output_tokens": 3}))) == ["10"]


def test_a_session_whose_first_counts_are_missing_has_used_them_all_the_same():
    assert tokens(meta(), counted(1, SECOND, FIRST))["325"].total == 325


# Runs and jobs


def test_a_session_is_a_run_with_one_job():
    lines = (meta(), turn(1), counted(2, FIRST), line(9, "event_msg", type="task_complete"))
    event = job(*lines)
    assert (event.run_id, event.job_id, event.agent_type, event.trigger) == (
        SESSION,
        SESSION,
        "main",
        "manual",
    )
    assert (event.run_started_at, event.run_finished_at) == (instant(0), instant(9))
    assert (event.job_started_at, event.job_finished_at) == (instant(0), instant(9))
    assert (event.job_status, event.occurred_at) == ("succeeded", instant(0))
    (deduction,) = deductions(Lines(*lines)).values()
    assert (deduction.run_id, deduction.job_id, deduction.agent_type) == (SESSION, SESSION, "main")


def test_a_job_lasts_from_its_earliest_line_to_its_latest():
    event = job(turn(5), counted(3, FIRST), turn(9), turn(7))
    assert (event.job_started_at, event.job_finished_at) == (instant(3), instant(9))


def test_a_session_is_named_by_its_first_line_or_else_by_its_file():
    assert job(meta(session="s"), counted(1, FIRST)).run_id == "s"
    assert job(b"{", counted(1, FIRST)).run_id == SESSION
    (item,) = read(Lines(turn(1), name="logs/mine.jsonl.gz"))
    assert item.found.run_id == "mine"


# Copies of a parent's history


def fork(*history: Any, **source: Any) -> list[Any]:
    parent = source or {"source": {"subagent": {"thread_spawn": {"parent_thread_id": PARENT}}}}
    return [meta(100, **parent), *history]


OWN = [turn(200), counted(201, used(350, 150, 30)), line(202, "event_msg", type="task_complete")]
ADDED = {"380": Tokens(input=40, cache_read=10, output=5)}


def test_a_copy_with_its_old_times_is_not_counted_again():
    history = [meta(0, PARENT), turn(1, "gpt-5", OLD_TURN), counted(2, FIRST), counted(3, SECOND)]
    lines = fork(*history, *OWN)
    assert tokens(*lines) == ADDED
    assert (job(*lines).job_started_at, job(*lines).job_finished_at) == (instant(100), instant(202))


def test_a_copy_with_new_times_is_recognised_by_turns_that_began_before_the_session():
    history = [meta(100.1, PARENT), turn(100.2, "gpt-5", OLD_TURN), counted(103, FIRST), counted(104, SECOND)]
    again = counted(199, SECOND)
    assert tokens(*fork(*history, again, *OWN, forked_from_id=PARENT)) == ADDED


def test_old_times_alone_identify_a_copy():
    assert tokens(*fork(turn(1, "gpt-5", None), counted(2, FIRST), counted(3, SECOND), *OWN)) == ADDED


def test_what_follows_the_parents_first_line_is_a_copy_until_the_sessions_own_turn():
    assert tokens(*fork(meta(100.1, PARENT), counted(100.2, SECOND), *OWN)) == ADDED


def test_a_copied_turn_without_an_id_does_not_end_the_copy():
    history = [turn(100.2, "gpt-5", OLD_TURN), turn(100.3, "gpt-5", None), counted(103, SECOND)]
    assert tokens(*fork(*history, *OWN)) == ADDED


def test_a_subagent_with_its_own_counter_is_counted_in_full():
    own = used(5_000, 0, 50)
    history = [meta(100.1, PARENT), turn(100.2, "gpt-5", OLD_TURN), counted(100.3, SECOND)]
    assert tokens(*fork(*history, turn(200), counted(201, own, own)))["5050"].total == 5_050


@pytest.mark.parametrize(
    "source",
    [
        {"forked_from_id": PARENT},
        {"parent_thread_id": PARENT},
        {"source": {"subagent": {"thread_spawn": {"parent_thread_id": PARENT}}}},
    ],
    ids=lambda source: next(iter(source)),
)
def test_a_parents_counter_without_its_history_is_where_counting_starts(source):
    inherited = counted(200, SECOND, used(100, 100, 5))
    assert tokens(*fork(turn(199), inherited, *OWN, **source)) == ADDED


def test_a_parents_name_alone_leaves_nothing_out():
    lines = fork(meta(100.1, PARENT), turn(200), counted(201, FIRST, FIRST))
    assert list(tokens(*lines)) == ["110"]


def test_ids_without_a_time_leave_nothing_out():
    assert list(tokens(meta(session="s"), turn(1, id_=OLD_TURN), counted(2, FIRST))) == ["s:110"]
    for id_ in ("1", None, "00000000-0001-4000-8000-000000000001"):
        assert list(tokens(meta(), meta(1, PARENT), turn(2, id_=id_), counted(3, FIRST))) == ["110"]


# What can't be read


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"timestamp":"2026-02-23T11:40:4',
        b"plain text",
        b"\xff\xfe",
        b"[1, 2]",
        b"[" * 100_000,
        counted(1, used(-1, 0, 1)),
        counted(1, used(1, 2, 1)),
        counted(1, {**FIRST, "input_tokens": 1.5}),
        counted(1, {**FIRST, "input_tokens": True}),
        counted(1, {**FIRST, "output_tokens": 10**12 + 1}),
        counted(1, None),
        counted(1, FIRST, [1]),
        line(1, "event_msg", type="token_count", info="text"),
        {**counted(1, FIRST), "timestamp": None},
        {**counted(1, FIRST), "timestamp": "2026-02-23T11:40:01"},
        {**counted(1, FIRST), "timestamp": "2031-02-23T11:40:01Z"},
        {**counted(1, FIRST), "timestamp": 7},
        turn(1, 7),
    ],
    ids=lambda wrong: repr(wrong)[:70],
)
def test_a_line_that_cannot_be_read_is_named_and_nothing_is_lost(wrong):
    log = Lines(meta(), wrong, b"", counted(2, FIRST), counted(3, SECOND))
    assert list(skipped(log)) == [f"{NAME}:2"]
    assert sum(e.tokens.total for e in deductions(log).values()) == 325
    assert not [item for item in read(log) if isinstance(item.found, Rejection)]


def test_a_response_whose_line_cannot_be_read_is_in_the_next_difference():
    assert list(tokens(meta(), b"{", counted(3, SECOND))) == ["325"]


def test_a_file_that_breaks_off_is_rejected_and_what_was_read_before_counts():
    log = Lines(meta(), counted(1, FIRST), breaks=True)
    (rejected,) = [item for item in read(log) if isinstance(item.found, Rejection)]
    assert (rejected.origin, rejected.found.reason) == (f"{NAME}:3", "the compressed data breaks off")
    assert len(deductions(log)) == 1


def test_a_file_without_a_readable_line_has_no_session():
    assert not [item for item in read(Lines(b"{", b"")) if not isinstance(item.found, Skipped)]


_KEYS = st.sampled_from(["timestamp", "type", "payload", "info", "id", "turn_id", "model", "source", *FIRST])
_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just(at(1)) | st.just(FIRST)
_LEAVES |= st.sampled_from(["session_meta", "turn_context", "event_msg", "token_count", SESSION, OLD_TURN])
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner), max_leaves=15
)


@given(st.lists(_JSON | st.builds(counted, st.just(1), _JSON, _JSON), max_size=5))
def test_no_json_is_too_odd_to_read(values):
    read(Lines(*values))


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 3), max_size=12), st.data())
def test_a_log_that_grows_gives_the_same_events_again_and_then_new_ones(steps, data):
    lines = [meta()]
    for second, (input_, cached, output) in enumerate(steps):
        lines.append(counted(second, used(input_ + cached, cached, output)))
    whole = list(deductions(Lines(*lines)).items())
    part = data.draw(st.integers(0, len(lines)))
    assert list(deductions(Lines(*lines[:part])).items()) == whole[: len(deductions(Lines(*lines[:part])))]


# Into the ledger


def write(path: Path, *lines: Any, cut: int = 0) -> Path:
    text = b"".join((json.dumps(one)).encode() + b"\n" for one in lines)
    path.write_bytes(text[: len(text) - cut])
    return path


def imported(project: Any, *paths: Path) -> Receipt:
    receipt = import_paths(project, paths)
    assert not list(verification.differences(project))
    return receipt


def recorded(project: Any) -> dict[str, int]:
    found = CreditTransaction.objects.filter(project=project)
    return {row.event_id.rpartition(":")[2]: row.input_tokens + row.cache_read_tokens for row in found}


WHOLE = [meta(), turn(1), counted(2, FIRST), turn(3), counted(4, SECOND)]


@pytest.mark.usefixtures("clock")
def test_a_log_that_has_grown_adds_what_is_new_in_any_order_of_imports(project, other_project, tmp_path):
    short = write(tmp_path / f"a-{SESSION}.jsonl", *WHOLE[:3])
    long = write(tmp_path / f"b-{SESSION}.jsonl", *WHOLE)
    assert imported(project, short).counts == Counter(recorded=2)
    assert imported(project, long).counts["recorded"] == 2  # the response, and a later end of the job
    assert imported(project, long, short).counts["recorded"] == 0
    imported(other_project, long)
    assert imported(other_project, short).counts["recorded"] == 0
    assert recorded(project) == recorded(other_project) == {"110": 100, "325": 200}


@pytest.mark.usefixtures("clock")
def test_a_last_line_that_is_cut_off_is_skipped_and_read_the_next_time(project, tmp_path):
    path = write(tmp_path / "rollout-1.jsonl", *WHOLE, cut=20)
    assert imported(project, path).counts == Counter(recorded=2, skipped=1)
    assert recorded(project) == {"110": 100}
    assert imported(project, write(path, *WHOLE)).counts["skipped"] == 0
    assert recorded(project) == {"110": 100, "325": 200}


def test_the_format_is_guessed_from_the_first_lines(tmp_path):
    assert guess_format(LogFile(write(tmp_path / "a.jsonl", *WHOLE))) == "codex"


# Real sessions

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def answer() -> Any:
    if not SHARED.is_dir():
        pytest.skip(
            f"{SHARED.parent.name}/{SHARED.name} beside the project is missing: it is not distributed"
        )
    return json.loads((SHARED / "expected" / "codex.json").read_text())


def figures(events: list[UsageEvent]) -> dict[str, Any]:
    costs = [listed_nanos(e.model, e.tokens, e.occurred_at) for e in events]
    return {
        "transactions": len(events),
        "input_tokens": sum(e.tokens.all_input for e in events),
        "cached_input_tokens": sum(e.tokens.cache_read for e in events),
        "output_tokens": sum(e.tokens.output for e in events),
        "cost_usd": pytest.approx(sum(costs) / 1e9, abs=0.5000001e-6, rel=0),
    }


def by_day(events: list[UsageEvent]) -> dict[str, Any]:
    days = sorted({e.occurred_at.date() for e in events})
    return {day.isoformat(): figures([e for e in events if e.occurred_at.date() == day]) for day in days}


def test_all_figures_of_real_sessions_are_as_expected(answer):
    every: list[UsageEvent] = []
    files = discover([SHARED / "codex"]).files
    assert [file.path.name.removesuffix(".gz") for file in files] == sorted(answer["per_session"])
    for file in files:
        expected = answer["per_session"][file.path.name.removesuffix(".gz")]
        events = list(deductions(file).values())
        assert figures(events) == expected["totals"]
        assert by_day(events) == expected["per_day_utc"]
        assert {e.model for e in events} == {expected["model"]}
        assert sum(e.tokens.total for e in events) == expected["last_cumulative"]["total_tokens"]
        every += events
    assert figures(every) == answer["totals"]
    assert by_day(every) == answer["per_day_utc"]


def test_real_sessions_in_the_ledger(db, answer):
    project = ProjectFactory()
    for _ in range(2):
        call_command("import_usage", str(SHARED / "codex"), project=project.pk)
    rows = CreditTransaction.objects.filter(project=project)
    assert len(rows) == answer["totals"]["transactions"]
    cost = sum(row.amount_nanos for row in rows) / 1e9
    assert cost == pytest.approx(answer["totals"]["cost_usd"], abs=0.5000001e-6, rel=0)
    assert PipelineRun.objects.filter(project=project).count() == len(answer["per_session"])
    assert AgentJob.objects.filter(project=project).count() == len(answer["per_session"])
    assert not list(verification.differences(project))
