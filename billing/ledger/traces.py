"""Record the usage that traces report, although spans arrive in pieces and children first.

An agent's name, and how long and how well it worked, are in the agent's own span. That span ends, and is
sent, after the model calls below it. So the spans of a trace are remembered between requests, and what a
later span reports on a job that is already recorded goes to the ledger as a `job` event. The ledger is thus
a function of the set of spans; of two spans with one id the first counts.
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
from billing.events.usage_event import DEDUCTION, JOB, Rejection, UsageEvent
from billing.ledger import recording, sqlite_lock
from billing.ledger.calls.batch import Nested
from billing.ledger.outcomes import Outcome
from billing.ledger.recording import Then
from billing.models import TraceSpan
from billing.sources.json_lines import MAIN
from billing.sources.otlp import Found, Span
from products.models import Project
from products.statuses import FAILED, SUCCEEDED

MAX_SPANS = 5_000
"""Spans remembered of one trace. Further calls are still recorded, but may miss a name that comes later."""
MAX_DEPTH = 100
"""How far up a model call is compared with the spans that enclose it."""
REMEMBERED_FOR = timedelta(days=7)


class RunReport(msgspec.Struct, frozen=True):
    """What the spans of a trace report on its run."""

    run_status: str = ""
    run_started_at: datetime | None = None
    run_finished_at: datetime | None = None


class JobReport(msgspec.Struct, frozen=True):
    """What the spans of a trace report on one of its jobs."""

    agent_type: str = ""
    job_status: str = ""
    job_started_at: datetime | None = None
    job_finished_at: datetime | None = None


NOTHING_REPORTED = JobReport()
RunAndJob = tuple[str, str]


class Trace:
    """The spans of one trace that have arrived so far. Pure and immutable."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans: dict[str, Span] = {}
        for span in spans:
            self.spans.setdefault(span.span_id, span)
        self._agents: dict[str, str] = {}

    def with_more(self, spans: Iterable[Span]) -> "Trace":
        return Trace([*self.spans.values(), *spans])

    @cached_property
    def run_report(self) -> RunReport:
        spans = self.spans.values()
        failed = any(span.failed and not span.parent_id for span in spans)
        return RunReport(FAILED if failed else "", *_extent(spans))

    @cached_property
    def calls(self) -> dict[RunAndJob, list[Span]]:
        """The model calls of each job."""
        calls = defaultdict(list)
        for span in self.spans.values():
            if span.calls_model:
                calls[span.run_id, span.job_id].append(span)
        return dict(calls)

    @cached_property
    def job_reports(self) -> dict[RunAndJob, JobReport]:
        return {job: self._job_report(calls) for job, calls in self.calls.items()}

    def _job_report(self, calls: list[Span]) -> JobReport:
        """From the job's model calls and the spans directly above them, in most jobs one: the job's own."""
        parents = {call.parent_id for call in calls}
        spans = [*calls, *(self.spans[parent] for parent in parents if parent in self.spans)]
        return JobReport(
            reduce(better_name, map(self.agent_of, calls), ""),
            _job_status(calls, spans),
            *_extent(spans),
        )

    def agent_of(self, span: Span) -> str:
        """The name of the nearest agent among the span's ancestors; "" while spans up to it are missing."""
        path: dict[str, None] = {}  # detects circles, which a faulty trace may have
        at: Span | None = span
        while at and not at.agent_name and at.span_id not in self._agents and at.span_id not in path:
            path[at.span_id] = None
            at = self.spans.get(at.parent_id)
        name = (at.agent_name or self._agents.get(at.span_id, "")) if at else ""
        self._agents.update(dict.fromkeys(path, name))
        return name

    @cached_property
    def nested(self) -> set[Nested]:
        """Model calls within model calls that report the same totals: two instrumentations of one call."""
        return {
            Nested(outer.event_id, inner.event_id)
            for inner in self.spans.values()
            if inner.calls_model and (inner.input_tokens or inner.output_tokens)
            for outer in self._above(inner)
            if outer.calls_model and _totals(outer) == _totals(inner)
        }

    def _above(self, span: Span) -> Iterator[Span]:
        """The span's ancestors, the nearest first."""
        path = {span.span_id}  # detects circles
        at = self.spans.get(span.parent_id)
        while at and at.span_id not in path and len(path) <= MAX_DEPTH:
            yield at
            path.add(at.span_id)
            at = self.spans.get(at.parent_id)

    def with_reports(self, event: UsageEvent) -> UsageEvent:
        """The event with everything that the spans report on its run and job."""
        job = self.job_reports.get((event.run_id, event.job_id), NOTHING_REPORTED)
        return replace(event, **asdict(self.run_report), **asdict(job))

    def job_events_since(self, before: "Trace") -> Iterator[UsageEvent]:
        """`job` events for the reports that changed since `before`, on jobs that it had already."""
        changed = [job for job, report in before.job_reports.items() if report != self.job_reports[job]]
        if self.run_report != before.run_report:
            # Any job's event can report on its run.
            reported = {run_id for run_id, _ in changed}
            of_each_run = {run_id: (run_id, job_id) for run_id, job_id in before.calls}
            changed += [job for run_id, job in of_each_run.items() if run_id not in reported]
        for run_id, job_id in changed:
            call = before.calls[run_id, job_id][0]
            # The job has this instant already, so the event changes nothing but what it reports.
            at = call.finished_at or call.started_at
            assert at
            yield self.with_reports(UsageEvent(kind=JOB, occurred_at=at, run_id=run_id, job_id=job_id))


