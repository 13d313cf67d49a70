"""Files of usage on disk, plain or compressed by gzip or Zstandard, read line by line."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from billing.json_decoding import BOM
from billing.sources import BrokenFile

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_LINE = 64 * 1024 * 1024
"""Bytes. Agents' logs hold pictures in a line; anything longer is not a line of a log."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


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
                stream = _plain(raw)
                while line := stream.readline(MAX_LINE + 1):
                    number += 1
                    if len(line) > MAX_LINE:
                        raise BrokenFile(number, f"the line is longer than {MAX_LINE:,} bytes")
                    self.read_bytes = raw.tell()
                    yield number, (line.removeprefix(BOM) if number == 1 else line).rstrip(b"\r\n")
        except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
            raise BrokenFile(number + 1, f"the compressed data breaks off or is damaged ({error})") from error
        except OSError as error:
            raise BrokenFile(number + 1, f"can't be read ({error.strerror or error})") from error


def _plain(raw: IO[bytes]) -> IO[bytes]:
    """The content of a file, whose first bytes say how it is compressed, whatever its name says."""
    beginning = raw.read(len(_ZSTD))
    raw.seek(0)
    if beginning.startswith(_GZIP):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    return cast(IO[bytes], zstd.ZstdFile(raw)) if beginning == _ZSTD else raw
