"""Codex since 0.171: records of responses, forks without copied history, subagents in files of their own."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from operator import mul
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import verification
from billing.events.usage_event import Rejection, Tokens, UsageEvent
from billing.imports.importer import import_paths
from billing.models import CreditTransaction
from billing.prices import price_list
from billing.prices.price_list import Price
from billing.sources import Context
from billing.sources.codex import parse
from billing.sources.discovery import discover
from billing.sources.files import LogFile, zstd
from billing.sources.guess import guess_format
from products.models import AgentJob
from tests.prices import listed_nanos
from tests.test_codex import (
    CONTEXT,
    FIRST,
    MODEL,
    NAME,
    PARENT,
    SECOND,
    SESSION,
    SHARED,
    TURN,
    Lines,
    counted,
    deductions,
    instant,
    job,
    line,
    meta,
    skipped,
    turn,
    used,
    write,
)

pytestmark = pytest.mark.once

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="shared/data beside the project is missing: it is not distributed"
)


def recorded(
    second: float, usage: dict[str, int], total: dict[str, int], id_: Any = "resp_1", thread: Any = SESSION
) -> dict[str, Any]:
    ids = {"thread_id": thread, "session_id": SESSION, "turn_id": TURN, "response_id": id_}
    return line(second, "token_usage_record", **ids, usage=usage, thread_token_usage=total)


def found(*lines: Any, now: float | None = None) -> dict[str, tuple[float, int, tuple[str, ...]]]:
    """Second, tokens and call ids by what follows the thread's id in the event id; read at second `now`."""
    context = CONTEXT if now is None else msgspec.structs.replace(CONTEXT, now=instant(now))
    items = [item.found for item in parse([Lines(*lines)], context)]
    events = [e for e in items if isinstance(e, UsageEvent) and e.kind == "deduction"]
    assert len({e.event_id for e in events}) == len(events)
    return {
        e.event_id.removeprefix(f"{SESSION}:"): (
            (e.occurred_at - instant(0)).total_seconds(),
            e.tokens.total,
            e.call_ids,
        )
        for e in events
    }


LATER = used(200, 100, 15)
"""What leads from `FIRST` to `SECOND`."""
BOTH = [
    *(meta(), turn(1)),
    *(recorded(2, FIRST, FIRST), counted(2.2, FIRST, FIRST)),
    *(recorded(3, LATER, SECOND, "resp_2"), counted(3.2, SECOND, LATER)),
]

# Records and counters


def test_a_response_goes_by_the_counter_that_follows_its_record_as_it_did_without_one():
    assert found(*BOTH) == {"110": (2.2, 110, ("resp_1",)), "325": (3.2, 215, ("resp_2",))}
    without = [one for one in BOTH if one["type"] != "token_usage_record"]
    for old, new in zip(deductions(Lines(*without)).values(), deductions(Lines(*BOTH)).values(), strict=True):
        assert (old.event_id, old.content) == (new.event_id, new.content)


def test_a_deduction_names_the_response_and_its_sender():
    event = deductions(Lines(*BOTH))[f"{SESSION}:325"]
    assert (event.call_ids, event.sender, event.gateway_id, event.model) == (("resp_2",), "codex", "", MODEL)
    assert event.tokens == Tokens(input=100, cache_read=100, output=15)
    assert not event.run_is_trace
    assert job(*BOTH).sender == ""


COMPACTED = used(325, 300, 40)
AFTER = used(50, 0, 5)


def compaction(*after: Any) -> list[Any]:
    everything = used(625, 440, 65)
    unchanged = counted(5.2, SECOND, used(0, 0, 0))
    return [*BOTH, recorded(5, COMPACTED, everything, "resp_c"), unchanged, *after]


def test_a_compaction_is_counted_though_no_counter_knows_of_it():
    later = [recorded(6, AFTER, used(675, 440, 70), "resp_3"), counted(6.2, used(350, 140, 30), AFTER)]
    assert found(*compaction(*later)) == {
        **found(*BOTH),
        "690": (5, 365, ("resp_c",)),
        "380": (6.2, 55, ("resp_3",)),
    }


