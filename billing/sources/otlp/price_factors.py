"""What a span says besides model and tokens that changes the price."""

from billing.events import price_factors
from billing.events.price_factors import PriceFactors, word
from billing.events.usage_event import Tokens
from billing.sources.otlp.attributes import Attributes, count, first_text

SERVICE_TIER = (
    # What the provider answered, before what was asked for: it may serve a request at another tier.
    *("openai.response.service_tier", "gen_ai.openai.response.service_tier", "gen_ai.response.service_tier"),
    *("openai.request.service_tier", "gen_ai.openai.request.service_tier", "gen_ai.request.service_tier"),
)
SPEED = ("gen_ai.response.speed", "gen_ai.request.speed", "speed")
REGION = ("gen_ai.response.inference_geo", "gen_ai.request.inference_geo", "inference_geo")
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "ai.model.provider")
WEB_SEARCHES = (
    "gen_ai.usage.server_tool_use.web_search_requests",
    "gen_ai.usage.details.web_search_requests",
)
WEB_FETCHES = (
    "gen_ai.usage.server_tool_use.web_fetch_requests",
    "gen_ai.usage.details.web_fetch_requests",
)
AUDIO_INPUT = (
    *("llm.token_count.prompt_details.audio", "gen_ai.usage.details.input_audio_tokens"),
    "gen_ai.usage.input_audio_tokens",
)
AUDIO_OUTPUT = (
    *("llm.token_count.completion_details.audio", "gen_ai.usage.details.output_audio_tokens"),
    "gen_ai.usage.output_audio_tokens",
)
ATTRIBUTES = frozenset(
    {
        *(*SERVICE_TIER, *SPEED, *REGION, *PROVIDER, *WEB_SEARCHES, *WEB_FETCHES),
        *(*AUDIO_INPUT, *AUDIO_OUTPUT),
    }
)

_PROTOCOLS = frozenset({"openai", "anthropic"})
"""An SDK gives its own name, whatever gateway it calls: that decides no price."""


def factors(attributes: Attributes, tokens: Tokens) -> PriceFactors:
    """In normal form; audio within what was counted."""
    if ATTRIBUTES.isdisjoint(attributes):
        return price_factors.NO_FACTORS
    provider = word(first_text(attributes, PROVIDER))
    return price_factors.normal(
        speed=word(first_text(attributes, SPEED)),
        service_tier=word(first_text(attributes, SERVICE_TIER)),
        region=word(first_text(attributes, REGION)),
        provider="" if provider.partition(".")[0].lower() in _PROTOCOLS else provider,
        web_searches=count(attributes, WEB_SEARCHES) or 0,
        web_fetches=count(attributes, WEB_FETCHES) or 0,
        audio_input_tokens=min(count(attributes, AUDIO_INPUT) or 0, tokens.input),
        audio_output_tokens=min(count(attributes, AUDIO_OUTPUT) or 0, tokens.output),
    )
