"""`manage.py import_usage` over files as people have them: whole, broken, compressed, wrong."""

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing import verification
from billing.imports.formats import NOT_READ
from billing.imports.importer import import_paths
from billing.models import CreditTransaction
from billing.sources.discovery import discover
from billing.sources.files import zstd
from tests.factories import event, fields, send

pytestmark = pytest.mark.usefixtures("clock")


class Run:
    """One run of the command: its exit status, and what it printed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.status = 0
        try:
            call_command("import_usage", *map(str, args), stdout=out, stderr=err, **options)
        except SystemExit as stop:
            self.status = stop.code
        self.out, self.err = out.getvalue(), err.getvalue()
        # "recorded    1,234" → {"recorded": 1234}
        rows = (line.split() for line in self.out.splitlines() if not line.startswith((" ", "Nothing")))
        self.receipt = {label: int(number.replace(",", "")) for label, number in rows}


def line(**given: Any) -> str:
    return json.dumps(fields(**given))


def write(path: Path, *lines: str | bytes) -> Path:
    path.write_bytes(b"".join((text.encode() if isinstance(text, str) else text) + b"\n" for text in lines))
    return path


def recorded_ids(project: Any) -> set[str]:
    return set(CreditTransaction.objects.filter(project=project).values_list("event_id", flat=True))


@pytest.fixture
def good() -> list[str]:
    return [line(eventId="good-1"), line(eventId="good-2", costDollars="0.5")]


def test_json_lines_are_recorded_and_a_second_run_changes_nothing(project, tmp_path, good):
    path = write(tmp_path / "usage.jsonl", *good, "")
    first = Run(path, project=project.pk)
    assert (first.status, first.receipt["read"], first.receipt["recorded"]) == (0, 2, 2)
    second = Run(path, project=project.pk)
    assert (second.status, second.receipt["recorded"], second.receipt["duplicates"]) == (0, 0, 2)
    assert recorded_ids(project) == {"good-1", "good-2"}


def test_a_csv_gives_the_same_rows_as_json_lines(project, other_project, tmp_path):
    write(tmp_path / "a.jsonl", line(eventId="x", inputTokens=12, model="m", costDollars=0.25))
    write(
        tmp_path / "a.csv",
        "\N{BOM}eventId,occurredAt,runId,inputTokens,outputTokens,model,costDollars",
        'x,2026-03-17T12:00:00+00:00,run-1,12,,m,"0.25"',
    )
    assert Run(tmp_path / "a.jsonl", project=project.pk).status == 0
    assert Run(tmp_path / "a.csv", project=other_project.pk).status == 0
    columns = ("event_id", "input_tokens", "output_tokens", "model", "amount_nanos", "occurred_at")
    [json_row] = CreditTransaction.objects.filter(project=project).values(*columns)
    [csv_row] = CreditTransaction.objects.filter(project=other_project).values(*columns)
    assert json_row == csv_row
    assert json_row["amount_nanos"] == 250_000_000


PACKERS = {".gz": gzip.compress, ".zst": zstd.compress}


@pytest.mark.parametrize("packing", PACKERS)
def test_folders_and_packed_files_are_read(project, tmp_path, good, packing):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f"a.jsonl{packing}").write_bytes(PACKERS[packing]("\n".join(good).encode()))
    write(tmp_path / "b.jsonl", line(eventId="b"))
    write(tmp_path / "notes.txt", "not usage")
    run = Run(tmp_path, project=project.pk)
    assert run.receipt["files"] == 2
    assert recorded_ids(project) == {"good-1", "good-2", "b"}


WRONG_LINES = {
    "a cut-off line": ('{"eventId": "x", "occurredAt": "2026-03-', "not valid JSON"),
    "a negative count": (line(inputTokens=-1), "inputTokens: must be from 0"),
    "an unknown column": (json.dumps({**fields(), "inputTokns": 1}), "did you mean inputTokens?"),
    "a date without offset": (line(occurredAt="2026-03-17T12:00:00"), "occurredAt: needs an offset"),
    "NUL": (line(runId="a\0b"), "runId: must not contain control characters"),
    "an exponent beyond decimals": (
        line(costDollars=0.125).replace("0.125", "1e99999999999999999999"),
        "costDollars: must be from 0 to 1,000,000",
    ),
    "a list": ("[1]", "a JSON object is needed"),
    "no UTF-8": (b'{"eventId": "\xff"}', "not valid JSON"),
    "NaN": ('{"eventId": "x", "costDollars": NaN}', "not valid JSON"),
    "deep nesting": ("[" * 100_000, "not valid JSON"),
}


@pytest.mark.parametrize("wrong", WRONG_LINES)
def test_a_wrong_line_is_named_and_the_others_are_recorded(project, tmp_path, good, wrong):
    text, reason = WRONG_LINES[wrong]
    path = write(tmp_path / "usage.jsonl", good[0], text, good[1])
    run = Run(path, project=project.pk, format="usage_events")
    assert run.status == 1
    assert f"rejected: {path}:2: " in run.err
    assert reason in run.err
    assert run.receipt["rejected"] == 1
    assert recorded_ids(project) == {"good-1", "good-2"}


WRONG_CSV = {
    "a negative count": ("x,2026-03-17T12:00:00Z,run-1,-1,1", "inputTokens: must be from 0"),
    "a count that is none": ("x,2026-03-17T12:00:00Z,run-1,many,1", "inputTokens: must be a whole number"),
    "a missing cell": ("x,2026-03-17T12:00:00Z,run-1", "has 3 cells where the header names 5"),
    "a quote that never ends": ('"x,2026-03-17T12:00:00Z,run-1,1,1', "not valid CSV"),
}


@pytest.mark.parametrize("wrong", WRONG_CSV)
def test_a_wrong_row_of_a_csv_is_named(project, tmp_path, wrong):
    row, reason = WRONG_CSV[wrong]
    header = "eventId,occurredAt,runId,inputTokens,costDollars"
    path = write(tmp_path / "usage.csv", header, "good,2026-03-17T12:00:00Z,run-1,1,1", row)
    run = Run(path, project=project.pk)
    assert run.status == 1
    assert f"rejected: {path}:3: " in run.err
    assert reason in run.err
    assert recorded_ids(project) == {"good"}


def test_a_csv_with_an_unknown_column_is_rejected_at_its_header(project, tmp_path):
    path = write(tmp_path / "a.csv", "eventId,ocurredAt,runId", "x,2026-03-17T12:00:00Z,run-1")
    run = Run(path, project=project.pk)
    assert run.status == 1
    assert f"{path}:1: ocurredAt: unknown field, did you mean occurredAt?" in run.err
    assert not recorded_ids(project)


def test_a_missing_file_is_named_and_the_others_are_recorded(project, tmp_path, good):
    path = write(tmp_path / "usage.jsonl", *good)
    run = Run(tmp_path / "gone.jsonl", path, project=project.pk)
    assert run.status == 1
    assert f"rejected: {tmp_path / 'gone.jsonl'}: there is no such file" in run.err
    assert recorded_ids(project) == {"good-1", "good-2"}


def test_a_project_that_is_not_there_is_an_error(db, tmp_path, good):
    with pytest.raises(CommandError, match="no product with ID 4711"):
        Run(write(tmp_path / "usage.jsonl", *good), project=4711)


@pytest.mark.parametrize("packing", PACKERS)
def test_a_packed_file_that_breaks_off_is_named_and_what_was_read_is_recorded(project, tmp_path, packing):
    lines = "\n".join(line(eventId=f"e{number}", runId=f"r{number * 7919}") for number in range(2000))
    whole = PACKERS[packing](lines.encode())
    path = tmp_path / f"usage.jsonl{packing}"
    path.write_bytes(whole[: len(whole) * 9 // 10])
    run = Run(path, project=project.pk)
    assert run.status == 1
    assert "the compressed data breaks off" in run.err
    assert 0 < run.receipt["recorded"] < 2000
    assert len(recorded_ids(project)) == run.receipt["recorded"]


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("damage", ["breaks off", "is damaged"])
def test_a_packed_file_without_a_readable_line_is_named_for_its_damage(
    project, tmp_path, good, packing, damage
):
    whole = PACKERS[packing]("\n".join(good).encode())
    path = tmp_path / f"usage.jsonl{packing}"
    path.write_bytes(whole[:12] if damage == "breaks off" else whole[:12] + bytes(80))
    run = Run(path, project=project.pk)
    assert (run.status, run.receipt["recorded"], run.receipt["rejected"]) == (1, 0, 1)
    assert f"{path}:1: the compressed data breaks off or is damaged" in run.err.replace("\n", "")


def test_a_file_of_no_known_format_says_so(project, tmp_path):
    path = write(tmp_path / "what.jsonl", '{"hello": "world"}')
    run = Run(path, project=project.pk)
    assert run.status == 1
    assert f"{path}: its format can't be guessed" in run.err


def test_a_conflict_is_named_and_exits_with_1(project, tmp_path):
    send(project, event(eventId="x", costDollars=1))
    path = write(tmp_path / "usage.jsonl", line(eventId="x", costDollars=2))
    run = Run(path, project=project.pk)
    assert run.status == 1
    assert f"conflict: {path}:1: event x: this id is already recorded with a different cost" in run.err
    assert run.receipt["conflicts"] == 1


def test_a_dry_run_says_what_would_be_and_records_nothing(project, tmp_path, good):
    path = write(tmp_path / "usage.jsonl", *good, "{")
    dry = Run(path, project=project.pk, dry_run=True)
    assert dry.status == 1
    assert (dry.receipt["recorded"], dry.receipt["rejected"]) == (2, 1)
    assert "Nothing was recorded" in dry.out
    assert not recorded_ids(project)


@pytest.mark.parametrize(("wrong", "recorded"), [(True, 0), (False, 3)])
def test_strict_records_all_or_nothing(project, tmp_path, good, wrong, recorded):
    write(tmp_path / "a.jsonl", *good)
    write(tmp_path / "b.jsonl", "{" if wrong else line(eventId="last"))
    run = Run(tmp_path, project=project.pk, strict=True, format="usage_events")
    assert run.status == int(wrong)
    assert len(recorded_ids(project)) == recorded
    assert not list(verification.differences(project))


def test_unpriced_models_and_agent_types_above_the_limit_are_in_the_receipt(project, tmp_path):
    lines = [line(costDollars=None, model="nobody-knows"), line(costDollars=None)]
    lines += [line(agentType=f"type-{number:03}") for number in range(200)]
    run = Run(write(tmp_path / "usage.jsonl", *lines), project=project.pk)
    assert run.status == 0
    assert "no price is known for nobody-knows (1 times)" in run.out
    assert "no price is known for (no model given) (1 times)" in run.out
    assert "recorded under other: type-199 (1 times)" in run.out


def test_a_line_is_printed_without_its_control_characters(project, tmp_path):
    path = write(tmp_path / "usage.jsonl", json.dumps({**fields(), "x\n\x1b[31m": 1}))
    run = Run(path, project=project.pk)
    assert "\x1b" not in run.err
    assert len(run.err.splitlines()) == 1


# Folders with links


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target, target_is_directory=target.is_dir())


def found(*paths: Path) -> list[str]:
    """The names of the files found, relative to the folder of the first path."""
    discovery = discover(paths)
    assert not discovery.problems
    return [str(file.path.relative_to(paths[0].parent)) for file in discovery.files]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with two files, one of them in a folder of its own."""
    folder = tmp_path / "logs"
    (folder / "deep").mkdir(parents=True)
    write(folder / "a.jsonl", line(eventId="a"))
    write(folder / "deep" / "b.jsonl", line(eventId="b"))
    return folder