def test_the_last_record_of_a_file_waits_a_minute_for_its_counter():
    assert found(*BOTH[:-1], now=60) == found(*BOTH[:-2])
    assert found(*BOTH[:-1], now=64) == {**found(*BOTH[:-2]), "325": (3, 215, ("resp_2",))}
    late = [*BOTH[:-1], counted(70, SECOND, LATER)]
    assert found(*late) == found(*BOTH[:-1], now=64)
    assert found(*compaction())["690"] == (5, 365, ("resp_c",))


def test_counters_may_come_after_the_next_record():
    mixed = [*BOTH[:3], BOTH[4], BOTH[3], BOTH[5]]
    mixed[4] = counted(3.1, FIRST, FIRST)
    assert found(*mixed) == {"110": (2, 110, ("resp_1",)), "325": (3.2, 215, ("resp_2",))}


def test_without_a_readable_record_the_counter_tells():
    broken = recorded(3, LATER, SECOND, "resp_2")
    broken["payload"]["usage"] = None
    log = Lines(*BOTH[:4], broken, BOTH[5])
    assert list(skipped(log)) == [f"{NAME}:5"]
    assert found(*BOTH[:4], broken, BOTH[5])["325"] == (3.2, 215, ())
    # As when an older Codex goes on with the session.
    assert found(*BOTH, counted(9, used(350, 140, 30), AFTER))["380"] == (9, 55, ())


def test_another_threads_record_is_not_counted():
    assert found(*BOTH, recorded(9, AFTER, used(999, 0, 9), "resp_9", PARENT)) == found(*BOTH)


def test_a_response_without_an_id_names_no_call_and_a_long_one_is_hashed():
    assert found(meta(), recorded(2, FIRST, FIRST, None), counted(2.2, FIRST))["110"][2] == ()
    (call_id,) = found(meta(), recorded(2, FIRST, FIRST, "r" * 513), counted(2.2, FIRST))["110"][2]
    assert call_id.startswith("sha256:")


@given(st.lists(st.sampled_from(["response", "compaction"]), max_size=6), st.data())
def test_a_log_that_grows_gives_the_same_events_again_and_then_new_ones(kinds, data):
    lines, thread, counter = [meta(), turn(0.1)], 0, 0
    for second, kind in enumerate(kinds, 1):
        thread += 11
        lines.append(recorded(second, used(10, 0, 1), {"total_tokens": thread}, f"resp_{second}"))
        if kind == "response":
            counter += 1
            lines.append(counted(second + 0.2, used(10 * counter, 0, counter), used(10, 0, 1)))
    whole = found(*lines)
    assert sum(tokens for _, tokens, _ in whole.values()) == 11 * len(kinds)
    part = lines[: data.draw(st.integers(2, len(lines)))]
    assert found(*part, now=len(kinds)).items() <= whole.items()


# Forks


def test_a_fork_that_refers_to_its_parents_history_counts_its_own_first_response():
    base = {"forked_from_id": PARENT, "history_base": {"thread_id": PARENT, "end_ordinal_exclusive": 28}}
    own = [turn(1), counted(2, SECOND, LATER), counted(3, used(350, 140, 30), AFTER)]
    assert found(meta(**base), *own) == {"325": (2, 215, ()), "380": (3, 55, ())}
    records = [turn(1), recorded(2, LATER, SECOND), counted(2.2, SECOND, LATER)]
    assert found(meta(**base), *records) == {"325": (2.2, 215, ("resp_1",))}


# Subagents


def of_role(**more: Any) -> dict[str, Any]:
    return {"subagent": {"thread_spawn": {"parent_thread_id": PARENT, **more}}}


