"""Which files are imported as what, and why others are not."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from billing import ledger
from billing.ledger import Outcome, gateway_records
from billing.ledger.responses import running_totals
from billing.sources import BrokenFile, Parse, claude_code, codex, litellm, usage_events
from billing.sources.agent_logs import CLAUDE_CODE, CODEX, agent_of_log
from billing.sources.discovery import Folder, discover
from billing.sources.files import LogFile
from billing.sources.guess import guess_format

Record = Callable[..., list[Outcome]]


@dataclass(frozen=True)
class Format:
    parse: Parse
    record: Record = ledger.record
    agent: str | None = None
    """The agent whose logs these are. Those of others look much alike."""
    reads_companions: bool = False
    """Whether files beside the logs say more about them."""


FORMATS: Mapping[str, Format] = {
    usage_events.NAME: Format(usage_events.parse),
    claude_code.NAME: Format(
        claude_code.parse, running_totals.record, agent=CLAUDE_CODE, reads_companions=True
    ),
    codex.NAME: Format(codex.parse, agent=CODEX),
    litellm.NAME: Format(litellm.parse, gateway_records.record),
}


@dataclass
class FilesByFormat:
    groups: dict[str, list[LogFile]] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Files and folders of which nothing is imported, and why."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Files in folders that may hold usage and are not read, and why."""
    number: int = 0
    """Of the files found."""


def by_format(paths: Iterable[Path], format_name: str | None) -> FilesByFormat:
    """Find the files and sort them by format: the given one, or what their content shows."""
    found = discover(paths)
    files = FilesByFormat(number=len(found.files))
    files.problems += ((str(path), reason) for path, reason in found.problems)
    files.skipped += ((str(path), NOT_READ) for path in found.unread)
    readable = {file.path for file in found.files if _add(files, file, format_name)}
    if not found.files:
        reason = "it describes a log beside it; import the log's folder"
        files.problems += ((file.name, reason) for file in found.companions)
    for name, group in files.groups.items():
        if FORMATS[name].reads_companions:
            group += found.companions
    named = {path for path, _ in found.problems}
    files.problems += (
        (str(folder.path), why)
        for folder in found.folders
        if folder.path not in named and (why := _why_nothing(folder, readable))
    )
    return files


def _add(files: FilesByFormat, file: LogFile, format_name: str | None) -> bool:
    """Add a file to its format's, or say why it has none; return whether it is known to have this format."""
    if format_name:
        return _add_as(files, file, format_name)
    try:
        name = guess_format(file)
    except BrokenFile as broken:
        files.problems.append((f"{file.name}:{broken.line}", broken.reason))
        return False
    if not name:
        files.problems.append((file.name, _why_no_format(file)))
        return False
    files.groups.setdefault(name, []).append(file)
    return True


def _add_as(files: FilesByFormat, file: LogFile, format_name: str) -> bool:
    wanted = FORMATS[format_name].agent
    agent = agent_of_log(file) if wanted else None
    if agent != wanted and agent is not None:
        reason = f"this is a log of {agent}, not of {wanted}; nothing of it is read"
        files.problems.append((file.name, reason))
        return False
    files.groups.setdefault(format_name, []).append(file)
    return agent == wanted


def _why_no_format(file: LogFile) -> str:
    agent = agent_of_log(file)
    if agent:
        return f"this is a log of {agent}; its format can't be imported"
    return "its format can't be guessed from its content; use --format"


def _why_nothing(folder: Folder, readable: set[Path]) -> str:
    """Why nothing of a folder can be imported, "" if something can or if another path leads there, too."""
    if folder.is_shared or any(file.path in readable for file in folder.files):
        return ""
    if not folder.files:
        return NOTHING_HERE
    return "none of the files in this folder can be read"


NOTHING_HERE = (
    "no file in this folder can hold usage: their names end in .jsonl, .ndjson or .csv, "
    "and may end in a number or date and in .gz or .zst after that"
)
NOT_READ = "this file is not read for what follows the ending of its name; import it by its own path"
