"""Families of models: names of one model, however providers, gateways and agents write it. Pure."""

import re
from functools import lru_cache

from billing.prices import model_names
from billing.prices.model_names import Match


@lru_cache(maxsize=2048)
def known_family(model: str) -> str:
    """The family of a model on the price list; "" for other names, as of deployments and aliases.

    A newer price list may know more names, so the ledger keeps what this said when a report came.
    """
    found = model_names.find(model) if model else None
    return family(found.model.id) if isinstance(found, Match) else ""


@lru_cache(maxsize=2048)
def family(model: str) -> str:
    """A model's name without provider, region, date and version, so that all senders' spellings are equal."""
    name = model.lower().rpartition("/")[2]
    name = _VENDOR.sub("", name)
    name = re.sub(r"@.*$|\[.*\]$|:[^:]*$", "", name).replace("_", "-").replace(".", "-")
    while (shorter := _VERSION.sub("", name)) != name:
        name = shorter
    return name


_VENDOR = re.compile(
    r"^(?:[a-z-]+\.)?(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshotai|nvidia|openai"
    r"|qwen|writer|xai|zai)\.|^[a-z][a-z_-]*:(?=[a-z])"
)
"""Bedrock's region and vendor, or a provider before a colon."""
_VERSION = re.compile(r"-(?:latest|v\d+|preview|\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{3,4})$")
