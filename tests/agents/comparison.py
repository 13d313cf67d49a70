"""Compare what the fake APIs billed with what the product booked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from genai_prices import Usage, calc_price

from tests.agents.fake_apis import Billed

CLASSES = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
PROVIDERS = {"claude": "anthropic", "gemini": "google", "gpt": "openai", "text": "openai"}
"""By the first word of a model's name."""
TOLERANCE = Decimal("0.000001")
"""Dollars a call, for what libraries round."""


@dataclass(frozen=True)
class Booked:
    """A deduction that stands."""

    model: str
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    dollars: Decimal
    agent: str


@dataclass
class Result:
    """A row of the table."""

    name: str
    versions: str
    billed: list[Billed]
    booked: list[Booked]
    faults: list[str]

    @property
    def verdict(self) -> str:
        return "WRONG: " + "; ".join(self.faults) if self.faults else "right"


def dollars(call: Billed, at: datetime | None = None) -> Decimal:
    usage = Usage(
        input_tokens=call.all_input,
        cache_read_tokens=call.cache_read,
        cache_write_tokens=call.cache_write,
        cache_write_1h_tokens=call.cache_write_1h,
        output_tokens=call.output,
    )
    provider = PROVIDERS[call.model.partition("-")[0]]
    priced = calc_price(
        usage, call.model, provider_id=provider, genai_request_timestamp=at or datetime.now(UTC)
    )
    return priced.total_price


def total_dollars(calls: Iterable[Billed]) -> Decimal:
    return sum(map(dollars, calls), Decimal())


def counts(call: Billed | Booked) -> tuple[int, ...]:
    return tuple(getattr(call, name) for name in CLASSES)


def is_model(booked: str, billed: str) -> bool:
    """Whether the booked name is the billed one: with or without its date, or a gateway's prefix."""
    return billed.startswith(booked.rpartition("/")[2])


def faults(billed: list[Billed], booked: list[Booked], agents: set[str]) -> list[str]:
    """What is wrong with the books, in words; nothing if they are right."""
    pairs = _pairs(billed, booked)
    found = []
    for n, call in enumerate(billed):
        if n in pairs:
            found += [f"call {n + 1}: {fault}" for fault in _differences(call, booked[pairs[n]])]
        else:
            found.append(f"call {n + 1} is missing: {call.model} {counts(call)}")
    extra = [line for n, line in enumerate(booked) if n not in pairs.values()]
    found += [f"a line too many: {line.model} {counts(line)}" for line in extra]
    seen = {line.agent for line in booked}
    if booked and seen != agents:
        found.append(f"agent types {sorted(seen)} instead of {sorted(agents)}")
    return found


def _pairs(billed: list[Billed], booked: list[Booked]) -> dict[int, int]:
    """The line of each call by their places: the most alike are paired first."""
    alike = sorted(
        (_distance(call, line), n, m)
        for n, call in enumerate(billed)
        for m, line in enumerate(booked)
        if is_model(line.model, call.model)
    )
    pairs: dict[int, int] = {}
    for _, n, m in alike:
        if n not in pairs and m not in pairs.values():
            pairs[n] = m
    return pairs


def _distance(call: Billed, line: Booked) -> tuple[int, int]:
    total = line.input + line.cache_read + line.cache_write
    apart = sum(abs(one - other) for one, other in zip(counts(call), counts(line), strict=True))
    return abs(total - call.all_input) + abs(line.output - call.output), apart


def _differences(call: Billed, line: Booked) -> list[str]:
    """What differs. Where tokens do, the dollars follow."""
    found = [
        f"{name} {getattr(line, name)} instead of {getattr(call, name)}"
        for name in CLASSES
        if getattr(line, name) != getattr(call, name)
    ]
    due = dollars(call)
    if not found and abs(due - line.dollars) > TOLERANCE:
        found.append(f"${line.dollars} instead of ${due}")
    return found


def table(results: Iterable[Result]) -> list[str]:
    """The lines of the table that is printed at the end."""
    heads = ("set-up", "versions", "calls", "tokens", "dollars", "agent types", "verdict")
    rows = [heads, *map(_cells, results)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(heads) - 1)]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]


def _cells(result: Result) -> tuple[str, ...]:
    billed, booked = result.billed, result.booked
    return (
        result.name,
        result.versions,
        f"{len(billed)} / {len(booked)}",
        f"{_tokens(billed)} / {_tokens(booked)}",
        f"{total_dollars(billed):.6f} / {sum((line.dollars for line in booked), Decimal()):.6f}",
        ", ".join(sorted({line.agent for line in booked})) or "–",
        result.verdict,
    )


def _tokens(calls: Iterable[Billed] | Iterable[Booked]) -> int:
    return sum(call.input + call.cache_read + call.cache_write + call.output for call in calls)
