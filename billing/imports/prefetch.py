"""Reading files in another process, while this one records what was read before.

Reading takes a quarter of an import's processor time, which another processor can take over. What is read
comes through a pipe, whose size limits how far ahead the other process reads: two batches at most.
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

MIN_BYTES = 5_000_000
"""Smaller files are read faster than the other process starts."""
_SPAWN = get_context("spawn")  # a fork would share the connection to the database


class Batch(msgspec.Struct, gc=False):
    """Items that were read, and the bytes of the files read so far. At the end there are no items."""

    items: list[Item]
    read_bytes: int


def batches(parse: Parse, files: list[LogFile], context: Context, size: int) -> Generator[Batch]:
    """Yield everything in the files, in batches of at most `size` items."""
    other_process = (os.cpu_count() or 1) > 1 and sum(file.size for file in files) >= MIN_BYTES
    return (_in_other_process if other_process else _in_this_process)(parse, files, context, size)


def _in_this_process(parse: Parse, files: list[LogFile], context: Context, size: int) -> Generator[Batch]:
    items = parse(list(files), context)
    while batch := list(islice(items, size)):
        yield Batch(batch, sum(file.read_bytes for file in files))


def _in_other_process(parse: Parse, files: list[LogFile], context: Context, size: int) -> Generator[Batch]:
    receiver, sender = _SPAWN.Pipe(duplex=False)
    reader = _SPAWN.Process(target=_read, args=(sender, parse, files, context, size), daemon=True)
    reader.start()
    sender.close()  # this process's copy: once the reader has closed its own, too, the pipe ends
    decoder = msgspec.msgpack.Decoder(Batch)
    try:
        while (batch := decoder.decode(receiver.recv_bytes())).items:
            yield batch
    except EOFError:
        reader.join()
        raise RuntimeError(
            f"the process that reads the files stopped unexpectedly (exit status {reader.exitcode})"
        ) from None
    finally:
        reader.terminate()
        reader.join()
        receiver.close()


def _read(sender: Connection, parse: Parse, files: list[LogFile], context: Context, size: int) -> None:
    """Run in the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C, the importer ends this process
    encoder = msgspec.msgpack.Encoder()
    try:
        for batch in _in_this_process(parse, files, context, size):
            sender.send_bytes(encoder.encode(batch))
        sender.send_bytes(encoder.encode(Batch([], 0)))
    except BrokenPipeError:  # the importer has stopped reading
        pass
