"""How names and telemetry spell the providers of the price list."""

from billing.prices.model_names import listed

# The first word of `gen_ai.provider.name` (`gcp.vertex_ai`), prefixes of LiteLLM (`vertex_ai/`), OpenRouter
# (`mistralai/`), LangChain and Pydantic AI (`google-gla:`), and providers of the Vercel AI SDK.
_SPELLINGS = {
    "aws": ("amazon-bedrock", "amazon_bedrock", "bedrock", "bedrock_converse", "bedrock_mantle"),
    "azure": ("az", "azure_ai", "azure_openai", "azure-openai", "azure_text"),
    "fireworks": ("fireworks_ai", "fireworks-ai"),
    "github-copilot": ("github_copilot",),
    "google": (
        *("gcp", "gemini", "google_ai", "google-gla", "google-vertex", "google_genai", "google_vertexai"),
        *("models", "vertex", "vertex_ai", "vertex_ai_beta", "vertexai"),
    ),
    "mistral": ("mistral_ai", "mistralai"),
    "moonshotai": ("moonshot",),
    "openai": ("openai_responses", "openai-chat", "openai-responses", "text-completion-openai"),
    "together": ("together_ai", "together-ai", "togetherai"),
    "voyageai": ("voyage",),
    "x-ai": ("x_ai", "xai"),
    "zai": ("z-ai",),
}
_IDS = {spelling: provider_id for provider_id, spellings in _SPELLINGS.items() for spelling in spellings}

# Gateways that pass a call on to the provider named after them, and words for "not known".
NO_PROVIDER = frozenset({"", "_other", "litellm", "litellm_proxy", "unknown"})

# Telemetry names these for whatever speaks their protocols, even a gateway to another provider's model.
PROTOCOLS = frozenset({"anthropic", "openai"})


def provider_id(spelling: str) -> str:
    """The price list's id of a provider; empty if the list does not know it."""
    for word in (spelling, spelling.partition(".")[0]):
        known = _IDS.get(word, word)
        if listed.is_provider(known):
            return known
    return ""
