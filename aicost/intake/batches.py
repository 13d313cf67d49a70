"""Split a request into records, and report the outcome of each in the response."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse

from aicost.intake.body import MAX_EVENTS, RequestRefused, read_body
from aicost.intake.endpoint import json_response
from billing import ledger
from billing.json_decoding import InvalidJSON, decode
from billing.ledger import Outcome
from billing.sources.usage_events import Row, decode_row, row_of

JSON_TYPES = ("application/json", "text/json")
LINES_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


def read_rows(request: HttpRequest, *, lines_as_json: bool = False) -> list[Row]:
    """The JSON objects in a request: a single one, an array, or one per line.

    `lines_as_json` is for senders that label lines as `application/json`.
    """
    media_type = request.content_type
    if media_type not in (*JSON_TYPES, *LINES_TYPES):
        raise RequestRefused(415, f"Send {JSON_TYPES[0]} or {LINES_TYPES[0]}.")
    body = read_body(request)
    by_line = media_type in LINES_TYPES or (lines_as_json and _is_lines(body))
    # One row beyond the limit shows that there are too many, without holding the rest.
    rows = list(islice(_lines(body) if by_line else _values(body), MAX_EVENTS + 1))
    if not rows:
        raise RequestRefused(400, "The request contains no usage event.")
    if len(rows) > MAX_EVENTS:
        raise RequestRefused(413, f"A request has at most {MAX_EVENTS:,} events.")
    return rows


def _is_lines(body: bytes) -> bool:
    """Whether there are several lines, and the first is a JSON object of its own."""
    first, _, rest = body.strip().partition(b"\n")
    return bool(rest) and isinstance(decode_row(first), dict)


def _lines(body: bytes) -> Iterator[Row]:
    return (decode_row(line[0]) for line in re.finditer(rb"[^\r\n]+", body) if line[0].strip())


def _values(body: bytes) -> Iterator[Row]:
    try:
        value = decode(body)
    except InvalidJSON as error:
        raise RequestRefused(400, f"The body is not valid JSON: {error}") from None
    yield from map(row_of, value if isinstance(value, list) else [value])


def outcomes_response(outcomes: list[Outcome]) -> HttpResponse:
    """The status is 200 if every event is now in the ledger, 207 if some are, 422 if none is."""
    results = [_result(outcome) for outcome in outcomes]
    return json_response({"results": results, **_counts(outcomes)}, _status(outcomes))


def _result(outcome: Outcome) -> dict[str, Any]:
    """One event's outcome, without empty members."""
    result: dict[str, Any] = {"status": outcome.status}
    for name, value in (
        ("eventId", outcome.event_id or None),
        ("field", outcome.field or None),
        ("reason", outcome.reason or None),
        ("unpricedModel", outcome.unpriced_model),
        ("bookedAsOther", outcome.recorded_as_other),
    ):
        if value is not None:
            result[name] = value
    return result


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
    in_ledger = sum(outcome.status in ("recorded", "duplicate") for outcome in outcomes)
    if in_ledger == len(outcomes):
        return 200
    return 207 if in_ledger else 422