@pytest.mark.parametrize(
    ("source", "agent_type"),
    [
        ({"subagent": "review"}, "review"),
        (of_role(agent_role="explorer"), "explorer"),
        (of_role(agent_role=None), "default"),
        (of_role(), "default"),
        ({"subagent": {"thread_spawn": None}}, "default"),
        ({"subagent": {"other": "guardian"}}, "guardian"),
        ({"subagent": {"memory": {}}}, "memory"),
        ({"subagent": [1]}, "default"),
        ("exec", "main"),
        (None, "main"),
    ],
    ids=str,
)
def test_a_subagents_thread_is_a_job_of_the_sessions_run(source, agent_type):
    lines = (meta(session_id=PARENT, source=source), turn(1), counted(2, FIRST, FIRST))
    (deduction,) = deductions(Lines(*lines)).values()
    for event in (deduction, job(*lines)):
        assert (event.run_id, event.job_id, event.agent_type) == (PARENT, SESSION, agent_type)
    assert deduction.event_id == f"{SESSION}:110"


def test_where_no_session_is_named_a_thread_is_a_run_of_its_own():
    for more in ({}, {"session_id": SESSION}):
        event = job(meta(source=of_role(agent_role="explorer"), **more), counted(2, FIRST, FIRST))
        assert (event.run_id, event.job_id, event.agent_type) == (SESSION, SESSION, "main")


def test_ids_of_any_length_are_read():
    event = job(meta(session="x" * 300, session_id="y\0"), counted(2, FIRST))
    assert event.job_id.startswith("sha256:")
    assert event.run_id.startswith("sha256:")
    assert deductions(Lines(meta(session="x" * 190), counted(2, FIRST)))


def test_a_session_is_a_run_that_lasts_from_its_first_thread_to_its_last(project, tmp_path, clock):
    root = meta(0, PARENT, session_id=PARENT)
    write(tmp_path / "rollout-1.jsonl", root, turn(1), counted(9, FIRST, FIRST))
    agent = meta(3, session_id=PARENT, source={"subagent": "review"})
    write(tmp_path / "rollout-2.jsonl", agent, turn(4), counted(12, SECOND, SECOND))
    assert import_paths(project, [tmp_path]).counts["recorded"] == 4
    jobs = AgentJob.objects.filter(project=project).select_related("run", "agent_type")
    assert {(one.run.run_id, one.job_id, one.agent_type.slug) for one in jobs} == {
        (PARENT, PARENT, "main"),
        (PARENT, SESSION, "review"),
    }
    assert {(one.run.started_at, one.run.finished_at) for one in jobs} == {(instant(0), instant(12))}


# Files


def test_a_packed_log_is_the_same_as_the_plain_one(tmp_path):
    plain = write(tmp_path / f"rollout-{SESSION}.jsonl", *BOTH)
    packed = plain.with_suffix(".jsonl.zst")
    packed.write_bytes(zstd.compress(plain.read_bytes()))
    assert [file.path for file in discover([tmp_path]).files] == [plain, packed]
    assert guess_format(LogFile(packed)) == "codex"
    assert deductions(LogFile(packed)) == deductions(LogFile(plain))


@pytest.mark.parametrize(
    "other",
    [
        {"timestamp": "2026-11-28T19:00:00Z", "type": "session_meta", "payload": "text"},
        {"timestamp": "2026-11-28T19:00:00Z", "type": "message", "payload": {}},
        {"timestamp": "2026-11-28T19:00:00Z", "type": 7, "payload": {}},
        {"type": "session_meta", "payload": {}},
        {"id": "1", "timestamp": "2026-11-28T19:00:00Z", "type": "message", "message": {}},
    ],
    ids=json.dumps,
)
def test_another_agents_log_is_not_read_as_codexs(tmp_path, other):
    assert guess_format(LogFile(write(tmp_path / "a.jsonl", other))) is None


@needs_shared
@pytest.mark.parametrize("agent", ["claude-code-2.1.332", "copilot", "gemini", "opencode", "pi", "qwen"])
def test_no_other_agents_folder_is_read_as_codexs(agent):
    files = discover([SHARED / "real_agents" / agent]).files
    assert "codex" not in {guess_format(file) for file in files}


# Real sessions of 0.171, beside what the model API billed

REAL = SHARED / "real_agents" / "codex-0.171.0"
NOW = Context(now=instant(0) + timedelta(days=365), credits_per_dollar=100)


def orders(files: list[LogFile]) -> Iterator[list[LogFile]]:
    yield from itertools.islice(itertools.permutations(files), 3)
    yield files[::-1]
    yield [*files, *files]


