"""Traces come in pieces and children first: what their spans tell reaches the ledger in any order.

An agent's name, and how long and how well it worked, stand on its own span, which ends, and is sent,
after the model calls below it. So the spans of a trace are remembered between requests, and what a
later one tells of a job that is booked already goes to the ledger as a `job` event. What the ledger
holds is thus a function of the set of spans; of two with one id the first counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property, reduce

import msgspec
from django.utils import timezone
from msgspec.structs import asdict, astuple, replace

from billing.db import bulk
from billing.events.run_state import better_name, earlier, later
from billing.events.usage_event import JOB, Rejection, UsageEvent
from billing.ledger import recording, sqlite_lock
from billing.ledger.recording import Outcome
from billing.models import TraceSpan
from billing.sources.otlp import Found, Span
from products.models import Project
from products.statuses import FAILED, SUCCEEDED

MAX_SPANS = 5_000
"""Remembered of one trace. Beyond it calls are billed as ever, but a name told late may not reach them."""
REMEMBERED_FOR = timedelta(days=7)


class RunTold(msgspec.Struct, frozen=True):
    """What the spans of a trace tell of its run."""

    run_status: str = ""
    run_started_at: datetime | None = None
    run_finished_at: datetime | None = None


class JobTold(msgspec.Struct, frozen=True):
    """What they tell of a job."""

    agent_type: str = ""
    job_status: str = ""
    job_started_at: datetime | None = None
    job_finished_at: datetime | None = None


NOTHING_TOLD = JobTold()


class Trace:
    """The spans of one trace that are known by now. Pure; never changed."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans: dict[str, Span] = {}
        for span in spans:
            self.spans.setdefault(span.span_id, span)
        self._agents: dict[str, str] = {}

    def with_more(self, spans: Iterable[Span]) -> "Trace":
        return Trace([*self.spans.values(), *spans])

    @cached_property
    def run_told(self) -> RunTold:
        spans = self.spans.values()
        failed = any(span.failed and not span.parent_id for span in spans)
        return RunTold(FAILED if failed else "", *_extent(spans))

    @cached_property
    def calls(self) -> dict[str, list[Span]]:
        """The model calls of each job."""
        calls = defaultdict(list)
        for span in self.spans.values():
            if span.calls_model:
                calls[span.job_id].append(span)
        return dict(calls)

    @cached_property
    def jobs_told(self) -> dict[str, JobTold]:
        return {job_id: self._job_told(calls) for job_id, calls in self.calls.items()}

    def _job_told(self, calls: list[Span]) -> JobTold:
        """By the job's model calls and the span right above them, which is the job's own."""
        own = self.spans.get(calls[0].parent_id)
        spans = [*calls, own] if own else calls
        return JobTold(
            reduce(better_name, map(self.agent_of, calls), ""),
            FAILED if any(span.failed for span in spans) else SUCCEEDED,
            *_extent(spans),
        )

    def agent_of(self, span: Span) -> str:
        """The nearest agent's name up the parents; "" as long as not every span up to it is known."""
        way: dict[str, None] = {}  # a trace may lie, and go in circles
        at: Span | None = span
        while at and not at.agent_name and at.span_id not in self._agents and at.span_id not in way:
            way[at.span_id] = None
            at = self.spans.get(at.parent_id)
        name = (at.agent_name or self._agents.get(at.span_id, "")) if at else ""
        self._agents.update(dict.fromkeys(way, name))
        return name

    def telling(self, event: UsageEvent) -> UsageEvent:
        """The event with all that the spans tell of its run and job."""
        job = self.jobs_told.get(event.job_id, NOTHING_TOLD)
        return replace(event, **asdict(self.run_told), **asdict(job))

    def news(self, known: "Trace") -> Iterator[UsageEvent]:
        """What these spans tell of jobs that are booked already, and `known` ones did not."""
        jobs = [job_id for job_id, told in known.jobs_told.items() if told != self.jobs_told[job_id]]
        if not jobs and self.run_told != known.run_told:
            jobs = list(known.jobs_told)[:1]  # any job can tell of its run
        for job_id in jobs:
            call = known.calls[job_id][0]
            # An instant that the job has already: it tells nothing new by itself.
            at = call.finished_at or call.started_at
            assert at
            yield self.telling(UsageEvent(kind=JOB, occurred_at=at, run_id=call.trace_id, job_id=job_id))