def _job_status(calls: list[Span], spans: list[Span]) -> str:
    """Spans say nothing of a session's main job: its user goes on after a call has failed."""
    if calls[0].agent_id == MAIN:
        return ""
    return FAILED if any(span.failed for span in spans) else SUCCEEDED


def _totals(span: Span) -> tuple[int | None, int | None]:
    return span.input_tokens, span.output_tokens


def _extent(spans: Iterable[Span]) -> tuple[datetime | None, datetime | None]:
    first: datetime | None = None
    last: datetime | None = None
    for span in spans:
        first = earlier(first, span.started_at)
        last = later(last, span.finished_at)
    return first, last


REMEMBERED = Outcome(status="recorded")
"""The outcome for a span that is only remembered, since it is not usage itself."""


def record(
    project: Project, found: Sequence[Found | Rejection], *, then: Then | None = None
) -> list[Outcome]:
    """`ledger.record` for the spans of a request; returns an outcome for each, in the same order."""
    with sqlite_lock.writing():
        recording.lock(project)
        found = [_with_totals(item) for item in found]
        arrived = _by_trace(found)
        before = _remembered(project, sorted(arrived))
        after = {trace_id: trace.with_more(arrived[trace_id]) for trace_id, trace in before.items()}
        events = [_event(item, after) for item in found]
        job_events = [
            event for trace_id, trace in before.items() for event in after[trace_id].job_events_since(trace)
        ]
        nested = [
            pair for trace_id, trace in before.items() for pair in after[trace_id].nested - trace.nested
        ]
        recorded = recording.record(
            project, [*(event for event in events if event), *job_events], nested=sorted(nested)
        )
        remaining = iter(recorded)
        outcomes = [next(remaining) if event else REMEMBERED for event in events]
        _remember(project, before, found, outcomes)
        if then:
            then(outcomes)
        return outcomes


def _with_totals(item: Found | Rejection) -> Found | Rejection:
    """The span with its totals, by which two spans of one call are recognized."""
    if isinstance(item, Rejection) or item.event is None or item.event.kind != DEDUCTION:
        return item
    tokens = item.event.tokens
    span = replace(item.span, input_tokens=tokens.all_input, output_tokens=tokens.output)
    return Found(span, item.event)


def _by_trace(found: Sequence[Found | Rejection]) -> dict[str, list[Span]]:
    spans = defaultdict(list)
    for item in found:
        if isinstance(item, Found):
            spans[item.span.trace_id].append(item.span)
    return spans


def _event(item: Found | Rejection, traces: dict[str, Trace]) -> UsageEvent | Rejection | None:
    if isinstance(item, Rejection):
        return item
    if item.event is None:
        return None
    event = traces[item.span.trace_id].with_reports(item.event)
    if event.kind != DEDUCTION or event.call_ids:
        return event
    # A span that encloses this one may arrive later; until then the report keeps who sent it.
    return replace(event, call_ids=(event.event_id,))


_FIELDS = Span.__struct_fields__


def _remembered(project: Project, trace_ids: list[str]) -> dict[str, Trace]:
    """The traces by id, as far as their spans are remembered."""
    spans: dict[str, list[Span]] = {trace_id: [] for trace_id in trace_ids}
    for row in TraceSpan.objects.filter(project=project, trace_id__among=trace_ids).values(*_FIELDS):
        spans[row["trace_id"]].append(Span(**row))
    return {trace_id: Trace(known) for trace_id, known in spans.items()}


def _remember(
    project: Project,
    before: dict[str, Trace],
    found: Sequence[Found | Rejection],
    outcomes: Sequence[Outcome],
) -> None:
    """Store the new spans of each trace, up to `MAX_SPANS`, and delete those older than `REMEMBERED_FOR`."""
    today = timezone.now().date()
    TraceSpan.objects.filter(project=project, remembered_on__lt=today - REMEMBERED_FOR).delete()
    new: dict[str, dict[str, Span]] = {trace_id: {} for trace_id in before}
    for item, outcome in zip(found, outcomes, strict=True):
        if isinstance(item, Found) and item.span.span_id not in before[item.span.trace_id].spans:
            new[item.span.trace_id].setdefault(item.span.span_id, _as_recorded(item.span, outcome))
    stored = [
        span
        for trace_id, spans in new.items()
        for span in sorted(spans.values(), key=_rank)[: max(MAX_SPANS - len(before[trace_id].spans), 0)]
    ]
    rows = [(project.pk, *astuple(span), today) for span in stored]
    bulk.insert(TraceSpan, ("project_id", *_FIELDS, "remembered_on"), rows)


def _as_recorded(span: Span, outcome: Outcome) -> Span:
    """A rejected call makes no job, but its span still connects the spans below it with those above."""
    recorded = outcome.status in ("recorded", "duplicate")
    return span if recorded else replace(span, calls_model=False)


def _rank(span: Span) -> tuple[bool, bool, str]:
    """Calls and agents first, if not all spans can be remembered."""
    return not span.calls_model, not span.agent_name, span.span_id
