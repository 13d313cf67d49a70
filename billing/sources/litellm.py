"""LiteLLM's two records of a model call: a row of its spend logs, and what its callbacks send.

Spend logs (`LiteLLM_SpendLogs`, `GET /spend/logs`) come as JSON Lines or as one JSON array; the
generic API callback posts `StandardLoggingPayload` objects. Either becomes a deduction with the same ids,
run, job and instant, so a call that is sent in both forms is recorded once.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

from msgspec.structs import replace

from billing.events.usage_event import ID_LENGTH, EventError, Rejection, UsageEvent
from billing.json_decoding import InvalidJSON, decode
from billing.sources import BrokenFile, Context, Item, SourceFile
from billing.sources.foreign_ids import foreign_id
from billing.sources.litellm_fields import count_in, factors, object_in
from billing.sources.litellm_ids import CallIdentity, identify, is_cache_hit
from billing.sources.usage_events import decode_row, read_row
from products.printable import printable
from products.statuses import FAILED, SUCCEEDED

NAME = "litellm"

Record = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_SECONDS = int((_EPOCH - datetime.min.replace(tzinfo=UTC)).total_seconds())
"""As many as all years before 1970 have; those after it have more."""
_ZERO = re.compile(r"-?0+(\.0+)?([eE][+-]?\d+)?", re.ASCII)
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
        metadata = object_in(record, "metadata")
        call = _call(record, metadata)
        read = _spend_log if "request_id" in record else _payload
        found = read_row(read(record, metadata, call), context)
    except EventError as error:
        named = record.get("request_id") or record.get("id")
        event_id = printable(named) if isinstance(named, str) else ""
        return Rejection(field=error.field, reason=error.reason, event_id=event_id)
    if isinstance(found, Rejection):
        return found
    origin = _origin(record, call, found)
    return replace(found, factors=factors(record, metadata, found.tokens), **origin)


def _call(record: Record, metadata: Record) -> CallIdentity:
    call_id = record.get("litellm_call_id") or metadata.get("litellm_call_id")
    if not call_id and "request_id" not in record and "id" not in record:
        raise EventError("", "not a record of LiteLLM: it has neither a request_id nor an id")
    given = record["request_id"] if "request_id" in record else record.get("id")
    return identify(given, call_id, _instant(record, "startTime"))


def _origin(record: Record, call: CallIdentity, event: UsageEvent) -> dict[str, Any]:
    """What no field of an event says: who reports which call, and whether it reports a session."""
    has_usage = event.tokens.total or event.stated_nanos
    return {
        # The cost of 0 that a failed attempt states is not that of the call as others report it.
        "call_ids": call.call_ids if has_usage else (),
        "gateway_id": call.gateway_id,
        "earlier_ids": call.earlier_ids,
        "sender": NAME,
        "run_is_trace": not record.get("session_id"),
    }


def _spend_log(record: Record, metadata: Record, call: CallIdentity) -> Record:
    return {
        **_run_and_job(record, call, record.get("session_id"), record.get("agent_id")),
        **_counts(record, metadata),
        "costDollars": _cost(record, "spend"),
    }


def _payload(record: Record, metadata: Record, call: CallIdentity) -> Record:
    # LiteLLM's own spend logs use the trace as the session, unless configured otherwise.
    run = record.get("session_id") or record.get("trace_id")
    return {
        **_run_and_job(record, call, run, _agent_of(metadata)),
        **_counts(record, metadata),
        "costDollars": _cost(record, "response_cost"),
    }


def _run_and_job(record: Record, call: CallIdentity, run: Any, agent: Any) -> Record:
    start, finish = _instant(record, "startTime"), _instant(record, "endTime")
    status = record.get("status")
    return {
        "eventId": call.event_id,
        # LiteLLM's own sums go by the start, too.
        "occurredAt": start,
        "runId": foreign_id(run, ID_LENGTH) if run and isinstance(run, str) else run or call.request_id,
        "runStartedAt": start,
        "runFinishedAt": finish,
        "jobId": call.request_id,
        "agentType": agent or "other",
        "jobStatus": _STATUSES.get(status) if isinstance(status, str) else None,
        "jobStartedAt": start,
        "jobFinishedAt": finish,
        "model": record.get("model"),
    }


def _agent_of(metadata: Record) -> Any:
    """Payloads have no field for it. Spend logs take it from the caller's metadata, and so does this."""
    for source in ("requester_metadata", "spend_logs_metadata"):
        agent = object_in(metadata, source).get("agent_id")
        if isinstance(agent, str) and agent:
            return agent
    return None


def _cost(record: Record, field: str) -> Any:
    """The cost that is stated. 0 for tokens states none: LiteLLM also says 0 if it knows no price.

    An answer from its cache costs nothing, whether or not it says so.
    """
    cost = record.get(field)
    if cost is None and is_cache_hit(record):
        return 0
    used = record.get("prompt_tokens") or record.get("completion_tokens")
    if used and not is_cache_hit(record) and _ZERO.fullmatch(str(cost)):
        return None
    # LiteLLM computes the cost as a float; its shortest decimal form is the cost that was meant.
    return Decimal(repr(float(cost))) if isinstance(cost, Decimal) else cost


def _counts(record: Record, metadata: Record) -> Record:
    """The token counts. LiteLLM's prompt includes cached tokens; they are subtracted here."""
    usage = object_in(metadata, "usage_object") or object_in(metadata, "additional_usage_values")
    details = object_in(usage, "prompt_tokens_details")
    by_duration = object_in(details, "cache_creation_token_details")
    prompt, output = count_in(record, "prompt_tokens"), count_in(record, "completion_tokens")
    read = _firstcount_in((usage, "cache_read_input_tokens"), (details, "cached_tokens"))
    written = _firstcount_in(
        (usage, "cache_creation_input_tokens"),
        (details, "cache_creation_tokens"),
        (details, "cache_write_tokens"),
    )
    cached = read + written
    # Some pass-through endpoints report the prompt as Anthropic does, without cached tokens.
    is_without = cached > prompt or (cached and record.get("total_tokens") == prompt + cached + output)
    return {
        "inputTokens": prompt if is_without else prompt - cached,
        "cacheReadTokens": read,
        "cacheWriteTokens": written,
        "cacheWrite1hTokens": min(count_in(by_duration, "ephemeral_1h_input_tokens"), written),
        "outputTokens": output,
    }


def _firstcount_in(*places: tuple[Record, str]) -> int:
    """The first count that is given and not 0: providers have different names for the same count."""
    return next((count for record, field in places if (count := count_in(record, field))), 0)


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
    if not -_MOST_SECONDS < seconds < _MOST_SECONDS:  # `int` would write all digits of 1e999990 out
        raise EventError(field, f"is not a possible time: {printable(str(seconds))}")
    return _EPOCH + timedelta(milliseconds=int(Decimal(seconds) * 1000))
