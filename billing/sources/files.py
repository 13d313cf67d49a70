"""Files of usage on disk, plain or compressed by gzip, read line by line."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from billing.json_decoding import BOM
from billing.sources import BrokenFile

MAX_LINE = 64 * 1024 * 1024
"""Bytes. Agents' logs hold pictures in a line; anything longer is not a line of a log."""


class LogFile:
    """A file on disk, named as the user named it."""

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
                    yield number, (line.removeprefix(BOM) if number == 1 else line).rstrip(b"\r\n")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BrokenFile(number + 1, f"the gzip stream breaks off or is damaged ({error})") from error
        except OSError as error:
            raise BrokenFile(number + 1, f"can't be read ({error.strerror or error})") from error


def _is_gzip(raw: IO[bytes]) -> bool:
    magic = raw.read(2)
    raw.seek(0)
    return magic == b"\x1f\x8b"
