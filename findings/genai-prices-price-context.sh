#!/usr/bin/env bash
# genai-prices ignores a price context that it cannot apply, and answers with the standard price.
#
# Expected: asking for a service tier or speed that the list has no price for raises an error or warns, as an
#   unknown model (LookupError) and an unknown usage key (UserWarning) do.
# Happens: an unknown value, an unknown key, and a known key that the model's entry lacks all give the standard
#   price, without a warning. `speed=fast` doubles the price of Claude Opus 4.8 and does nothing for Claude Opus
#   4.6, although the same list has a price for its fast mode at OpenRouter.
#   Seen with genai-prices 0.2.3, a million tokens in and a million out:
#     gpt-5.1          (none)               11.25
#     gpt-5.1          service_tier=flex    5.625
#     gpt-5.1          service_tier=flx     11.25
#     gpt-5.1          servicetier=flex     11.25
#     claude-opus-4-8  (none)               30
#     claude-opus-4-8  speed=fast           60
#     claude-opus-4-6  speed=fast           30
# Matters: a spelling mistake or a missing entry makes the cost of a call several times too high or too low. The
#   caller has to know beforehand which tiers the list has for a model.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet genai-prices==0.2.3

"$folder/venv/bin/python" -W error - <<'PY'
import sys
from decimal import Decimal

from genai_prices import Usage, calc_price

usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
cases = [
    ("gpt-5.1", "openai", None, "11.25"),
    ("gpt-5.1", "openai", {"service_tier": "flex"}, "5.625"),
    ("gpt-5.1", "openai", {"service_tier": "flx"}, "11.25"),
    ("gpt-5.1", "openai", {"servicetier": "flex"}, "11.25"),
    ("claude-opus-4-8", "anthropic", None, "30"),
    ("claude-opus-4-8", "anthropic", {"speed": "fast"}, "60"),
    ("claude-opus-4-6", "anthropic", {"speed": "fast"}, "30"),
]
changed = False
for model, provider, context, expected in cases:
    price = calc_price(usage, model, provider_id=provider, price_context=context).total_price
    asked = ", ".join(f"{key}={value}" for key, value in context.items()) if context else "(none)"
    print(f"{model:<16} {asked:<20} {price.normalize():f}")
    changed = changed or price != Decimal(expected)
if changed:
    sys.exit("The behaviour has changed.")
PY
