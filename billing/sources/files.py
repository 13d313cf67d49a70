"""Files and folders of usage: finding them, opening plain and `.gz`, guessing the format."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

import msgspec

from billing.sources import BrokenFile, json_decoder

ENDINGS = (".jsonl", ".ndjson", ".csv", ".jsonl.gz", ".ndjson.gz", ".csv.gz")
MAX_LINE = 64 * 1024 * 1024
"""Bytes. Logs of agents hold pictures in a line; a line beyond this is no line of a log."""


class LogFile:
    """A file on disk, named as the person named it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.read_bytes = 0
        """Bytes of the file on disk read so far, for progress."""

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def lines(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        try:
            with self.path.open("rb") as raw:
                stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if _is_gzip(raw) else raw)
                while line := stream.readline(MAX_LINE + 1):
                    number += 1
                    if len(line) > MAX_LINE:
                        raise BrokenFile(number, f"the line is longer than {MAX_LINE:,} bytes")
                    self.read_bytes = raw.tell()
                    yield number, line.rstrip(b"\r\n")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BrokenFile(number + 1, f"the gzip stream breaks off or is damaged ({error})") from error
        except OSError as error:
            raise BrokenFile(number + 1, f"can't be read ({error.strerror or error})") from error


def _is_gzip(raw: IO[bytes]) -> bool:
    magic = raw.read(2)
    raw.seek(0)
    return magic == b"\x1f\x8b"


def discover(paths: Iterable[Path]) -> Iterator[LogFile]:
    """The files that the paths name; folders are walked in order of name. Raises `FileNotFoundError`."""
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.name.endswith(ENDINGS) and p.is_file())
            yield from map(LogFile, inside)
        elif path.exists():
            yield LogFile(path)
        else:
            raise FileNotFoundError(f"{path}: no such file or folder")


def guess_format(file: LogFile) -> str | None:
    """The format that the first lines of a file tell, or None."""
    beginning = b""
    try:
        for number, line in file.lines():
            found = _format_of(line) if line.strip() else None
            if found:
                return found
            beginning += line[: _BEGINNING - len(beginning)]
            if number >= 50:
                break
    except BrokenFile:
        pass
    return _format_of_array(beginning) or ("usage_events" if ".csv" in file.path.suffixes else None)


_BEGINNING = 64 * 1024
"""Bytes of an array that are searched for what its objects are."""
_BOM = b"\xef\xbb\xbf"
_USAGE_EVENT_KEYS = {"eventId", "occurredAt", "kind"}
_CLAUDE_KEYS = {"sessionId", "uuid", "parentUuid", "leafUuid"}
_CODEX_KEYS = {"timestamp", "type", "payload"}
_LITELLM_KEYS = ({"request_id", "spend"}, {"id", "response_cost"})
"""Of a spend log, and of what a callback sends."""


def _format_of(line: bytes) -> str | None:
    try:
        value = json_decoder.decode(line.removeprefix(_BOM))
    except (msgspec.DecodeError, RecursionError):
        header = {cell.strip(' "') for cell in line.decode("utf-8-sig", "replace").split(",")}
        return "usage_events" if header & _USAGE_EVENT_KEYS else None
    if not isinstance(value, dict):
        return None
    if value.keys() & _USAGE_EVENT_KEYS:
        return "usage_events"
    if "type" in value and value.keys() & _CLAUDE_KEYS:
        return "claude_code"
    if value.keys() >= _CODEX_KEYS:
        return "codex"
    return "litellm" if any(value.keys() >= keys for keys in _LITELLM_KEYS) else None


def _format_of_array(beginning: bytes) -> str | None:
    """An array takes one line or thousands: its beginning is searched, not read."""
    if beginning.removeprefix(_BOM).lstrip()[:1] != b"[":
        return None
    found = any(all(b'"%s"' % key.encode() in beginning for key in keys) for keys in _LITELLM_KEYS)
    return "litellm" if found else None
