"""LiteLLM's public list of prices, as the installed package has it; the product doesn't need it. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import metadata, util
from pathlib import Path
from typing import Any

from billing.events.usage_event import Tokens
from billing.prices.price_list import Rates

_FILE = "model_prices_and_context_window_backup.json"
_ABOVE = re.compile(r"(\w+)_above_(\d+)k_tokens", re.ASCII)
_INPUT, _OUTPUT = "input_cost_per_token", "output_cost_per_token"
_READ, _WRITE = "cache_read_input_token_cost", "cache_creation_input_token_cost"
_WRITE_1H = "cache_creation_input_token_cost_above_1hr"


@dataclass(frozen=True)
class LiteLLMList:
    version: str
    entries: Mapping[str, Mapping[str, Any]]

    def dollars(self, model: str, tokens: Tokens) -> Decimal | None:
        """The price of tokens without any factor; None if the list has no price for the model."""
        entry = self.entries.get(model) or self.entries.get(model.rpartition("/")[2])
        if not entry or not entry.get(_INPUT):
            return None
        return _rates(entry, tokens.all_input).dollars(tokens)


def _rates(entry: Mapping[str, Any], all_input: int) -> Rates:
    """The rates, those for long contexts if the input exceeds their thousands of tokens."""
    names = (_INPUT, _OUTPUT, _READ, _WRITE, _WRITE_1H)
    each = {name: Decimal(entry[name]) for name in names if entry.get(name)}
    reached: dict[str, int] = {}
    for name, rate in entry.items():
        above = _ABOVE.fullmatch(name)
        if above and rate and all_input > int(above[2]) * 1_000 > reached.get(above[1], 0):
            each[above[1]], reached[above[1]] = Decimal(rate), int(above[2]) * 1_000
    million = {name: rate * 1_000_000 for name, rate in each.items()}
    return Rates(
        input=million[_INPUT],
        output=million.get(_OUTPUT, Decimal(0)),
        cache_read=million.get(_READ),
        cache_write=million.get(_WRITE),
        cache_write_1h=million.get(_WRITE_1H),
    )


def installed() -> LiteLLMList | None:
    """The list of the installed package; None if it is not installed. The package itself is not imported."""
    package = util.find_spec("litellm")
    if not package or not package.origin:
        return None
    text = Path(package.origin).with_name(_FILE).read_text(encoding="utf-8")
    return LiteLLMList(metadata.version("litellm"), json.loads(text, parse_float=Decimal))
