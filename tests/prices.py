"""What the price list says, for tests that compare with it."""

from datetime import datetime
from typing import Any

from billing.events.usage_event import Tokens
from billing.prices import price_list


def listed_nanos(model: str, tokens: Tokens, at: datetime, **more: Any) -> int | None:
    """The price in nano-dollars; None if no price is known."""
    price = price_list.price(model, tokens, at, **more)
    return price and price.nanos
