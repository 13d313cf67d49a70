"""Codex's token counts: of one response, or of a thread up to a response."""

from typing import Any

import msgspec

from billing.sources.json_lines import UnreadableLine, count_of


class Counter(msgspec.Struct, frozen=True):
    """`input` includes cached tokens and those written to the cache; `output` includes reasoning."""

    input: int
    cached: int
    written: int
    output: int
    total: int

    def continues(self, before: "Counter") -> bool:
        """Whether this counter goes on from the other. If any count fell, it has restarted."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(before), strict=True)
        return self.total > before.total and all(now >= then for now, then in pairs)

    def since(self, before: "Counter") -> "Counter":
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(before), strict=True)
        return Counter(*(now - then for now, then in pairs))


ZERO = Counter(0, 0, 0, 0, 0)


def counter_of(parent: dict[str, Any], field: str) -> Counter:
    """The counts in a field that must be an object."""
    usage = parent.get(field)
    if not isinstance(usage, dict):
        raise UnreadableLine(f"{field}: must be an object")
    used, output = count_of(usage, "input_tokens"), count_of(usage, "output_tokens")
    counter = Counter(
        input=used,
        cached=count_of(usage, "cached_input_tokens"),
        written=count_of(usage, "cache_write_input_tokens"),
        output=output,
        total=count_of(usage, "total_tokens") or used + output,
    )
    if counter.cached > counter.input:
        raise UnreadableLine("cached_input_tokens: is part of input_tokens and can't exceed it")
    return counter
