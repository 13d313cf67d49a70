"""LiteLLM's two records of a model call: a row of its spend logs, and what its callbacks send.

Spend logs (`LiteLLM_SpendLogs`, `GET /spend/logs`) come as JSON Lines or as one JSON array; the
generic API callback posts `StandardLoggingPayload` objects. Either becomes a deduction with the same id,
run, job and instant, so a call that is sent in both forms is recorded once.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

from billing.events.usage_event import MAX_TOKENS, EventError, Rejection, UsageEvent
from billing.json_decoding import InvalidJSON, decode
from billing.sources import BrokenFile, Context, Item, SourceFile
from billing.sources.usage_events import decode_row, read_row
from products.printable import printable
from products.statuses import FAILED, SUCCEEDED

NAME = "litellm"

Record = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = {"success": SUCCEEDED, "failure": FAILED}


def parse(files: list[SourceFile], context: Context) -> Iterator[Item]:
    for file in files:
        try:
            for origin, record in _records(file):
                yield Item(f"{file.name}{origin}", read_record(record, context))
        except BrokenFile as broken:
            yield Item(f"{file.name}:{broken.line}", Rejection(reason=broken.reason))


def _records(file: SourceFile) -> Iterator[tuple[str, Record | Rejection]]:
    """Yield the records of a file, each with its place: `:line`, or `[index]` in an array."""
    written = ((number, line) for number, line in file.lines() if line.strip())
    first = next(written, None)
    if first and first[1].lstrip()[:1] == b"[":
        yield from _array(b"\n".join(line for _, line in chain([first], written)))
    elif first:
        yield from ((f":{number}", decode_row(line)) for number, line in chain([first], written))


def _array(text: bytes) -> Iterator[tuple[str, Record | Rejection]]:
    try:
        values = decode(text)
    except InvalidJSON as error:
        yield "", Rejection(reason=f"not valid JSON: {error}")
    else:
        for index, value in enumerate(values):
            yield f"[{index}]", value if isinstance(value, dict) else _NOT_AN_OBJECT


_NOT_AN_OBJECT = Rejection(reason="not a record of LiteLLM: a JSON object is needed")


def read_record(record: Record | Rejection, context: Context) -> UsageEvent | Rejection:
    """The event that a spend log or a callback's payload describes, or why it is not one."""
    if isinstance(record, Rejection):
        return record
    try:
        row = _spend_log(record) if "request_id" in record else _payload(record)
        return read_row(row, context)
    except EventError as error:
        named = record.get("request_id") or record.get("id")
        event_id = printable(named) if isinstance(named, str) else ""
        return Rejection(field=error.field, reason=error.reason, event_id=event_id)


def _spend_log(record: Record) -> Record:
    metadata = _object(record, "metadata")
    return {
        **_run_and_job(record, record["request_id"], record.get("session_id"), record.get("agent_id")),
        **_counts(record, metadata),
        "costDollars": _shortest(record.get("spend")),
    }


def _payload(record: Record) -> Record:
    if "id" not in record:
        raise EventError("", "not a record of LiteLLM: it has neither a request_id nor an id")
    metadata = _object(record, "metadata")
    # LiteLLM's own spend logs use the trace as the session, unless configured otherwise.
    run = record.get("session_id") or record.get("trace_id")
    return {
        **_run_and_job(record, record["id"], run, _agent_of(metadata)),
        **_counts(record, metadata),
        "costDollars": None if _is_unpriced(record) else _shortest(record.get("response_cost")),
    }


def _run_and_job(record: Record, request: Any, run: Any, agent: Any) -> Record:
    start, finish = _instant(record, "startTime"), _instant(record, "endTime")
    status = record.get("status")
    return {
        "eventId": request,
        # LiteLLM's own sums go by the start, too.
        "occurredAt": start,
        "runId": run or request,
        "runStartedAt": start,
        "runFinishedAt": finish,
        "jobId": request,
        "agentType": agent or "other",
        "jobStatus": _STATUSES.get(status) if isinstance(status, str) else None,
        "jobStartedAt": start,
        "jobFinishedAt": finish,
        "model": record.get("model"),
    }


def _agent_of(metadata: Record) -> Any:
    """Payloads have no field for it. Spend logs take it from the caller's metadata, and so does this."""
    for source in ("requester_metadata", "spend_logs_metadata"):
        agent = _object(metadata, source).get("agent_id")
        if isinstance(agent, str) and agent:
            return agent
    return None


def _is_unpriced(record: Record) -> bool:
    """Whether a cost of 0 means that LiteLLM knows no price, as its diagnostics say."""
    diagnostic = record.get("response_cost_failure_debug_info") or record.get("zero_cost_diagnostic")
    used = record.get("prompt_tokens") or record.get("completion_tokens")
    return bool(diagnostic and used) and not record.get("response_cost")


def _shortest(cost: Any) -> Any:
    """LiteLLM computes the cost as a float; its shortest decimal form is the cost that was meant."""
    return Decimal(repr(float(cost))) if isinstance(cost, Decimal) else cost


def _counts(record: Record, metadata: Record) -> Record:
    """The token counts. LiteLLM's prompt includes cached tokens; they are subtracted here."""
    usage = _object(metadata, "usage_object") or _object(metadata, "additional_usage_values")
    details = _object(usage, "prompt_tokens_details")
    by_duration = _object(details, "cache_creation_token_details")
    prompt = _count(record, "prompt_tokens")
    read = _first_count((usage, "cache_read_input_tokens"), (details, "cached_tokens"))
    written = _first_count(
        (usage, "cache_creation_input_tokens"),
        (details, "cache_creation_tokens"),
        (details, "cache_write_tokens"),
    )
    cached = read + written
    return {
        # Some pass-through endpoints report the prompt as Anthropic does, without cached tokens.
        "inputTokens": prompt - cached if cached <= prompt else prompt,
        "cacheReadTokens": read,
        "cacheWriteTokens": written,
        "cacheWrite1hTokens": min(_count(by_duration, "ephemeral_1h_input_tokens"), written),
        "outputTokens": _count(record, "completion_tokens"),
    }


def _first_count(*places: tuple[Record, str]) -> int:
    """The first count that is given and not 0: providers have different names for the same count."""
    return next((count for record, field in places if (count := _count(record, field))), 0)


def _count(record: Record, field: str) -> int:
    value = record.get(field)
    if value is None:
        return 0
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value) if abs(value) < Decimal(10) ** 15 else -1
    if type(value) is not int or not 0 <= value <= MAX_TOKENS:
        raise EventError(field, f"must be a whole number from 0 to 10¹², not {printable(value)}")
    return value


def _object(record: Record, field: str) -> Record:
    """A field that holds an object, or {}. The proxy writes some of them as JSON within text."""
    value = record.get(field)
    if isinstance(value, str):
        try:
            value = decode(value)
        except InvalidJSON:
            return {}
    return value if isinstance(value, dict) else {}


def _instant(record: Record, field: str) -> Any:
    """Read seconds since 1970, or ISO 8601 text, in UTC unless it has an offset.

    Cut to milliseconds, as the proxy's database stores them: both records of a call have the same instant.
    """
    value = record.get(field)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _from_seconds(field, value)
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return value  # parsing says what is wrong with it
        instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    return value


def _from_seconds(field: str, seconds: int | Decimal) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=int(Decimal(seconds) * 1000))
    except (OverflowError, InvalidOperation, ValueError):
        raise EventError(field, f"is not a possible time: {printable(str(seconds))}") from None
