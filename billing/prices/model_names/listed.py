"""The models of genai-prices by their whole names."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

# What a name may carry after the listed one and still mean the same model.
_DATE = re.compile(r"(?:-20\d{6}|-20\d\d-\d\d-\d\d|@20\d{6}|@default)$")
# These may make another model, too (`amazon.titan-embed-text-v2`, `ministral-3b-latest`), so they
# count only where the list itself takes whatever follows: a version, a short date, a preview, the latest,
# Gemini's endpoint for custom tools.
_VERSION = re.compile(
    r"(?:-v\d+(?::\d+)?|:\d+|[-@]\d{3,4}|-\d\d-(?:\d\d|20\d\d)|-preview|-customtools|[-@]latest)$"
)
# A fine-tuned model's name ends with its owner's: `ft:gpt-4o-2024-08-06:acme::7p4lURel`.
_FINE_TUNED = re.compile(r"(ft:[^:]+):.*")
# What these providers sell and name themselves, without a prefix that says so.
_MORE_VENDORS = ("openai", "cohere", "perplexity")


def is_provider(provider_id: str) -> bool:
    return provider_id in _providers()


def provider(provider_id: str) -> Any:
    """The library's provider of this id."""
    return _providers()[provider_id]


@lru_cache(maxsize=1)
def _providers() -> dict[str, Any]:
    # The import takes half a second, so only recording usage without a stated cost should pay for it.
    from genai_prices.data_snapshot import get_snapshot

    return {listed.id: listed for listed in get_snapshot().providers}


def vendors(name: str) -> tuple[str, ...]:
    """The providers whose models have such names by themselves, so not those that sell models of others."""
    own = [p.id for p in _providers().values() if p.model_match is not None and p.model_match.is_match(name)]
    return tuple(own) or _MORE_VENDORS


def model(provider_id: str, name: str, region: str = "") -> Any | None:
    """The library's model that this name means at this provider; None if the list has none."""
    if provider_id == "aws":
        return _bedrock_model(name, region)
    for seller in (provider_id, *(provider(provider_id).fallback_model_providers or ())):
        if found := _model(seller, name):
            return found
    return None


def _bedrock_model(name: str, region: str) -> Any | None:
    """A Bedrock model by its id: at its region's own price if the list has one, else at the price for all."""
    in_region = f"{region}.{name}" if region else name
    if found := _model("aws", in_region):
        return found
    if region in ("global", "us-gov") and (found := _model("aws", f"global.{name}")):
        return (
            found  # the list has no price for this model in GovCloud; a factor for it goes on the global one
        )
    found = _model("aws", f"regional.{name}") or _model("aws", name)
    # These are dearer than worldwide calls and cheaper than GovCloud, unless the list counts those in.
    if found and region in ("global", "us-gov") and not found.is_match(in_region):
        return None
    return found


def is_free(found: Any) -> bool:
    """Whether the list has the model at no price, as some of Google's are at the Gemini API."""
    from genai_prices.types import ModelPrice

    return bool(found.prices == ModelPrice())


def prices_region(found: Any, region: str) -> bool:
    """Whether a Bedrock model's price is the region's own."""
    if region == "global":
        return bool(found.id.startswith("global."))
    named = region != "us-gov" or any("us-gov." in text for text in _texts(found.match))
    return named and bool(found.id.startswith("regional."))


def _model(provider_id: str, name: str) -> Any | None:
    names = _names(provider_id)
    for bare, accepted in _shortened(name):
        # Anthropic's own names have dashes where others write dots: claude-fable-5.1, claude-fable-5-1.
        dashed = re.sub(r"(?<=\d)\.(?=\d)", "-", bare) if provider_id == "anthropic" else bare
        found = names.get(bare) or names.get(dashed)
        if found and (not accepted or found.is_match(accepted)):
            return found
    return _by_pattern(provider_id, name)


def _shortened(name: str) -> Iterator[tuple[str, str]]:
    """The name with one known part after another off its end, and what the list must accept as this model."""
    if fine_tuned := _FINE_TUNED.fullmatch(name):
        name = fine_tuned[1]
    accepted = ""
    yield name, accepted
    while part := _DATE.search(name) or _VERSION.search(name):
        if part.re is _VERSION:
            accepted = accepted or name
        name = name[: part.start()]
        yield name, accepted


@lru_cache(maxsize=64)
def _names(provider_id: str) -> dict[str, Any]:
    """A provider's models by their ids and by every text that their conditions name."""
    models = provider(provider_id).models
    names = {listed.id.lower(): listed for listed in models}
    for listed in models:
        for text in _texts(listed.match):
            names.setdefault(text.lower().rstrip("-@"), listed)
    return names


def _texts(condition: Any) -> Iterator[str]:
    for part in (*getattr(condition, "or_", ()), *getattr(condition, "and_", ())):
        yield from _texts(part)
    for kind in ("equals", "starts_with", "ends_with", "contains"):
        if text := getattr(condition, kind, ""):
            yield text


def _by_pattern(provider_id: str, name: str) -> Any | None:
    """A model that a pattern for whole names names: `composer-2.5[fast=true]`."""
    for listed in provider(provider_id).models:
        for pattern in _patterns(listed.match):
            if pattern.startswith("^") and pattern.endswith("$") and re.search(pattern, name):
                return listed
    return None


def _patterns(condition: Any) -> Iterator[str]:
    for part in getattr(condition, "or_", ()):
        yield from _patterns(part)
    if pattern := getattr(condition, "regex", ""):
        yield pattern
