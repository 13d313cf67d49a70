"""Records of responses (`token_usage_record`), and the counters (`token_count`) that follow them.

A response goes by its counter's instant and total, as it did before records were read: so logs that were
imported then are recognized. A record without a counter is a compaction's, and goes by its own.
"""

from datetime import datetime, timedelta

import msgspec

from billing.sources.codex.counter import Counter, counter_of
from billing.sources.json_lines import Record, text_of

_SOON = timedelta(minutes=1)
"""How long a counter may follow the record of its response; a quarter of a second has been seen."""


class Response(msgspec.Struct, frozen=True):
    line: int
    at: datetime
    id: str
    used: Counter
    total: int
    """What the thread had used with it."""


def response_of(line: int, at: datetime, payload: Record) -> Response:
    total = counter_of(payload, "thread_token_usage").total
    return Response(line, at, text_of(payload, "response_id"), counter_of(payload, "usage"), total)


class Responses:
    def __init__(self) -> None:
        self._waiting: Response | None = None
        """The latest response, while its counter is still to come."""
        self._uncounted: list[Counter] = []
        """What responses used whose counter had not come when the next response did."""

    def add(self, response: Response) -> Response | None:
        """Note a response; return the one before it if its counter never came."""
        before, self._waiting = self._waiting, response
        if before:
            self._uncounted.append(before.used)
        return before

    def counted(self, at: datetime, total: int, latest: Counter | None) -> list[Response] | None:
        """The response that a counter counts, [] if it has been returned before, None if it has no record."""
        waiting = self._waiting
        is_latest = waiting is not None and waiting.used == latest
        if latest in self._uncounted and not is_latest:
            self._uncounted.remove(latest)
            return []
        if waiting is None:
            return None
        if at - waiting.at <= _SOON:
            self._waiting = None
            return [msgspec.structs.replace(waiting, at=at, total=total)]
        if is_latest:
            self._waiting = None
            return [waiting]
        return None

    def rest(self, now: datetime) -> Response | None:
        """The last response, unless its counter may be about to come: a file may be read while it grows."""
        waiting = self._waiting
        return waiting if waiting and now - waiting.at > _SOON else None
