"""Compare what the price list says of LiteLLM's model names with LiteLLM's own prices.

`python -m tests.benchmarks.price_names model_prices_and_context_window_backup.json`; LiteLLM's wheel has the
file. A difference is not yet a mistake: whose price is right, only the provider's own page says. Counted as
`factor` are names that say a region or speed for which the listed price is still to be multiplied.
"""

import json
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai_prices import Usage

from billing.prices.model_names import Match, find

_TOKENS = 10_000
_MODES = {"chat", "completion", "embedding", "responses"}
_PROVIDERS = {
    "anthropic": "Anthropic",
    "openai": "OpenAI",
    "text-completion-openai": "OpenAI",
    "gemini": "Gemini",
    "xai": "xAI",
}
_FAMILIES = {"bedrock": "Bedrock", "azure": "Azure", "vertex_ai": "Vertex"}
_REGIONAL = Decimal("1.1")


def main(path: str) -> None:
    """Print a table by provider, the reasons, and every difference above one percent."""
    now = datetime.now(UTC)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, list[str]] = defaultdict(list)
    differences: list[str] = []
    for name, entry in json.loads(Path(path).read_text(), parse_float=Decimal).items():
        if entry.get("mode") not in _MODES or not entry.get("input_cost_per_token"):
            continue
        theirs = _TOKENS * (
            Decimal(entry["input_cost_per_token"]) + Decimal(entry.get("output_cost_per_token") or 0)
        )
        result, detail = _compare(name, theirs, bool(entry.get("output_cost_per_token")), now)
        provider = _provider(entry["litellm_provider"])
        counts[provider][result] += 1
        if result == "unpriced":
            reasons[provider].append(f"{name}: {detail}")
        elif result in ("differ", "factor"):
            differences.append(f"{provider}: {name}: {detail}")
    _print_table(counts)
    for provider, lines in sorted(reasons.items()):
        if provider != "others":
            print(f"\n{provider}, unpriced", *lines, sep="\n  ")
    print("\nMore than 1 % apart", *differences, sep="\n  ")


def _provider(litellm: str) -> str:
    family = next((title for start, title in _FAMILIES.items() if litellm.startswith(start)), "others")
    return _PROVIDERS.get(litellm, family)


def _compare(name: str, theirs: Decimal, has_output: bool, at: datetime) -> tuple[str, str]:
    found = find(name)
    if not isinstance(found, Match):
        return "unpriced", found.reason
    usage = Usage(input_tokens=_TOKENS, output_tokens=_TOKENS if has_output else 0)
    try:
        ours = found.model.calc_price(usage, found.provider, genai_request_timestamp=at).total_price
    except (LookupError, ValueError) as problem:
        return "unpriced", str(problem)
    if _equal(ours, theirs):
        return "equal", ""
    region = "" if found.region_priced else found.reading.region
    if region and _equal(ours * _REGIONAL, theirs):
        return "equal", ""
    said = ", ".join(filter(None, [region, found.reading.speed, "free" if found.reading.free else ""]))
    model = f"{found.provider.id} {found.model.id}" + (f" ({said})" if said else "")
    return (
        "factor" if said else "differ",
        f"listed {ours}, LiteLLM {theirs:f}, {theirs / ours if ours else 0:.2f} times; {model}",
    )


def _equal(ours: Decimal, theirs: Decimal) -> bool:
    return abs(ours - theirs) <= theirs / 100


def _print_table(counts: dict[str, Counter[Any]]) -> None:
    columns = ("equal", "factor", "differ", "unpriced")
    print(f"{'provider':<12}{'names':>8}", *(f"{column:>8}" for column in columns), sep=" ")
    for provider in sorted(counts, key=lambda provider: (provider == "others", provider)):
        found = counts[provider]
        print(f"{provider:<12}{found.total():>8}", *(f"{found[column]:>8}" for column in columns), sep=" ")


if __name__ == "__main__":
    main(sys.argv[1])
