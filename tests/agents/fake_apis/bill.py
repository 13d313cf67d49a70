"""What the fake APIs charge for. No two calls have the same counts, so a call can be recognized by them."""

from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any

ANSWERED_BY = {
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
}
"""The dated name with which a provider answers to an undated one."""


@dataclass(frozen=True)
class Billed:
    """One charged call. Input leaves caches out, output has the reasoning in it."""

    model: str
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    response_id: str
    request_id: str
    reasoning: int = 0
    """The part of the output that was reasoning."""

    @property
    def all_input(self) -> int:
        return self.input + self.cache_read + self.cache_write


@dataclass
class Bill:
    """The charged calls, in the order in which they came."""

    calls: list[Billed] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(1))
    _lock: Any = field(default_factory=Lock)

    def charge(
        self,
        asked: str,
        prefix: str,
        *,
        reads: bool = False,
        writes: bool = False,
        writes_1h: bool = False,
        reasons: bool = False,
        answers: bool = True,
    ) -> Billed:
        """Charge for a call of the model `asked`. `prefix` is that of the provider's response ids."""
        with self._lock:
            number = next(self._numbers)
            write, write_1h = (500 + 7 * number) * writes, (200 + 3 * number) * writes_1h
            reasoning = (30 + number) * reasons
            call = Billed(
                model=ANSWERED_BY.get(asked, asked),
                input=300 + 11 * number,
                cache_read=(3000 + 13 * number) * reads,
                cache_write=write + write_1h,
                cache_write_1h=write_1h,
                output=(60 + number + reasoning) * answers,
                response_id=f"{prefix}{number:024d}",
                request_id=f"req_{number:024d}",
                reasoning=reasoning,
            )
            self.calls.append(call)
            return call
