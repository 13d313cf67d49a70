"""Requests for one project that arrive while another is recorded go into the next transaction together.

All writers of a project queue for its row, and a transaction costs nearly as much for one event as
for dozens. Whoever has the turn records what waits in this process; every answer still waits for the
commit, and tells of its own events alone.
"""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from threading import Lock

from django.conf import settings
from django.db import OperationalError

from aicost.intake.body import MAX_EVENTS
from billing import ledger
from billing.events.usage_event import Rejection, UsageEvent
from billing.ledger import Outcome
from products.models import Project


class Waiting:
    """A request's events, and what became of them once it is done: outcomes, or an error."""

    def __init__(self, events: Sequence[UsageEvent | Rejection]) -> None:
        self.events = events
        self.outcomes: list[Outcome] = []
        self.error: Exception | None = None
        self.done = False


class Line:
    """Where the requests for one project wait."""

    def __init__(self) -> None:
        self.turn = Lock()
        self.waiting: deque[Waiting] = deque()
        self._change = Lock()

    def take(self) -> list[Waiting]:
        """The next ones, as many as are no larger a batch than one request may be."""
        with self._change:
            taken = [self.waiting.popleft()]
            room = MAX_EVENTS - len(taken[0].events)
            while self.waiting and len(self.waiting[0].events) <= room:
                taken.append(self.waiting.popleft())
                room -= len(taken[-1].events)
            return taken

    def leave(self, one: Waiting) -> bool:
        """Go away unheard; False where it is being recorded already."""
        with self._change:
            if one not in self.waiting:
                return False
            self.waiting.remove(one)
            return True


_lines: dict[int, Line] = {}


def line_of(project: Project) -> Line:
    return _lines.setdefault(project.pk, Line())


def record(project: Project, events: Sequence[UsageEvent | Rejection]) -> list[Outcome]:
    """As `ledger.record`, but for `atomic`: what one request withholds is no matter of the others."""
    mine = Waiting(events)
    line = line_of(project)
    line.waiting.append(mine)
    # Before it may lie several batches, each of which waits for the database as long.
    in_turn = line.turn.acquire(timeout=settings.LOCK_TIMEOUT)
    if not in_turn:
        if line.leave(mine):
            raise OperationalError("the project is locked: other requests for it are recorded")
        line.turn.acquire()
    try:
        while not mine.done:
            _record(project, line.take())
    finally:
        line.turn.release()
    if mine.error:
        raise mine.error
    return mine.outcomes


def _record(project: Project, together: list[Waiting]) -> None:
    try:
        outcomes = iter(ledger.record(project, [event for one in together for event in one.events]))
    except Exception as error:
        # A busy or lost database is nobody's fault; anything else may be that of a single request.
        if len(together) > 1 and not isinstance(error, OperationalError):
            for one in together:
                _record(project, [one])
            return
        for one in together:
            one.error, one.done = error, True
    else:
        for one in together:
            one.outcomes, one.done = list(islice(outcomes, len(one.events))), True