def _extent(spans: Iterable[Span]) -> tuple[datetime | None, datetime | None]:
    first: datetime | None = None
    last: datetime | None = None
    for span in spans:
        first = earlier(first, span.started_at)
        last = later(last, span.finished_at)
    return first, last


REMEMBERED = Outcome(status="recorded")
"""Of a span that is not booked itself."""


def record(project: Project, found: Sequence[Found | Rejection]) -> list[Outcome]:
    """`ledger.record` for what was found in a request; one outcome each, in their order."""
    with sqlite_lock.writing():
        recording.lock(project)
        arrived = _by_trace(found)
        known = _remembered(project, sorted(arrived))
        grown = {trace_id: trace.with_more(arrived[trace_id]) for trace_id, trace in known.items()}
        events = [_event(one, grown) for one in found]
        news = [event for trace_id, trace in known.items() for event in grown[trace_id].news(trace)]
        outcomes = iter(recording.record(project, [*(event for event in events if event), *news]))
        settled = [next(outcomes) if event else REMEMBERED for event in events]
        _remember(project, known, found, settled)
        return settled


def _by_trace(found: Sequence[Found | Rejection]) -> dict[str, list[Span]]:
    spans = defaultdict(list)
    for one in found:
        if isinstance(one, Found):
            spans[one.span.trace_id].append(one.span)
    return spans


def _event(one: Found | Rejection, traces: dict[str, Trace]) -> UsageEvent | Rejection | None:
    if isinstance(one, Rejection):
        return one
    return traces[one.span.trace_id].telling(one.event) if one.event else None


_FIELDS = Span.__struct_fields__


def _remembered(project: Project, trace_ids: list[str]) -> dict[str, Trace]:
    """The traces by id; without spans where nothing is known of one."""
    spans: dict[str, list[Span]] = {trace_id: [] for trace_id in trace_ids}
    for row in TraceSpan.objects.filter(project=project, trace_id__among=trace_ids).values(*_FIELDS):
        spans[row["trace_id"]].append(Span(**row))
    return {trace_id: Trace(known) for trace_id, known in spans.items()}


def _remember(
    project: Project, known: dict[str, Trace], found: Sequence[Found | Rejection], outcomes: Sequence[Outcome]
) -> None:
    """Keep what is new of each trace, as far as there is room, and forget what is long past."""
    today = timezone.now().date()
    TraceSpan.objects.filter(project=project, remembered_on__lt=today - REMEMBERED_FOR).delete()
    new: dict[str, dict[str, Span]] = {trace_id: {} for trace_id in known}
    for one, outcome in zip(found, outcomes, strict=True):
        if isinstance(one, Found) and one.span.span_id not in known[one.span.trace_id].spans:
            new[one.span.trace_id].setdefault(one.span.span_id, _as_booked(one.span, outcome))
    kept = [
        span
        for trace_id, spans in new.items()
        for span in sorted(spans.values(), key=_worth)[: max(MAX_SPANS - len(known[trace_id].spans), 0)]
    ]
    rows = [(project.pk, *astuple(span), today) for span in kept]
    bulk.insert(TraceSpan, ("project_id", *_FIELDS, "remembered_on"), rows)


def _as_booked(span: Span, outcome: Outcome) -> Span:
    """A call that was refused makes no job; the span still leads from those below it to those above."""
    fine = outcome.status in ("recorded", "duplicate")
    return span if fine else replace(span, calls_model=False)


def _worth(span: Span) -> tuple[bool, bool, str]:
    """Calls and agents first where not all can be remembered."""
    return not span.calls_model, not span.agent_name, span.span_id
