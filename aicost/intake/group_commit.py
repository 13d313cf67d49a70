"""Group commit: record the requests for one project that arrive at the same time in one transaction.

All writers of a project wait for the lock on its row, and a transaction costs nearly as much for one
event as for dozens. The request that holds a project's lock in this process records all that wait there.
Each response still waits for the commit, and contains only its own outcomes.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial
from itertools import chain, islice
from threading import Lock

from django.conf import settings
from django.db import OperationalError

from aicost.intake.body import MAX_EVENTS
from billing import intake_counts
from billing.events.usage_event import Rejection, UsageEvent
from billing.intake_counts import Counts
from billing.ledger import Outcome, gateway_records
from products.models import Project


class PendingRequest:
    """A request's events and, once it is done, their outcomes or an error."""

    def __init__(self, endpoint: str, events: Sequence[UsageEvent | Rejection]) -> None:
        self.endpoint = endpoint
        self.events = events
        self.outcomes: list[Outcome] = []
        self.error: Exception | None = None
        self.done = False


class ProjectQueue:
    """The requests for one project that wait to be recorded."""

    def __init__(self) -> None:
        self.lock = Lock()
        """Held by the request that records."""
        self.pending: deque[PendingRequest] = deque()
        self._change = Lock()

    def next_group(self) -> list[PendingRequest]:
        """Remove and return the oldest requests, together no larger than one request may be."""
        with self._change:
            group = [self.pending.popleft()]
            room = MAX_EVENTS - len(group[0].events)
            while self.pending and len(self.pending[0].events) <= room:
                group.append(self.pending.popleft())
                room -= len(group[-1].events)
            return group

    def withdraw(self, request: PendingRequest) -> bool:
        """Remove a request. Returns False if it is already being recorded."""
        with self._change:
            if request not in self.pending:
                return False
            self.pending.remove(request)
            return True


_queues: dict[int, ProjectQueue] = {}


def queue_of(project: Project) -> ProjectQueue:
    return _queues.setdefault(project.pk, ProjectQueue())


def record(project: Project, endpoint: str, events: Sequence[UsageEvent | Rejection]) -> list[Outcome]:
    """Like `ledger.record`, without `atomic`, which would let one request hold back another's events."""
    request = PendingRequest(endpoint, events)
    queue = queue_of(project)
    queue.pending.append(request)
    # Several groups may be recorded first, each of which may wait as long for the database.
    if not queue.lock.acquire(timeout=settings.LOCK_TIMEOUT):
        if queue.withdraw(request):
            raise OperationalError("the project is locked: other requests for it are being recorded")
        queue.lock.acquire()
    try:
        while not request.done:
            _record(project, queue.next_group())
    finally:
        queue.lock.release()
    if request.error:
        raise request.error
    return request.outcomes


def _record(project: Project, group: list[PendingRequest]) -> None:
    events = list(chain.from_iterable(request.events for request in group))
    try:
        outcomes = iter(gateway_records.record(project, events, then=partial(_count, project, group)))
    except Exception as error:
        # A busy database fails every request; any other error may be due to a single one.
        if len(group) > 1 and not isinstance(error, OperationalError):
            for request in group:
                _record(project, [request])
            return
        for request in group:
            request.error, request.done = error, True
    else:
        for request in group:
            request.outcomes, request.done = list(islice(outcomes, len(request.events))), True


def _count(project: Project, group: list[PendingRequest], outcomes: Sequence[Outcome]) -> None:
    remaining = iter(outcomes)
    counts = Counts()
    for request in group:
        own = list(islice(remaining, len(request.events)))
        counts += intake_counts.counts_of(request.endpoint, request.events, own)
    intake_counts.add(project, counts)