HERE = ["logs/a.jsonl", "logs/deep/b.jsonl"]


def test_a_folder_that_links_to_itself_twice_is_read_once(project, logs):
    link(logs / "again", logs)
    link(logs / "deep" / "and-again", logs)
    assert found(logs) == HERE
    sizes: list[tuple[int, int]] = []
    receipt = import_paths(project, [logs], progress=lambda read, total: sizes.append((read, total)))
    assert (receipt.files, receipt.counts["recorded"], receipt.failed) == (2, 2, False)
    whole = sum((logs.parent / name).stat().st_size for name in HERE)
    assert sizes == [(whole, whole)]
    assert recorded_ids(project) == {"a", "b"}


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_to_a_folder_above_is_not_followed(logs, target):
    write(logs.parent / "not-named.jsonl", line(eventId="no"))
    link(logs / "deep" / "up", Path(target))
    assert found(logs) == HERE


def test_a_link_to_a_folder_beside_it_finds_nothing_twice(logs):
    link(logs / "0-first-by-name", logs / "deep")
    link(logs / "deep" / "0-first-by-name.jsonl", logs / "a.jsonl")
    assert found(logs) == HERE, "files go by their own paths"


def test_links_lead_to_files_and_folders_elsewhere_once(logs, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    write(elsewhere / "deep" / "c.jsonl", line(eventId="c"))
    write(tmp_path / "stored", line(eventId="d"))
    link(logs / "x", elsewhere)
    link(logs / "deep" / "y", elsewhere / "deep")
    link(logs / "z.jsonl", tmp_path / "stored")
    link(logs / "stored-without-an-ending", tmp_path / "stored")
    link(elsewhere / "back", logs)
    link(elsewhere / "up", tmp_path)
    assert found(logs) == [*HERE, "logs/x/deep/c.jsonl", "logs/z.jsonl"]
    assert found(logs) == found(logs)


def test_two_folders_that_link_to_each_other_are_read_once(logs, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write(other / "c.jsonl", line(eventId="c"))
    link(logs / "other", other)
    link(other / "logs", logs)
    assert found(logs) == [*HERE, "logs/other/c.jsonl"]
    assert found(logs, other) == [*HERE, "other/c.jsonl"]


def test_links_that_lead_nowhere_are_ignored(logs):
    link(logs / "gone.jsonl", logs / "no-such-file")
    link(logs / "circle.jsonl", logs / "circle.jsonl")
    assert found(logs) == HERE


def test_a_file_given_by_several_paths_is_read_once(project, logs, tmp_path):
    link(tmp_path / "link.jsonl", logs / "a.jsonl")
    link(tmp_path / "folder", logs)
    paths = [logs, logs / "a.jsonl", logs / "deep", logs / "deep" / ".." / "a.jsonl"]
    paths += [tmp_path / "link.jsonl", tmp_path / "folder"]
    assert found(*paths) == HERE
    run = Run(*paths, project=project.pk)
    assert (run.status, run.receipt["files"], run.receipt["recorded"], run.receipt["duplicates"]) == (
        0,
        2,
        2,
        0,
    )


def test_a_link_that_is_named_is_followed(logs, tmp_path):
    link(tmp_path / "link", logs)
    assert found(tmp_path / "link") == ["link/a.jsonl", "link/deep/b.jsonl"]


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_read(project, logs, monkeypatch):
    scan = os.scandir

    def refuse(path: Path) -> Any:
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    run = Run(logs, project=project.pk)
    assert run.status == 1
    assert f"rejected: {logs / 'deep'}: can't be read (Permission denied)" in run.err
    assert recorded_ids(project) == {"a"}


def test_the_total_for_progress_is_that_of_all_formats(project, logs):
    write(
        logs / "spend.jsonl", json.dumps({"request_id": "x", "spend": 1, "startTime": "2026-03-17T12:00:00Z"})
    )
    sizes: list[tuple[int, int]] = []
    import_paths(project, [logs], progress=lambda read, total: sizes.append((read, total)))
    whole = sum(path.stat().st_size for path in logs.rglob("*.jsonl"))
    assert [total for _, total in sizes] == [whole, whole]
    assert 0 < sizes[0][0] < sizes[1][0] == whole


# Names that log rotation and copying leave behind


@pytest.mark.parametrize(
    "name",
    [
        *("b.jsonl.1", "b.jsonl.2026-03-17", "b.jsonl-20260317", "b.jsonl.2026-03-17T12:00:00Z", "b.JSONL"),
        *("b.jsonl.1.gz", "b.ndjson-20260317.zst"),
    ],
)
def test_a_rotated_file_is_read(project, logs, name):
    packed = next((pack for end, pack in PACKERS.items() if name.endswith(end)), bytes)
    (logs / "deep" / name).write_bytes(packed(f"{line(eventId='rotated')}\n".encode()))
    run = Run(logs, project=project.pk)
    assert (run.status, run.err, run.receipt["files"]) == (0, "", 3)
    assert recorded_ids(project) == {"a", "b", "rotated"}


@pytest.mark.parametrize("name", ["b.jsonl.bak", "b.jsonl~", "b.jsonl.1.xz", "b.csv.old", "b.jsonl.gz.part"])
def test_a_file_that_may_hold_usage_and_is_not_read_is_named(project, logs, name):
    other = write(logs / "deep" / name, line(eventId="copy"))
    link(logs / f"link-{name}", other)
    run = Run(logs, project=project.pk)
    assert (run.status, run.receipt["recorded"], run.receipt["skipped"]) == (0, 2, 1)
    assert run.err.splitlines() == [f"skipped: {other}: {NOT_READ}"]
    assert f"not understood: {NOT_READ} (import, 1 times)" in run.out
    assert NOT_READ not in Run(logs, other, project=project.pk, format="usage_events").err


def test_other_files_of_a_folder_are_not_named(project, logs):
    for name in ("notes.txt", "a.json", "b.jsonlines", "c.csvx", "jsonl"):
        write(logs / name, "x")
    assert Run(logs, project=project.pk).err == ""


# Folders in which nothing can be read

NOTHING_HERE = "no file in this folder can hold usage: their names end in .jsonl, .ndjson or .csv"
NONE_READ = "none of the files in this folder can be read"
OTHER_AGENTS = {
    "Qwen Code": '{"type": "user", "sessionId": "s", "uuid": "u", "message": {"parts": []}}',
    "Gemini CLI": '{"projectHash": "h", "sessionId": "s"}',
    "Copilot CLI": '{"type": "session.start", "data": {}}',
    "pi": '{"type": "session", "version": 3, "cwd": "/"}',
}
CODEX_LINE = '{"timestamp": "2026-03-17T12:00:00Z", "type": "session_meta", "payload": {"id": "x"}}'
CLAUDE_LINE = '{"type": "user", "sessionId": "s", "uuid": "u"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def errors(folder: Path, *more: Path, project: Any, **options: Any) -> list[str]:
    """What an import that records nothing reports."""
    run = Run(folder, *more, project=project.pk, **options)
    assert (run.status, run.receipt["recorded"]) == (1, 0)
    return run.err.splitlines()


def test_an_empty_folder_is_an_error(project, folder):
    assert errors(folder, project=project)[0].startswith(f"rejected: {folder}: {NOTHING_HERE}")


def test_a_folder_of_files_with_other_endings_is_an_error(project, folder, good):
    write(folder / "usage.txt", *good)
    (folder / "deep").mkdir()
    assert errors(folder, project=project)[0].startswith(f"rejected: {folder}: {NOTHING_HERE}")


def test_a_folder_of_unknown_files_is_an_error(project, folder):
    write(folder / "a.jsonl", '{"hello": "world"}')
    write(folder / "empty.jsonl")
    found = errors(folder, project=project)
    assert found[-1] == f"rejected: {folder}: {NONE_READ}"
    assert len(found) == 3


@pytest.mark.parametrize("format_name", [None, "claude_code", "codex"])
@pytest.mark.parametrize("agent", OTHER_AGENTS)
def test_a_folder_of_another_agents_logs_is_an_error(project, folder, agent, format_name):
    write(folder / "log.jsonl", OTHER_AGENTS[agent])
    first, second = errors(folder, project=project, format=format_name)
    assert first.startswith(f"rejected: {folder / 'log.jsonl'}: this is a log of {agent}")
    assert second == f"rejected: {folder}: {NONE_READ}"


@pytest.mark.parametrize(
    ("log", "format_name", "agent"),
    [(CODEX_LINE, "claude_code", "Codex"), (CLAUDE_LINE, "codex", "Claude Code")],
)
def test_no_agents_logs_are_read_as_anothers(project, folder, log, format_name, agent):
    write(folder / "log.jsonl", log)
    found = errors(folder, project=project, format=format_name)
    assert f"this is a log of {agent}, not of" in found[0]


def test_an_unknown_file_that_is_called_an_agents_log_makes_its_folder_an_error(project, folder):
    write(folder / "a.jsonl", '{"hello": "world"}')
    assert errors(folder, project=project, format="codex") == [f"rejected: {folder}: {NONE_READ}"]


def test_each_folder_without_a_readable_file_is_named_and_the_others_are_recorded(project, folder, logs):
    run = Run(folder, logs, project=project.pk)
    assert run.status == 1
    assert recorded_ids(project) == {"a", "b"}
    assert run.err.startswith(f"rejected: {folder}: {NOTHING_HERE}")


def test_a_log_without_usage_so_far_is_no_error(project, folder):
    write(folder / "log.jsonl", CLAUDE_LINE)
    assert Run(folder, project=project.pk).status == 0


def test_a_folder_whose_files_are_named_before_is_no_error(project, folder, logs):
    link(folder / "logs", logs)
    assert Run(logs / "deep", logs / "a.jsonl", logs, folder, project=project.pk).status == 0
