"""Models' names as providers, gateways and libraries write them, and what the price list says of each."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from billing.events.usage_event import Tokens
from billing.prices import model_names, price_list
from billing.prices.model_names import Match, Unpriced, find
from tests.prices import listed_nanos

pytestmark = pytest.mark.once

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:inference-profile"
LISTED = [(provider.id, model.id) for provider in get_snapshot().providers for model in provider.models]


def match(name: str, provider: str = "") -> Match:
    found = find(name, provider)
    assert isinstance(found, Match), found
    return found


def reason(name: str, provider: str = "") -> str:
    found = find(name, provider)
    assert isinstance(found, Unpriced), found
    return found.reason


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        # Anthropic
        ("claude-opus-4-6", "anthropic", "claude-opus-4-6"),
        ("claude-haiku-4-5-20251001", "anthropic", "claude-haiku-4-5"),
        ("claude-sonnet-4-20250514", "anthropic", "claude-sonnet-4-0"),
        ("claude-3-5-haiku-latest", "anthropic", "claude-3-5-haiku-latest"),
        ("claude-opus-5[1m]", "anthropic", "claude-opus-5"),
        ("Claude-Opus-5", "anthropic", "claude-opus-5"),
        (" claude-opus-5 ", "anthropic", "claude-opus-5"),
        # OpenAI
        ("gpt-5.1", "openai", "gpt-5.1"),
        ("gpt-5-nano-2025-08-07", "openai", "gpt-5-nano"),
        ("gpt-4o-2024-05-13", "openai", "gpt-4o-2024-05-13"),
        ("gpt-5.2-20251211", "openai", "gpt-5.2"),
        ("gpt-5.5-cyber", "openai", "gpt-5.5-cyber"),
        ("text-embedding-3-small", "openai", "text-embedding-3-small"),
        ("gpt-4o-audio-preview-2024-12-17", "openai", "gpt-4o-audio-preview"),
        ("ft:gpt-4o-2024-08-06:acme::7p4lURel", "openai", "ft:gpt-4o"),
        # Google
        ("models/gemini-3.8-flash", "google", "gemini-3.8-flash"),
        ("gemini/gemini-2.5-flash-preview-09-2025", "google", "gemini-2.5-flash"),
        ("gemini-2.5-pro-preview-05-06", "google", "gemini-2.5-pro"),
        ("gemini-2.0-flash-001", "google", "gemini-2.0-flash"),
        ("gemini-flash-latest", "google", "gemini-3.8-flash"),
        ("gemini-3.1-pro-preview-customtools", "google", "gemini-3.1-pro-preview"),
        ("publishers/google/models/gemini-2.5-pro", "google", "gemini-2.5-pro"),
        # Vertex AI
        ("vertex_ai/gemini-3.8-flash", "google", "gemini-3.8-flash"),
        ("vertex_ai/claude-opus-4-6@default", "google", "claude-opus-4-6"),
        ("vertex_ai/claude-opus-4-5@20251101", "google", "claude-opus-4-5"),
        ("vertex_ai/claude-sonnet-5@default", "google", "claude-sonnet-5"),
        ("vertex_ai/claude-3-5-haiku@20241022", "google", "claude-3-5-haiku"),
        ("publishers/anthropic/models/claude-opus-4-6", "google", "claude-opus-4-6"),
        ("vertex_ai/google/gemma-4-26b-a4b-it-maas", "google", "gemma-4-26b-a4b-it-maas"),
        # Bedrock, without a region
        ("amazon.nova-pro-v1:0", "aws", "amazon.nova-pro-v1:0"),
        ("bedrock/amazon.nova-pro-v1:0", "aws", "amazon.nova-pro-v1:0"),
        ("anthropic.claude-opus-4-6-v1", "aws", "regional.anthropic.claude-opus-4-6-v1:0"),
        ("bedrock/converse/openai.gpt-oss-120b-1:0", "aws", "openai.gpt-oss-120b-1:0"),
        ("bedrock/claude_platform/claude-opus-4-6", "anthropic", "claude-opus-4-6"),
        # Azure
        ("azure/gpt-5.1-2025-11-13", "azure", "gpt-5.1"),
        ("azure_ai/claude-opus-5-5", "azure", "claude-opus-5-5"),
        ("azure/gpt-35-turbo", "azure", "gpt-3.5-turbo"),
        # xAI, whose names may end in -fast without being a faster way to another model
        ("xai/grok-4-fast", "x-ai", "grok-4-fast-reasoning"),
        ("grok-3-mini-fast-latest", "x-ai", "grok-3-mini-fast"),
        # Prefixes of LangChain, Pydantic AI and gateways
        ("openai:gpt-5.1", "openai", "gpt-5.1"),
        ("google-gla:gemini-2.5-pro", "google", "gemini-2.5-pro"),
        ("litellm_proxy/openai/gpt-5.1", "openai", "gpt-5.1"),
        # OpenRouter: with its prefix its own price, without it the vendor's
        ("openrouter/anthropic/claude-opus-4.6-fast", "openrouter", "anthropic/claude-opus-4.6-fast"),
        ("openrouter/x-ai/grok-4.3", "openrouter", "x-ai/grok-4.3"),
        ("openrouter/openai/gpt-6-astra:batch", "openrouter", "openai/gpt-6-astra:batch"),
        ("anthropic/claude-opus-4.6", "anthropic", "claude-opus-4-6"),
        ("anthropic/claude-fable-5.1", "anthropic", "claude-fable-5-1"),
        ("anthropic/claude-opus-5:beta", "anthropic", "claude-opus-5"),
        ("x-ai/grok-4.3", "x-ai", "grok-4.3"),
        ("moonshotai/kimi-k2.5", "moonshotai", "kimi-k2.5"),
        # Others that the list knows
        ("fireworks_ai/glm-5p1", "fireworks", "glm-5p1"),
        ("fireworks_ai/accounts/fireworks/models/glm-5p1", "fireworks", "glm-5p1"),
        ("accounts/fireworks/models/glm-5p1", "fireworks", "glm-5p1"),
        ("groq/openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b"),
        ("together_ai/Qwen/Qwen3.8-Flash", "together", "Qwen/Qwen3.8-Flash"),
        ("@cf/meta/llama-3-8b-instruct", "cloudflare", "@cf/meta/llama-3-8b-instruct"),
        ("cloudflare/@cf/meta/llama-3-8b-instruct", "cloudflare", "@cf/meta/llama-3-8b-instruct"),
        ("github_copilot/claude-opus-4.8-fast", "github-copilot", "claude-opus-4.8-fast"),
        ("perplexity/sonar", "perplexity", "sonar"),
        ("perplexity/glm-5.3", "perplexity", "perplexity/glm-5.3"),
        ("composer-2.5[fast=true]", "cursor", "composer-2.5-fast"),
    ],
)
def test_a_name_is_found_whole_after_its_known_parts(name: str, provider: str, model: str) -> None:
    found = match(name)
    assert (found.provider.id, found.model.id) == (provider, model)
    assert (found.reading.provider, found.reading.speed, found.reading.region) == (provider, "", "")
    assert not found.reading.free
    assert not found.reading.batch


@pytest.mark.parametrize(
    ("name", "stated", "provider", "model"),
    [
        ("claude-opus-4-6", "anthropic", "anthropic", "claude-opus-4-6"),
        ("gpt-5.1", "azure.ai.openai", "azure", "gpt-5.1"),
        ("gpt-5.1", "az.ai.openai", "azure", "gpt-5.1"),
        ("azure/gpt-5.1", "azure", "azure", "gpt-5.1"),
        ("claude-opus-4-6", "gcp.vertex_ai", "google", "claude-opus-4-6"),
        ("gemini-3.8-flash", "gcp.gemini", "google", "gemini-3.8-flash"),
        ("gemini-3.8-flash", "google.vertex.chat", "google", "gemini-3.8-flash"),
        ("amazon.nova-pro-v1:0", "aws.bedrock", "aws", "amazon.nova-pro-v1:0"),
        ("claude-opus-4-6", "aws.bedrock", "aws", "regional.anthropic.claude-opus-4-6-v1:0"),
        ("anthropic/claude-opus-4.6-fast", "openrouter", "openrouter", "anthropic/claude-opus-4.6-fast"),
        ("openai/gpt-oss-120b", "groq", "groq", "openai/gpt-oss-120b"),
        ("grok-4.3", "x_ai", "x-ai", "grok-4.3"),
        ("gpt-5.1", "openai.responses", "openai", "gpt-5.1"),
        # The SDKs of OpenAI and Anthropic are pointed at gateways, too, so a name that says more is believed.
        ("anthropic/claude-opus-4.6", "openai", "anthropic", "claude-opus-4-6"),
        ("claude-opus-4-6", "openai", "anthropic", "claude-opus-4-6"),
        ("global.anthropic.claude-opus-5", "anthropic", "aws", "global.anthropic.claude-opus-5"),
        ("gpt-5.1", "_OTHER", "openai", "gpt-5.1"),
    ],
)
def test_telemetry_says_where_the_call_went(name: str, stated: str, provider: str, model: str) -> None:
    found = match(name, stated)
    assert (found.provider.id, found.model.id) == (provider, model)


@pytest.mark.parametrize(
    ("name", "model", "region", "priced"),
    [
        ("us.anthropic.claude-opus-4-6-v1", "regional.anthropic.claude-opus-4-6-v1:0", "us", True),
        ("eu.anthropic.claude-opus-4-6-v1", "regional.anthropic.claude-opus-4-6-v1:0", "eu", True),
        ("apac.anthropic.claude-opus-5", "regional.anthropic.claude-opus-5", "apac", True),
        ("global.anthropic.claude-opus-4-6-v1", "global.anthropic.claude-opus-4-6-v1:0", "global", True),
        ("us-gov.anthropic.claude-sonnet-5-5", "regional.anthropic.claude-sonnet-5-5", "us-gov", True),
        ("us-gov.anthropic.claude-opus-5", "global.anthropic.claude-opus-5", "us-gov", False),
        ("eu.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "eu", False),
        (
            "bedrock/us-east-1/meta.llama3-8b-instruct-v1:0",
            "meta.llama3-8b-instruct-v1:0",
            "us-east-1",
            False,
        ),
        ("bedrock/us-gov-west-1/amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", "us-gov", False),
        ("bedrock/us-east-1/us.anthropic.claude-opus-5", "regional.anthropic.claude-opus-5", "us", True),
        (f"{PROFILE}/us.anthropic.claude-opus-5", "regional.anthropic.claude-opus-5", "us", True),
        (
            "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-opus-5",
            *("regional.anthropic.claude-opus-5", "eu-west-1", True),
        ),
        ("azure/us/gpt-5.1", "gpt-5.1", "us", False),
        ("azure/eu/gpt-5.1", "gpt-5.1", "eu", False),
        ("azure/us-gov/o3-mini", "o3-mini", "us-gov", False),
        ("azure/global-standard/gpt-4o-2024-11-20", "gpt-4o", "global", False),
        (
            "projects/p/locations/europe-west1/publishers/anthropic/models/claude-opus-4-6",
            *("claude-opus-4-6", "europe-west1", False),
        ),
    ],
)
def test_a_region_is_read_and_whether_the_listed_price_is_its_own(
    name: str, model: str, region: str, priced: bool
) -> None:
    found = match(name)
    assert (found.model.id, found.reading.region, found.region_priced) == (model, region, priced)


def test_the_listed_regional_price_has_the_surcharge_in_it() -> None:
    usage = Usage(input_tokens=1_000_000)
    prices = [
        found.model.calc_price(usage, found.provider, genai_request_timestamp=AT).total_price
        for found in (match("global.anthropic.claude-opus-5"), match("us.anthropic.claude-opus-5"))
    ]
    assert prices[1] == prices[0] * Decimal("1.1")


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    [
        ("claude-opus-4.6-fast", "anthropic", "claude-opus-4-6"),
        ("anthropic/claude-opus-4.6-fast", "anthropic", "claude-opus-4-6"),
        ("anthropic/claude-opus-5-fast", "anthropic", "claude-opus-5"),
        ("claude-opus-5-fast[1m]", "anthropic", "claude-opus-5"),
        ("azure_ai/claude-opus-5-5-fast", "azure", "claude-opus-5-5"),
    ],
)
def test_a_fast_model_is_told_apart_from_the_slow_one(name: str, provider: str, model: str) -> None:
    found = match(name)
    assert (found.provider.id, found.model.id, found.reading.speed) == (provider, model, "fast")


def test_free_and_batch_are_read() -> None:
    assert match("deepseek/deepseek-r1:free").reading.free
    assert listed_nanos("deepseek/deepseek-r1:free", Tokens(input=1000), AT) == 0
    assert match("openai/gpt-6-astra:batch").reading.batch


@pytest.mark.parametrize(
    ("name", "stated", "expected"),
    [
        # Other models whose names begin or end like a listed one, or contain it.
        ("gemini-3.8-flash-cyber", "", "the price list has no gemini-3.8-flash-cyber"),
        ("vertex_ai/gemini-3.8-flash-cyber", "", "the price list has no gemini-3.8-flash-cyber at Google"),
        ("gpt-5.1-cyber", "", "the price list has no gpt-5.1-cyber"),
        ("my-claude-opus-4-6", "", "the price list has no my-claude-opus-4-6"),
        ("claude-mythos-preview", "", "the price list has no claude-mythos-preview"),
        ("deepseek-r1-distill-llama-70b", "", "the price list has no deepseek-r1-distill-llama-70b"),
        ("mistral/mistral-large-2402", "", "the price list has no mistral-large-2402 at Mistral"),
        ("mistral/ministral-3b-latest", "", "the price list has no ministral-3b-latest at Mistral"),
        (
            "amazon.titan-embed-text-v3:0",
            *("", "the price list has no amazon.titan-embed-text-v3:0 at AWS Bedrock"),
        ),
        # The list has only its in-region price.
        ("global.openai.gpt-5.4", "", "the price list has no global.openai.gpt-5.4 at AWS Bedrock"),
        # Others sell these at prices of their own.
        ("claude-opus-4.6-fast", "openrouter", "the price list has no claude-opus-4.6-fast at OpenRouter"),
        ("vertex_ai/mistral-medium-3", "", "the price list has no mistral-medium-3 at Google"),
        ("deepinfra/anthropic/claude-opus-4-6", "", "the price list has no provider deepinfra"),
        ("vercel_ai_gateway/openai/gpt-5.1", "", "the price list has no provider vercel_ai_gateway"),
        ("gpt-5.1", "some-reseller", "the price list has no provider some-reseller"),
        ("meta-llama/llama-3.3-70b-instruct", "", "the price list has no provider meta-llama"),
        # Free at the Gemini API; Vertex AI bills the machine, or another model id by the token.
        (
            "vertex_ai/gemma-4-26b-a4b-it",
            *("", "gemma-4-26b-a4b-it is free at the Gemini API, not at Vertex AI: set a price for it"),
        ),
        (
            "publishers/google/models/gemma-4-31b-it",
            *("", "gemma-4-31b-it is free at the Gemini API, not at Vertex AI: set a price for it"),
        ),
        (
            *("gemma-4-31b-it", "gcp.vertex_ai"),
            "gemma-4-31b-it is free at the Gemini API, not at Vertex AI: set a price for it",
        ),
        # Names that their owners chose.
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
            *("", "application-inference-profile/abc is a name of your own: set a price for it"),
        ),
        (
            "bedrock/arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc",
            *("", "provisioned-model/abc is a name of your own: set a price for it"),
        ),
        (
            "vertex_ai/projects/p/locations/us-central1/endpoints/123",
            *("", "projects/p/locations/us-central1/endpoints/123 is a name of your own: set a price for it"),
        ),
        (
            "our-chat",
            "azure.ai.openai",
            "the price list has no our-chat at Microsoft Azure;"
            " if this is a deployment's own name, set a price for it",
        ),
        ("ours", "", "the price list has no ours"),
        ("", "", "no model is named"),
        ("@", "", "the price list has no @"),
    ],
)
def test_what_the_list_lacks_is_unpriced_with_a_reason(name: str, stated: str, expected: str) -> None:
    assert reason(name, stated) == expected


@pytest.mark.parametrize("name", ["gemini/gemma-4-31b-it", "models/gemma-4-31b-it"])
def test_a_model_of_the_gemini_api_may_be_free(name: str) -> None:
    assert listed_nanos(name, Tokens(input=1000), AT) == 0


@given(listed=st.sampled_from(LISTED), word=st.from_regex("[a-z]{2,9}", fullmatch=True))
def test_a_listed_name_with_an_unknown_suffix_is_another_model(listed: tuple[str, str], word: str) -> None:
    provider, model = listed
    for known in ("fast", "latest", "preview", "customtools"):
        word = "cyber" if word == known else word
    name = f"{model}-{word}"
    for found in (find(name, provider), find(name), find(f"{provider}/{name}")):
        assert isinstance(found, Unpriced) or found.model.id.lower() == name.lower()


@pytest.mark.parametrize("suffix", ["-cyber", "-foo"])
def test_no_listed_name_takes_these_suffixes(suffix: str) -> None:
    ids = {model.lower() for _, model in LISTED}
    for provider, model in LISTED:
        found = find(model + suffix, provider)
        assert isinstance(found, Unpriced) or (model + suffix).lower() in ids, (provider, model)


def test_every_listed_model_is_found_by_its_id() -> None:
    # Perplexity has two prices for this name: as a model of its own and by its agents' API.
    missing = [
        (provider, model)
        for provider, model in LISTED
        if getattr(getattr(find(model, provider), "model", None), "id", "") != model
        and model != "perplexity/sonar"
    ]
    assert missing == []


@given(st.text(), st.text())
def test_any_text_gets_an_answer(name: str, provider: str) -> None:
    assert isinstance(find(name, provider), Match | Unpriced)


def test_answers_are_kept() -> None:
    before = model_names.find.cache_info().hits
    assert find("claude-opus-5", "anthropic") is find("claude-opus-5", "anthropic")
    assert model_names.find.cache_info().hits > before


# The tables in the documentation


def rows_of(page: str) -> list[list[str]]:
    text = (Path(__file__).resolve().parent.parent / "docs" / f"{page}.md").read_text()
    rows = (line[1:-1].split("|") for line in text.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in row] for row in rows]


def documented() -> list[list[str]]:
    return [row for row in rows_of("model-names") if row[0].startswith("`")]


@pytest.mark.parametrize("row", documented(), ids=lambda row: row[0])
def test_the_documented_names_have_the_documented_prices(row: list[str]) -> None:
    name, _, found, *rest = row
    at = datetime(2026, 11, 27, 12, tzinfo=UTC)
    matched = find(name.strip("`"))
    if isinstance(matched, Unpriced):
        assert found == f"unpriced: {matched.reason}"
        return
    assert found == f"`{matched.provider.id}`: `{matched.model.id}`"
    prices = [
        price_list.price(name.strip("`"), tokens, at)
        for tokens in (Tokens(input=100_000), Tokens(output=100_000))
    ]
    assert [price and Decimal(price.nanos).scaleb(-8) for price in prices] == [
        Decimal(number) for number in rest[0].split(" / ")
    ]
    without = rest[1].partition("priced without ")[2]
    assert {price.without for price in prices if price} == {without}


def documented_differences() -> list[tuple[str, str, str]]:
    """The names of each row that aren't shortened (`…-opus-5`), and their price here."""
    return [
        (name, price[1], price[2])
        for names, here, *_ in rows_of("price-differences")
        if (price := re.match(r"([\d.]+) / ([\d.]+)", here))
        for name in re.findall(r"`([^`]+)`", names)
        if "…" not in name
    ]


@pytest.mark.parametrize(("name", "input_price", "output_price"), documented_differences())
def test_the_documented_differences_have_the_documented_prices(
    name: str, input_price: str, output_price: str
) -> None:
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)
    tokens = 10_000
    assert listed_nanos(name, Tokens(input=tokens), at) == Decimal(input_price) * tokens * 1000
    assert listed_nanos(name, Tokens(output=tokens), at) == Decimal(output_price) * tokens * 1000
