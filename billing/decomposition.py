"""Why a cost moved: more work, more tokens for the same work, or dearer tokens. Pure.

cost = jobs × tokens per job × price per token, and the change of a product of three factors is split
among them by the complete decomposition of J. W. Sun ("Changes in energy consumption and energy
intensity: a complete decomposition model", Energy Economics 20, 1998): what two or three factors did
together is shared equally. The parts add up to the change, and swapping the periods swaps the signs.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What one agent type did in a period. `jobs` finished in it; the cost is in nano-dollars."""

    jobs: int = 0
    tokens: int = 0
    cost: int = 0

    @classmethod
    def together(cls, works: Iterable["Work"]) -> "Work":
        return cls(*map(sum, zip(*((one.jobs, one.tokens, one.cost) for one in works), strict=True)))


@dataclass(frozen=True)
class Parts:
    """Nano-dollars; the three are the whole change, to the last one."""

    jobs: int = 0
    tokens_per_job: int = 0
    price_per_token: int = 0

    @property
    def whole(self) -> int:
        return self.jobs + self.tokens_per_job + self.price_per_token

    @classmethod
    def together(cls, parts: Iterable["Parts"]) -> "Parts":
        each = ((one.jobs, one.tokens_per_job, one.price_per_token) for one in parts)
        return cls(*map(sum, zip(*each, strict=True)))


def split(before: Work, after: Work) -> Parts:
    """The change from one period to the other by its causes."""
    change = after.cost - before.cost
    if before == Work() or after == Work():
        return Parts(jobs=change)  # it has come up, or is gone
    jobs, tokens, price = zip(*_factors(before, after), strict=True)
    by_jobs = round(_effect(jobs, tokens, price))
    by_tokens = round(_effect(tokens, jobs, price))
    return Parts(by_jobs, by_tokens, change - by_jobs - by_tokens)


Factors = tuple[float, float, float]
Pair = tuple[float, ...]


def _factors(before: Work, after: Work) -> tuple[Factors, Factors]:
    """Jobs, tokens per job and price per token of both periods, also where one of them can't be told."""
    # Work of which no job has finished yet is that of one.
    jobs = max(before.jobs, 1), max(after.jobs, 1)
    if any(work.cost and not work.tokens for work in (before, after)):
        # A cost without tokens has a price per job only.
        return (jobs[0], 1.0, before.cost / jobs[0]), (jobs[1], 1.0, after.cost / jobs[1])
    prices = [work.cost / work.tokens if work.tokens else None for work in (before, after)]
    known = [price for price in prices if price is not None] or [0.0]
    return (
        (jobs[0], before.tokens / jobs[0], known[0] if prices[0] is None else prices[0]),
        (jobs[1], after.tokens / jobs[1], known[0] if prices[1] is None else prices[1]),
    )


def _effect(of: Pair, one: Pair, other: Pair) -> float:
    """The part of the change of `of` × `one` × `other` that is due to `of`."""
    alike = (one[0] * other[0] + one[1] * other[1]) / 3
    crossed = (one[0] * other[1] + one[1] * other[0]) / 6
    return (of[1] - of[0]) * (alike + crossed)
