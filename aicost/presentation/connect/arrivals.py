"""What arrived and what of it was not understood, in words, with what to do about it."""

from typing import NamedTuple

from aicost.formatting import text
from aicost.presentation.senders import name_of
from aicost.queries import Arrivals
from billing import intake_counts
from billing.events.reasons import CONFLICT
from billing.intake_counts import Kind
from billing.sources import litellm, usage_events
from billing.sources.otlp.unknown_usage import HALF_KNOWN

MOST_KINDS = 10


class NotUnderstood(NamedTuple):
    number: str
    sender: str
    reason: str
    what_to_do: str


class WhatArrived(NamedTuple):
    summary: str
    note: str
    kinds: list[NotUnderstood]
    """The most frequent ones."""
    rest: tuple[str, str] | None
    """The reports of further kinds, and how many kinds these are."""


def what_arrived(found: Arrivals) -> WhatArrived:
    listed, others = found.not_understood[:MOST_KINDS], found.not_understood[MOST_KINDS:]
    more = sum(number for _, number in others)
    return WhatArrived(
        summary=_summary(found),
        note=_NOTE if found.received else "",
        kinds=[_not_understood(kind, number) for kind, number in listed],
        rest=(text.count(more), text.plural(len(others), "other kind")) if others else None,
    )


_NOTE = "A report that is sent or imported again counts again here, but not in the figures."


def _summary(found: Arrivals) -> str:
    since = f"since {text.long_day(found.since)}, 00:00 UTC"
    if not found.received:
        return f"Nothing has arrived {since}."
    reports = text.plural(found.received, "report")
    return f"Understood {text.count(found.understood)} of {reports} of usage received {since}."


def _not_understood(kind: Kind, number: int) -> NotUnderstood:
    return NotUnderstood(text.count(number), _sender(kind), kind.reason, _what_to_do(kind))


def _sender(kind: Kind) -> str:
    if kind.endpoint in _WITHOUT_SCOPE:
        return f"{kind.sender or _WITHOUT_SCOPE[kind.endpoint]} {kind.version}".rstrip()
    if kind.endpoint in _ENDPOINTS:
        return _ENDPOINTS[kind.endpoint]
    name = kind.endpoint.removeprefix("import ")
    return f"imported files: {name_of('' if name == usage_events.NAME else name)}"


_WITHOUT_SCOPE = {
    "traces": "spans without a scope",
    "logs": "log records without a scope",
}

_ENDPOINTS = {
    "import": "imported files",
    "usage": "usage events",
    litellm.NAME: "LiteLLM",
}


def _what_to_do(kind: Kind) -> str:
    if kind.reason.startswith(HALF_KNOWN):
        return _ADVICE[HALF_KNOWN]
    if kind.endpoint == "traces" and kind.reason.startswith("unknown ") and kind.reason not in _ADVICE:
        return "If these spans call a model, they must have gen_ai.operation.name, such as chat."
    if kind.endpoint.startswith("import ") and kind.reason == "not valid JSON":
        return "The last line of a file that is being written is read by the next import."
    return _ADVICE.get(kind.reason, "")


_COUNTS = "The instrumentation must set gen_ai.usage.input_tokens and gen_ai.usage.output_tokens."
_ADVICE = {
    "no model": "The instrumentation must set gen_ai.request.model.",
    "no operation name": "The instrumentation must set gen_ai.operation.name, such as chat.",
    "unknown token counts": _COUNTS,
    HALF_KNOWN: f"These calls are recorded without them. {_COUNTS}",
    intake_counts.WITHHELD: "Correct that event and send the request again.",
    CONFLICT: "Give every call an id of its own.",
}
