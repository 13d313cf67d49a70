"""Load by several processes that start together, repeat one action for some seconds, and count."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

Act = Callable[[int], int | None]
"""Do the n-th piece of work; return the number of events it sent, or None if it must wait."""
FORK = get_context("fork")  # the parent has no connection and no thread, and 16 starts cost little
PATIENCE = 120
READY = 300_000
"""Events that are prepared before the clock starts, by all together. Further ones are made on the fly."""
WAIT = 2
"""Seconds to wait, the value of the product's `Retry-After`."""


@dataclass
class Tally:
    events: int = 0
    """Acknowledged within the measured time."""
    all_events: int = 0
    """All acknowledged events, warm-up and the last answer included."""
    seconds: list[float] = field(default_factory=list)
    """How long each acknowledged piece took."""
    busy: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.events + other.events,
            self.all_events + other.all_events,
            self.seconds + other.seconds,
            self.busy + other.busy,
        )


def measure(makes: Sequence[Callable[[], Act]], warm_up: float, seconds: float) -> Tally:
    """Run a process for each of `makes`, which prepares there what should not be measured."""
    meeting = FORK.Barrier(len(makes))
    with ProcessPoolExecutor(len(makes), FORK, initializer=_meet_at, initargs=(meeting,)) as pool:
        futures = [pool.submit(_work, make, warm_up, seconds) for make in makes]
        return reduce(Tally.__add__, [future.result() for future in futures])


def _meet_at(meeting: Barrier) -> None:
    global _meeting
    _meeting = meeting


def _work(make: Callable[[], Act], warm_up: float, seconds: float) -> Tally:
    act = make()
    _meeting.wait(PATIENCE)
    tally, number = Tally(), 0
    counts_from = time.perf_counter() + warm_up
    ends = counts_from + seconds
    while (began := time.perf_counter()) < ends:
        events = act(number)
        ended = time.perf_counter()
        if events is None:
            tally.busy += 1
            time.sleep(WAIT)
            continue
        number += 1
        tally.all_events += events
        if counts_from <= ended < ends:
            tally.events += events
            tally.seconds.append(ended - began)
    return tally


def prepared(make: Callable[[int], Any], use: Callable[[int, Any], int | None], ready: int) -> Act:
    pieces = [make(number) for number in range(ready)]
    return lambda number: use(number, pieces[number] if number < ready else make(number))


def percentile(values: Sequence[float], percent: int) -> float:
    ordered: list[Any] = sorted(values)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else 0.0
