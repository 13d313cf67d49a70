"""`POST /api/v1/usage`: a usage event, a JSON array of them, or NDJSON."""

from collections.abc import Iterator
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from aicost.intake.body import MAX_EVENTS, Refused, body_of, context, door, json_answer, media_type
from billing import ledger
from billing.events import Rejection
from billing.ledger import Outcome
from billing.sources import json_decoder
from billing.sources.usage_events import decode, read_row
from products.models import Project

JSON_TYPES = ("application/json", "text/json")
LINES_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


@door
def usage(request: HttpRequest, project: Project) -> HttpResponse:
    """200 where everything is in the ledger, 207 where some of it is not, 422 where nothing is."""
    atomic = _flag(request, "atomic")
    events = [read_row(row, context()) for row in _rows(request)]
    outcomes = ledger.record(project, events, atomic=atomic)
    return json_answer(
        {"results": [_told(outcome) for outcome in outcomes], **_counts(outcomes)}, _status(outcomes)
    )


def _flag(request: HttpRequest, name: str) -> bool:
    text = request.GET.get(name, "false")
    if text not in ("true", "false"):
        raise Refused(400, f"{name} is true or false.")
    return text == "true"


def _rows(request: HttpRequest) -> list[dict[str, Any] | Rejection]:
    kind = media_type(request)
    if kind not in (*JSON_TYPES, *LINES_TYPES):
        raise Refused(415, f"Send {JSON_TYPES[0]} or {LINES_TYPES[0]}.")
    body = body_of(request)
    rows = list(_lines(body) if kind in LINES_TYPES else _values(body))
    if not rows:
        raise Refused(400, "The request holds no usage event.")
    if len(rows) > MAX_EVENTS:
        raise Refused(413, f"A request has at most {MAX_EVENTS:,} events; this one has {len(rows):,}.")
    return rows


def _lines(body: bytes) -> Iterator[dict[str, Any] | Rejection]:
    return (decode(line) for line in body.splitlines() if line.strip())


def _values(body: bytes) -> Iterator[dict[str, Any] | Rejection]:
    try:
        value = json_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, f"The body is not valid JSON: {error}") from None
    except RecursionError:
        raise Refused(400, "The body is not valid JSON: nested too deeply") from None
    for row in value if isinstance(value, list) else [value]:
        yield row if isinstance(row, dict) else Rejection(reason="not a usage event: a JSON object is needed")


def _told(outcome: Outcome) -> dict[str, Any]:
    """What became of one event; only what there is to say."""
    told: dict[str, Any] = {"status": outcome.status}
    for name, value in (
        ("eventId", outcome.event_id or None),
        ("field", outcome.field or None),
        ("reason", outcome.reason or None),
        ("unpricedModel", outcome.unpriced_model),
        ("bookedAsOther", outcome.booked_as_other),
    ):
        if value is not None:
            told[name] = value
    return told


_PLURALS = {
    "recorded": "recorded",
    "duplicate": "duplicates",
    "conflict": "conflicts",
    "rejected": "rejected",
    "withheld": "withheld",
}


def _counts(outcomes: list[Outcome]) -> dict[str, int]:
    counted = ledger.count(outcomes)
    return {name: counted[status] for status, name in _PLURALS.items()}


def _status(outcomes: list[Outcome]) -> int:
    fine = sum(outcome.status in ("recorded", "duplicate") for outcome in outcomes)
    if fine == len(outcomes):
        return 200
    return 207 if fine else 422
