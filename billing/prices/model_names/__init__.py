"""Find the model of the price list that a name means, as providers, gateways and libraries write it. Pure.

A name is matched whole, once its known parts are off: prefixes that say where the call went, dates, versions,
and marks such as `:free` and `-fast`. The library's own matching accepts whatever begins or contains a listed
name, so it prices `gemini-3.8-flash-cyber` as the half as costly `gemini-3.8-flash`.
"""

from functools import lru_cache

from billing.prices.model_names import listed, routes
from billing.prices.model_names.reading import Match, Reading, Unpriced, marked

__all__ = ["Match", "Reading", "Unpriced", "find"]


@lru_cache(maxsize=4096)
def find(name: str, provider: str = "") -> Match | Unpriced:
    """The listed model that `name` means, or why there is none.

    `provider` is what telemetry says of it: OpenTelemetry's `gen_ai.provider.name` or a library's own word.
    """
    route = routes.route(name, provider)
    if isinstance(route, str):
        return Unpriced(name, route)
    for bare, marks in marked(route.model):
        for provider_id in route.providers(bare):
            if found := listed.model(provider_id, bare, route.region):
                if routes.at_vertex(name, provider) and listed.is_free(found):
                    return Unpriced(
                        name, f"{bare} is free at the Gemini API, not at Vertex AI: set a price for it"
                    )
                reading = Reading(provider_id, bare, region=route.region, **marks)
                priced = provider_id == "aws" and listed.prices_region(found, route.region)
                return Match(listed.provider(provider_id), found, reading, region_priced=priced)
    return Unpriced(name, _reason(route))


def _reason(route: routes.Route) -> str:
    if not route.provider:
        return f"the price list has no {route.model}"
    region = f"{route.region}." if route.region in ("global", "us-gov") and route.provider == "aws" else ""
    missing = f"the price list has no {region}{route.model} at {listed.provider(route.provider).name}"
    if route.provider == "azure":
        return f"{missing}; if this is a deployment's own name, set a price for it"
    return missing
