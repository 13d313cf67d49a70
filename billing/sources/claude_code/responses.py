"""Which copies in the logs are of one billed response.

A provider never uses a message id again. Copies under one message id are of one response
- if they share the request id;
- if one is in the log of a side question, which replays its session's responses under new request ids;
- if one of them lacks the request id and is in the same session, or in a fork: then they have the same
  instant, model and counts, or are earlier and later copies of two that have. Gateways that give no request
  ids use message ids again in other sessions.

`billing.ledger.responses.matching` says the same of copies of which some are in the ledger already.
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from billing.events.price_factors import PriceFactors
from billing.events.usage_event import CALL_ID_LENGTH, ID_LENGTH, MAX_CALL_IDS, Tokens
from billing.sources.claude_code.records import Spot
from billing.sources.claude_code.usage import Part
from billing.sources.foreign_ids import foreign_id, reused_id

_SUFFIX_ROOM = 20
"""Characters that the ledger may append to an event id when the response has grown."""


class Figures(msgspec.Struct, frozen=True, order=True):
    """Of several copies, the one with the most tokens counts; the rest breaks ties, whatever the order."""

    total: int
    counts: tuple[int, ...]
    factors: PriceFactors
    model: str
    warning: str


def figures(tokens: Tokens, factors: PriceFactors, model: str, warning: str) -> Figures:
    return Figures(tokens.total, msgspec.structs.astuple(tokens), factors, model, warning)


class Report(msgspec.Struct):
    """What the copies with the same ids say; without a request id, those of one session."""

    message: str
    request: str
    first: Spot
    opening: Figures
    """The figures of the first copy. A fork has it too, even if it has none of the later ones."""
    largest: Figures
    is_replay: bool
    sessions: tuple[str, ...]
    parts: dict[str, Figures] = msgspec.field(default_factory=dict)

    def add(self, spot: Spot, found: Figures, is_replay: bool) -> None:
        self.opening = min((self.first.at, self.opening), (spot.at, found))[1]
        if spot.session not in self.sessions:
            self.sessions += (spot.session,)
        self.first = min(self.first, spot)
        self.largest = max(self.largest, found)
        self.is_replay = self.is_replay and is_replay

    def add_part(self, part: Part) -> None:
        found = figures(part.tokens, part.factors, part.model, part.warning)
        self.parts[part.name] = max(self.parts.get(part.name, found), found)


class Call(msgspec.Struct):
    """A billed model call: a response, or a part of one."""

    event_id: str
    call_ids: tuple[str, ...]
    first: Spot
    largest: Figures
    opening: Figures
    part: str = ""


class Responses:
    def __init__(self) -> None:
        self._reports: dict[str, dict[tuple[str, str], Report]] = {}
        """By message id, then by request id or, without one, session."""

    def add(self, message: str, request: str, spot: Spot, found: Figures, *, is_replay: bool) -> Report:
        reports = self._reports.setdefault(message, {})
        session = "" if request else spot.session
        report = reports.get((request, session))
        if report is None:
            report = Report(message, request, spot, found, found, is_replay, (spot.session,))
            reports[request, session] = report
        report.add(spot, found, is_replay)
        return report

    def calls(self) -> Iterator[Call]:
        for _, reports in sorted(self._reports.items()):
            responses = group(list(reports.values()))
            names = event_ids(responses)
            for response, event_id in zip(responses, names, strict=True):
                yield from _calls(response, event_id)


def group(reports: list[Report]) -> list[list[Report]]:
    """The reports of one message id, grouped by response; the first of a group gives it its name."""
    reports.sort(key=lambda report: (report.first, report.request))
    responses = [[report] for report in reports if report.request and not report.is_replay]
    for report in reports:
        if report.request and report.is_replay:
            _join([report], responses, [r for r in responses if _replays(report, r[0])])
    forks: list[list[Report]] = []
    for copies in _by_opening([report for report in reports if not report.request]):
        candidates = [r for r in responses if any(_in_one_session(a, b) for a in copies for b in r)]
        if len(candidates) == 1:
            candidates[0] += copies
        else:
            forks.append(copies)
    for copies in forks:
        _join(copies, responses, [r for r in responses if any(_equals(report, r) for report in copies)])
    return responses


def _by_opening(reports: list[Report]) -> list[list[Report]]:
    """Reports without a request id, together if they begin with the same copy."""
    found: dict[tuple[object, ...], list[Report]] = {}
    for report in reports:
        opening = (report.first.at, report.opening.model, report.opening.counts)
        found.setdefault(opening, []).append(report)
    return list(found.values())


def _join(copies: list[Report], responses: list[list[Report]], candidates: list[list[Report]]) -> None:
    if candidates:
        candidates[0] += copies
    else:
        responses.append(copies)


def _replays(replay: Report, report: Report) -> bool:
    """The same model and input. Either may have been written before the response was complete."""
    same_model = replay.largest.model == report.largest.model
    return same_model and replay.largest.counts[:-1] == report.largest.counts[:-1]


def _in_one_session(a: Report, b: Report) -> bool:
    return a.largest.model == b.largest.model and not set(a.sessions).isdisjoint(b.sessions)


def _equals(report: Report, response: list[Report]) -> bool:
    first, largest = _summary(response)
    same_figures = (report.largest.model, report.largest.counts) == (largest.model, largest.counts)
    return report.first.at == first.at and same_figures


def _summary(response: list[Report]) -> tuple[Spot, Figures]:
    """The earliest spot and the largest figures of all copies."""
    return min(report.first for report in response), max(report.largest for report in response)


def event_ids(responses: list[list[Report]]) -> list[str]:
    """The message id with the request id, or alone; if it was used again, with the instant or session."""
    names: list[str] = []
    instants: set[datetime] = set()
    for message, request, first in ((r[0].message, r[0].request, r[0].first) for r in responses):
        if request:
            names.append(f"{message}:{request}")
            continue
        if not instants:
            names.append(message)
        else:
            is_new = first.at not in instants
            names.append(reused_id(message, first.at) if is_new else f"{message}@{first.session}")
        instants.add(first.at)
    return names


def _calls(response: list[Report], event_id: str) -> Iterator[Call]:
    first, largest = _summary(response)
    _, opening = min((report.first.at, report.opening) for report in response)
    call_ids = _call_ids(response, event_id)
    yield Call(_short(event_id), call_ids, first, largest, opening)
    parts: dict[str, Figures] = {}
    for report in response:
        for name, found in report.parts.items():
            parts[name] = max(parts.get(name, found), found)
    for name, found in sorted(parts.items()):
        yield Call(_short(f"{event_id}+{name}"), call_ids, first, found, found, part=name)


def _call_ids(response: list[Report], event_id: str) -> tuple[str, ...]:
    """The request ids and the message id, even if it was used again: another instant tells another call.

    At one instant, nothing would tell responses without request ids apart: the first one has the message id.
    """
    message, at = response[0].message, response[0].first.at
    first, *others = [report.request for report in response if report.request] or [""]
    is_others = not first and event_id not in (message, reused_id(message, at))
    ids = dict.fromkeys(id_ for id_ in (first, "" if is_others else message, *others) if id_)
    return tuple(foreign_id(id_, CALL_ID_LENGTH) for id_ in ids)[:MAX_CALL_IDS]


def _short(event_id: str) -> str:
    return foreign_id(event_id, ID_LENGTH - _SUFFIX_ROOM)