def read(files: list[LogFile]) -> dict[str, UsageEvent]:
    """The deductions; events that are sent again must be the same."""
    events: dict[str, UsageEvent] = {}
    for item in parse(list(files), NOW):
        assert not isinstance(item.found, Rejection), item
        if isinstance(item.found, UsageEvent) and item.found.kind == "deduction":
            assert events.setdefault(item.found.event_id, item.found) == item.found
    return events


def rows_billed() -> list[dict[str, Any]]:
    return [json.loads(text) for text in (REAL / "billed.jsonl").read_text().splitlines()]


def billed() -> list[tuple[str, str, str, str, str, Tokens]]:
    calls = [
        (
            row["responseId"],
            row["session"],
            row["thread"],
            {None: "main", "thread_spawn": "default"}.get(row["subagentKind"], row["subagentKind"]),
            row["model"],
            Tokens(
                input=usage["input_tokens"] - (hit := usage["input_tokens_details"]["cached_tokens"]),
                cache_read=hit,
                output=usage["output_tokens"],
            ),
        )
        for row in rows_billed()
        for usage in [row["usage"]]
    ]
    return sorted(calls, key=str)


@needs_shared
def test_every_call_of_real_sessions_is_read_as_it_was_billed():
    for files in orders(discover([REAL / "sessions"]).files):
        events = read(files).values()
        assert len(events) == 17
        reported = [(*e.call_ids, e.run_id, e.job_id, e.agent_type, e.model, e.tokens) for e in events]
        assert sorted(reported, key=str) == billed()
        assert {e.sender for e in events} == {"codex"}


@needs_shared
def test_threads_at_priority_cost_two_and_a_half_times_as_much():
    """By the provider's page: $12.50, $1.25 and $75 a million tokens instead of $5, $0.50 and $30."""
    priority = {row["responseId"] for row in rows_billed() if row["serviceTier"] == "priority"}
    rates, fast = (5_000, 500, 30_000), (12_500, 1_250, 75_000)
    events = read(discover([REAL / "sessions"]).files).values()
    assert len(priority) == 2
    for event in events:
        t, is_fast = event.tokens, event.call_ids[0] in priority
        right = sum(map(mul, (t.input, t.cache_read, t.output), fast if is_fast else rates))
        price = price_list.price(event.model, t, event.occurred_at, factors=event.factors)
        assert price == (None if event.model != "gpt-5.5" else Price(right))


@needs_shared
def test_counters_alone_find_every_call_too():
    def without_records(file: LogFile) -> Any:
        others = [text for _, text in file.lines() if b'"token_usage_record"' not in text]
        return Lines(*others, name=file.name)

    files = [without_records(file) for file in discover([REAL / "sessions"]).files]
    assert Counter(e.tokens for e in read(files).values()) == Counter(tokens for *_, tokens in billed())


# Logs modelled on public reports


def cases() -> list[Path]:
    return sorted((SHARED / "bug_cases").glob("*-codex-*")) if SHARED.is_dir() else []


@needs_shared
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_reported_bug_stays_fixed(case):
    expected = json.loads((case / "expected.json").read_text())
    for files in orders(discover([case / "input"]).files):
        events = read(files).values()
        assert len(events) == expected["rows"]
        assert sum(e.tokens.total for e in events) == expected["tokens"]
        costs = [listed_nanos(e.model, e.tokens, e.occurred_at) for e in events]
        assert costs.count(None) == expected.get("unpriced", 0)
        dollars = Decimal(sum(cost or 0 for cost in costs)).scaleb(-9)
        assert float(dollars) == pytest.approx(expected["dollars"], abs=1e-9)


@needs_shared
def test_real_sessions_are_recorded_once(project, clock):
    clock.move_to("2026-12-01T00:00:00Z")
    for _ in range(2):
        import_paths(project, [REAL / "sessions"])
    rows = CreditTransaction.objects.filter(project=project)
    assert sum(row.input_tokens + row.cache_read_tokens + row.output_tokens for row in rows) == 38_060
    assert len(rows) == 17
    assert not list(verification.differences(project))
