"""A batch of records in a request: taken apart, and each told what became of it."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse

from aicost.intake.body import MAX_EVENTS, Refused, body_of, json_answer, media_type
from billing import ledger
from billing.json_decoding import InvalidJSON, decode
from billing.ledger import Outcome
from billing.sources.usage_events import Row, decode_row, row_of

JSON_TYPES = ("application/json", "text/json")
LINES_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


def rows_of(request: HttpRequest, *, lines_as_json: bool = False) -> list[Row]:
    """The JSON objects of a request: one, an array of them, or one a line.

    `lines_as_json` is for senders that call their lines `application/json`.
    """
    kind = media_type(request)
    if kind not in (*JSON_TYPES, *LINES_TYPES):
        raise Refused(415, f"Send {JSON_TYPES[0]} or {LINES_TYPES[0]}.")
    body = body_of(request)
    by_line = kind in LINES_TYPES or (lines_as_json and _is_lines(body))
    # One more than allowed tells that there are more; millions are never held.
    rows = list(islice(_lines(body) if by_line else _values(body), MAX_EVENTS + 1))
    if not rows:
        raise Refused(400, "The request holds no usage event.")
    if len(rows) > MAX_EVENTS:
        raise Refused(413, f"A request has at most {MAX_EVENTS:,} events.")
    return rows


def _is_lines(body: bytes) -> bool:
    """Whether the first line is an object in itself, and not the only line."""
    first, _, rest = body.strip().partition(b"\n")
    return bool(rest) and isinstance(decode_row(first), dict)


def _lines(body: bytes) -> Iterator[Row]:
    return (decode_row(line[0]) for line in re.finditer(rb"[^\r\n]+", body) if line[0].strip())


def _values(body: bytes) -> Iterator[Row]:
    try:
        value = decode(body)
    except InvalidJSON as error:
        raise Refused(400, f"The body is not valid JSON: {error}") from None
    yield from map(row_of, value if isinstance(value, list) else [value])


def answer(outcomes: list[Outcome]) -> HttpResponse:
    """200 where everything is in the ledger, 207 where some of it is not, 422 where nothing is."""
    results = [_told(outcome) for outcome in outcomes]
    return json_answer({"results": results, **_counts(outcomes)}, _status(outcomes))


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
