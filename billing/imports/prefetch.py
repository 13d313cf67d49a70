"""Files are read by a process of their own, while this one records what was read before.

Reading takes a quarter of an import's processor time, and another processor has it to spare. What is
read comes over a pipe, which holds it up: no more than two batches are ever read ahead.
"""

import os
import signal
from collections.abc import Generator
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection

import msgspec

from billing.sources import Context, Item, Parse
from billing.sources.files import LogFile

WORTH_IT = 5_000_000
"""Bytes that are read in about the time that the process takes to start."""
_SPAWN = get_context("spawn")  # a fork would share our connection to the database


class Piece(msgspec.Struct, gc=False):
    """What was read, and of how many bytes of the files: nothing at the end."""

    items: list[Item]
    read_bytes: int


def pieces(parse: Parse, files: list[LogFile], context: Context, size: int) -> Generator[Piece]:
    """Everything in the files, in pieces of at most `size` items."""
    spare = (os.cpu_count() or 1) > 1 and sum(file.size for file in files) >= WORTH_IT
    return (_by_another if spare else _here)(parse, files, context, size)


def _here(parse: Parse, files: list[LogFile], context: Context, size: int) -> Generator[Piece]:
    items = parse(list(files), context)
    while batch := list(islice(items, size)):
        yield Piece(batch, sum(file.read_bytes for file in files))


def _by_another(parse: Parse, files: list[LogFile], context: Context, size: int) -> Generator[Piece]:
    receiver, sender = _SPAWN.Pipe(duplex=False)
    reader = _SPAWN.Process(target=_read, args=(sender, parse, files, context, size), daemon=True)
    reader.start()
    sender.close()  # ours: when the reader's is closed, too, there is nothing to wait for
    decoder = msgspec.msgpack.Decoder(Piece)
    try:
        while (piece := decoder.decode(receiver.recv_bytes())).items:
            yield piece
    except EOFError:
        reader.join()
        raise RuntimeError(
            f"the process that reads the files broke off (exit status {reader.exitcode})"
        ) from None
    finally:
        reader.terminate()
        reader.join()
        receiver.close()


def _read(sender: Connection, parse: Parse, files: list[LogFile], context: Context, size: int) -> None:
    """In the process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the importer's, which ends this one
    encoder = msgspec.msgpack.Encoder()
    try:
        for piece in _here(parse, files, context, size):
            sender.send_bytes(encoder.encode(piece))
        sender.send_bytes(encoder.encode(Piece([], 0)))
    except BrokenPipeError:  # nobody listens any more
        pass
