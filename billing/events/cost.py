"""The cost of a model call, and what it rests on. Pure."""

from typing import NamedTuple


class PriceBasis(NamedTuple):
    """What a cost rests on besides model, tokens and day, as the ledger stores it with each line."""

    factors: str = ""
    """`PriceFactors.text`."""
    without: str = ""
    """Reported factors whose effect is not known and not in the cost: `serviceTier=priority`."""
    source: str = ""
    """The price list and its version, or the first day of the price override; "" if nobody computed it."""


NO_BASIS = PriceBasis()


class Cost(NamedTuple):
    nanos: int
    source: str
    """A `CostSource`."""
    basis: PriceBasis = NO_BASIS


NO_COST = Cost(0, "")
