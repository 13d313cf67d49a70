"""Explain a change in cost: more jobs, more tokens per job, or a higher price per token. Pure.

Cost = jobs × tokens per job × price per token. The change of this product is split among its factors by
the complete decomposition of J. W. Sun ("Changes in energy consumption and energy intensity: a complete
decomposition model", Energy Economics 20, 1998), which shares the joint effect of two or three factors
equally among them. The parts add up to the change, and swapping the periods swaps the signs.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """An agent type's work in a period: jobs finished, tokens, and cost in nano-dollars."""

    jobs: int = 0
    tokens: int = 0
    cost: int = 0

    @classmethod
    def total(cls, works: Iterable["Work"]) -> "Work":
        return cls(*map(sum, zip(*((work.jobs, work.tokens, work.cost) for work in works), strict=True)))


@dataclass(frozen=True)
class Parts:
    """The parts of a change in nano-dollars. They add up to it exactly."""

    jobs: int = 0
    tokens_per_job: int = 0
    price_per_token: int = 0

    @property
    def whole(self) -> int:
        return self.jobs + self.tokens_per_job + self.price_per_token

    @classmethod
    def total(cls, parts: Iterable["Parts"]) -> "Parts":
        each = ((part.jobs, part.tokens_per_job, part.price_per_token) for part in parts)
        return cls(*map(sum, zip(*each, strict=True)))


def split(before: Work, after: Work) -> Parts:
    """Split the change of cost between two periods by its causes."""
    change = after.cost - before.cost
    if before == Work() or after == Work():
        return Parts(jobs=change)  # the agent type is new, or no longer used
    jobs, tokens, price = zip(*_factors(before, after), strict=True)
    by_jobs = round(_effect(jobs, tokens, price))
    by_tokens = round(_effect(tokens, jobs, price))
    return Parts(by_jobs, by_tokens, change - by_jobs - by_tokens)


Factors = tuple[float, float, float]
Pair = tuple[float, ...]


def _factors(before: Work, after: Work) -> tuple[Factors, Factors]:
    """Jobs, tokens per job and price per token of both periods, with substitutes for undefined ones."""
    # Work without a finished job counts as one job.
    jobs = max(before.jobs, 1), max(after.jobs, 1)
    if any(work.cost and not work.tokens for work in (before, after)):
        # A cost without tokens has only a price per job.
        return (jobs[0], 1.0, before.cost / jobs[0]), (jobs[1], 1.0, after.cost / jobs[1])
    prices = [work.cost / work.tokens if work.tokens else None for work in (before, after)]
    known = [price for price in prices if price is not None] or [0.0]
    return (
        (jobs[0], before.tokens / jobs[0], known[0] if prices[0] is None else prices[0]),
        (jobs[1], after.tokens / jobs[1], known[0] if prices[1] is None else prices[1]),
    )


def _effect(a: Pair, b: Pair, c: Pair) -> float:
    """The part of the change of a × b × c that is due to a."""
    same_period = (b[0] * c[0] + b[1] * c[1]) / 3
    mixed_periods = (b[0] * c[1] + b[1] * c[0]) / 6
    return (a[1] - a[0]) * (same_period + mixed_periods)
