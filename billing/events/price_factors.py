"""What an event reports besides its model and tokens that changes its price. Pure."""

from collections.abc import Iterator

import msgspec

FACTOR_LENGTH = 60

# Words for what every call gets unless it asks for more or less.
_STANDARD = frozenset({"", "standard", "default", "auto", "on_demand", "normal", "not_available"})
_BATCH = frozenset({"batch", "batches"})


class PriceFactors(
    msgspec.Struct, frozen=True, order=True, kw_only=True, gc=False, omit_defaults=True, rename="camel"
):
    """In normal form: "", False and 0 mean "standard" or "none", and "not reported"."""

    speed: str = ""
    """Such as `fast`."""
    service_tier: str = ""
    """Such as `flex` or `priority`."""
    region: str = ""
    """Where the provider had to run the model, such as `us`."""
    batch: bool = False
    """Whether the call was one of a batch that the provider answers later."""
    web_searches: int = 0
    web_fetches: int = 0
    audio_input_tokens: int = 0
    """Part of the uncached input tokens."""
    audio_output_tokens: int = 0
    """Part of the output tokens."""
    provider: str = ""
    """Who was called, as telemetry says: it decides between the prices of one name."""

    @property
    def text(self) -> str:
        """As the ledger stores them: JSON without what is standard; "" if everything is."""
        return "" if self == NO_FACTORS else msgspec.json.encode(self).decode()

    @property
    def count(self) -> int:
        """How many of them are not standard. The provider is none."""
        names = (name for name in self.__struct_fields__ if name != "provider")
        return sum(getattr(self, name) != getattr(NO_FACTORS, name) for name in names)


NO_FACTORS = PriceFactors()


def from_text(text: str) -> PriceFactors:
    """What `PriceFactors.text` stored."""
    return msgspec.json.decode(text, type=PriceFactors) if text else NO_FACTORS


_WORDS = {"speed": "speed", "serviceTier": "service_tier", "region": "region"}
"""The factors whose value is a word, as they are written, and their fields."""
_IS_BATCH = "batch=batch"


def words(factors: PriceFactors) -> Iterator[str]:
    """The factors that change the price of all tokens: `speed=fast`, `batch=batch`."""
    for name, field in _WORDS.items():
        if value := getattr(factors, field):
            yield f"{name}={value}"
    if factors.batch:
        yield _IS_BATCH


def less(factors: PriceFactors, written: str) -> PriceFactors:
    """The factors without one of their `words`."""
    name = written.partition("=")[0]
    if name in _WORDS:
        return msgspec.structs.replace(factors, **{_WORDS[name]: ""})
    return msgspec.structs.replace(factors, batch=False) if written else factors


def from_words(written: str) -> PriceFactors:
    """The factor that a person writes: `serviceTier=priority`, `batch`. Raises ValueError with what to do."""
    name, _, value = (part.strip() for part in written.partition("="))
    factors = normal(
        batch=name == "batch" and value in ("", "batch", "true"),
        speed=word(value) if name == "speed" else "",
        service_tier=word(value) if name == "serviceTier" else "",
        region=word(value) if name == "region" else "",
    )
    if factors == NO_FACTORS:
        raise ValueError("Write one factor that isn't standard: speed=…, serviceTier=…, region=… or batch.")
    return factors


def word(value: object) -> str:
    """What a provider or gateway calls a factor; "" for what can be no such name."""
    return value if isinstance(value, str) and len(value) <= FACTOR_LENGTH and value.isprintable() else ""


def normal(
    *,
    speed: str = "",
    service_tier: str = "",
    region: str = "",
    batch: bool = False,
    web_searches: int = 0,
    web_fetches: int = 0,
    audio_input_tokens: int = 0,
    audio_output_tokens: int = 0,
    provider: str = "",
) -> PriceFactors:
    """Factors in normal form, from what providers and gateways write."""
    speed, tier, region = (word.strip().lower() for word in (speed, service_tier, region))
    factors = PriceFactors(
        speed="" if speed in _STANDARD else speed,
        service_tier="" if tier in _STANDARD or tier in _BATCH else tier,
        region="" if region in _STANDARD or region == "global" else region,
        batch=batch or tier in _BATCH,
        web_searches=web_searches,
        web_fetches=web_fetches,
        audio_input_tokens=audio_input_tokens,
        audio_output_tokens=audio_output_tokens,
        provider=provider.strip().lower(),
    )
    return NO_FACTORS if factors == NO_FACTORS else factors
