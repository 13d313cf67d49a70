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
        rates = _rates(entry, tokens.all_input)
        read = rates.get(_READ, rates[_INPUT])
        write = rates.get(_WRITE, rates[_INPUT])
        return (
            tokens.input * rates[_INPUT]
            + tokens.cache_read * read
            + (tokens.cache_write - tokens.cache_write_1h) * write
            + tokens.cache_write_1h * rates.get(_WRITE_1H, write)
            + tokens.output * rates.get(_OUTPUT, Decimal(0))
        )


def _rates(entry: Mapping[str, Any], all_input: int) -> dict[str, Decimal]:
    """Dollars a token, those for long contexts if the input exceeds their thousands of tokens."""
    rates = {
        name: Decimal(entry[name]) for name in (_INPUT, _OUTPUT, _READ, _WRITE, _WRITE_1H) if entry.get(name)
    }
    reached: dict[str, int] = {}
    for name, rate in entry.items():
        above = _ABOVE.fullmatch(name)
        if above and rate and all_input > int(above[2]) * 1_000 > reached.get(above[1], 0):
            rates[above[1]], reached[above[1]] = Decimal(rate), int(above[2]) * 1_000
    return rates


def installed() -> LiteLLMList | None:
    """The list of the installed package; None if it is not installed. The package itself is not imported."""
    package = util.find_spec("litellm")
    if not package or not package.origin:
        return None
    text = Path(package.origin).with_name(_FILE).read_text(encoding="utf-8")
    return LiteLLMList(metadata.version("litellm"), json.loads(text, parse_float=Decimal))
