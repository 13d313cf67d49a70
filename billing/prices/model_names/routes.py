"""Where a call went by its model's name and by telemetry, and the name that the model has there."""

import re
from dataclasses import dataclass

from billing.prices.model_names import listed
from billing.prices.model_names.providers import NO_PROVIDER, PROTOCOLS, provider_id


@dataclass(frozen=True)
class Route:
    model: str
    provider: str = ""
    """The price list's id; empty if neither the name nor telemetry says it."""
    region: str = ""
    protocol: str = ""
    """The provider whose protocol the caller spoke, which need not be the one that was called."""

    def providers(self, bare: str) -> tuple[str, ...]:
        """The providers whose prices to look in for a name, in this order."""
        if self.provider:
            return (self.provider,)
        return (*filter(None, [self.protocol]), *listed.vendors(bare))


_REGION = "us-gov|us|eu|apac|au|ca|in|jp|mx|sa|global"
_AWS_REGION = "[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-[0-9]"
_VENDORS = (
    "ai21|amazon|anthropic|cohere|deepseek|google|luma|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai|qwen"
    "|stability|twelvelabs|writer|xai|zai"
)
_BEDROCK_ID = re.compile(rf"(?:({_REGION})\.)?((?:{_VENDORS})\.[^/]+)")
_ARN = re.compile(rf"arn:aws[a-z-]*:bedrock:({_AWS_REGION})?:[0-9]*:([a-z-]+)/(.+)")
_PUBLISHER = re.compile(r"(?:projects/[^/]+/locations/([^/]+)/)?publishers/[^/]+/models/(.+)")
_OWN = re.compile(r"projects/[^/]+/locations/[^/]+/endpoints/|accounts/(?!fireworks/)")
# Names that are paths; their first part alone does not say the provider.
_BEGINNINGS = {
    "@cf/": "cloudflare",
    "accounts/": "fireworks",
    "arn:": "aws",
    "projects/": "google",
    "publishers/": "google",
}
_PATHS = {"accounts", "projects", "publishers"}
_PREFIX = re.compile(r"([^/:]+)[/:](.+)")

# LiteLLM says here which of Bedrock's APIs was called.
_BEDROCK_APIS = re.compile("^(?:async_invoke|converse|converse_like|invoke)/")
# Claude Platform on AWS is Anthropic's own API at its own prices, billed by AWS.
_CLAUDE_PLATFORM = "claude_platform/"
_AZURE_REGIONS = re.compile("(global|global-standard|us-gov|us|eu|apac)/")
# The list has one provider for both of Google's APIs: `vertex_ai/gemma-4-31b-it`, `gcp.vertex_ai`.
_VERTEX = re.compile("(?:^|[/:._-])vertex|^publishers/|^projects/")


def route(name: str, provider: str) -> Route | str:
    """Where the call went, or why there can be no listed price for it."""
    name, said = name.strip().lower(), provider.strip().lower()
    if not name:
        return "no model is named"
    if said in NO_PROVIDER:
        return _by_name(name)
    known = provider_id(said)
    if not known:
        return f"the price list has no provider {said}"
    if known in PROTOCOLS:
        return _by_name(name, protocol=known)
    return _at(known, name)


def at_vertex(name: str, provider: str) -> bool:
    """Whether a model of Google's was called at Vertex AI, not at the Gemini API."""
    return any(_VERTEX.search(text.strip().lower()) for text in (name, provider))


def _by_name(name: str, protocol: str = "") -> Route | str:
    """The route that a name itself says."""
    if _BEDROCK_ID.fullmatch(name):
        return _at("aws", name)
    for beginning, owner in _BEGINNINGS.items():
        if name.startswith(beginning):
            return _at(owner, name)
    if not (prefixed := _PREFIX.fullmatch(name)):
        return Route(name, protocol=protocol)
    prefix, rest = prefixed[1], prefixed[2]
    if prefix in NO_PROVIDER:
        return _by_name(rest)
    # A vendor's prefix is taken for the vendor itself, though OpenRouter writes its models like this, too:
    # so do SDKs and gateways that call the vendor, and OpenRouter adds nothing to the vendor's price.
    if known := provider_id(prefix):
        return _at(known, name)
    if "/" in name:
        return f"the price list has no provider {prefix}"
    return Route(name, protocol=protocol)  # a colon may be part of a name: `ft:gpt-4o`, `deepseek-r1:free`


def _at(provider: str, name: str) -> Route | str:
    """The route to a known provider: what its own way of writing names says."""
    name = _without_own_prefix(provider, name)
    if provider == "aws":
        return _at_bedrock(name)
    if _OWN.match(name):
        return _own_name(name)
    if provider == "google" and (path := _PUBLISHER.fullmatch(name)):
        return Route(path[2], provider, path[1] or "")
    if provider == "azure" and (deployed := _AZURE_REGIONS.match(name)):
        return Route(name[deployed.end() :], provider, deployed[1].removesuffix("-standard"))
    return Route(name, provider)


def _at_bedrock(name: str) -> Route | str:
    name = _BEDROCK_APIS.sub("", name)
    if name.startswith(_CLAUDE_PLATFORM):
        return Route(name.removeprefix(_CLAUDE_PLATFORM), "anthropic")
    region = ""
    if arn := _ARN.fullmatch(name):
        region, kind, name = arn[1] or "", arn[2], arn[3]
        if kind not in ("foundation-model", "inference-profile"):
            return _own_name(f"{kind}/{name}")
    elif inside := re.match(rf"({_AWS_REGION})/", name):
        name, region = name[inside.end() :], inside[1]
    if region.startswith("us-gov-"):
        region = "us-gov"  # both have the same prices, as a profile that spans them
    # A profile's name says where the call is billed; a region before it only from where it was made.
    if model_id := _BEDROCK_ID.fullmatch(name):
        region, name = model_id[1] or region, model_id[2]
    return Route(name, "aws", region)


def _without_own_prefix(provider: str, name: str) -> str:
    """The name without a prefix that says its provider, unless the list knows it only with the prefix."""
    prefixed = _PREFIX.fullmatch(name)
    if not prefixed or prefixed[1] in _PATHS or provider_id(prefixed[1]) != provider:
        return name
    rest = prefixed[2]
    if listed.model(provider, name) and not listed.model(provider, rest):
        return name
    return _without_own_prefix(provider, rest)  # Vertex AI has Google's models as `vertex_ai/google/…`, too


def _own_name(name: str) -> str:
    return f"{name} is a name of your own: set a price for it"
