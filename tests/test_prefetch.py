"""Large files are read in another process, with the same result and without leaving it behind."""

import multiprocessing
import os
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from billing.imports import importer, prefetch
from billing.sources import Context, Item, claude_code, usage_events
from billing.sources.files import LogFile
from tests.test_import import Run, line, recorded_ids, write

LOGS = "\n".join(
    [
        *(line(eventId=f"e{n}", agentType="testing") for n in range(7)),
        line(eventId="e1", costDollars="9"),
        line(eventId="e8", kind="grant", runId=None, costDollars="5"),
        line(eventId="e9", model="no-such-model", inputTokens=5),
        '{"eventId": 3}',
        "no JSON",
    ]
)


@pytest.fixture
def context() -> Context:
    return Context(now=datetime(2026, 5, 1, tzinfo=UTC), credits_per_dollar=100)


@pytest.fixture
def file(tmp_path: Any) -> LogFile:
    return LogFile(write(tmp_path / "usage.jsonl", LOGS))


def _read(file: LogFile, context: Context, parse: Any = usage_events.parse) -> tuple[list[Item], int]:
    with closing(prefetch.batches(parse, [file], context, 5)) as batches:
        read = [(batch.items, batch.read_bytes) for batch in batches]
    assert all(len(items) <= 5 for items, _ in read)
    return [item for items, _ in read for item in items], read[-1][1]


@pytest.mark.once
@pytest.mark.parametrize("parse", [usage_events.parse, claude_code.parse])
def test_another_process_reads_the_same(monkeypatch, file, context, parse):
    here = _read(file, context, parse)
    monkeypatch.setattr(prefetch, "MIN_BYTES", 0)
    assert _read(file, context, parse) == here
    assert here[0]
    assert here[1] == file.size


def test_an_import_by_two_processes_gives_the_same_receipt(
    monkeypatch, project, other_project, tmp_path, file, clock
):
    monkeypatch.setattr(importer, "BATCH", 5)
    here = Run(file.path, project=project.pk)
    monkeypatch.setattr(prefetch, "MIN_BYTES", 0)
    there = Run(file.path, project=other_project.pk)
    assert (there.status, there.out, there.err) == (here.status, here.out, here.err)
    assert recorded_ids(other_project) == recorded_ids(project) != set()


@pytest.mark.once
def test_stopping_early_leaves_no_process_behind(monkeypatch, tmp_path, context):
    monkeypatch.setattr(prefetch, "MIN_BYTES", 0)
    many = write(tmp_path / "many.jsonl", *(line(eventId=f"e{n}") for n in range(20_000)))
    with closing(prefetch.batches(usage_events.parse, [LogFile(many)], context, 100)) as batches:
        next(batches)
        assert len(multiprocessing.active_children()) == 1
    assert multiprocessing.active_children() == []


@pytest.mark.once
def test_a_reader_that_stops_unexpectedly_is_an_error_and_not_the_end_of_the_files(
    monkeypatch, file, context
):
    monkeypatch.setattr(prefetch, "MIN_BYTES", 0)
    with pytest.raises(RuntimeError, match="stopped unexpectedly"):
        _read(file, context, parse=os.listdir)
