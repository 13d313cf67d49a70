#!/usr/bin/env bash
# genai-prices gives a longer, unknown Claude name the price of the model whose name it begins with.
#
# Expected: a name that the list does not have raises LookupError, as `gpt-5.1-made-up` does.
# Happens: Claude models match by the beginning of the name, GPT-5.1 by the whole name. So a reseller's
#   `claude-opus-4-6-fast` costs what the ordinary model costs, without a warning, although the same list has
#   that very model at OpenRouter for six times as much. A made-up ending is priced too.
#   Seen with genai-prices 0.2.3, a million tokens in and a million out:
#     claude-opus-4-6 at anthropic                 30.00 as claude-opus-4-6
#     claude-opus-4-6-fast at anthropic            30.00 as claude-opus-4-6
#     claude-opus-4-6-made-up at anthropic         30.00 as claude-opus-4-6
#     anthropic/claude-opus-4.6-fast at openrouter 180.0 as anthropic/claude-opus-4.6-fast
#     gpt-5.1-made-up at openai                    LookupError
# Matters: usage without a known price should be shown as unpriced. A price found by prefix looks as sure as any
#   other and can be six times too low, so the name that matched has to be checked before its price is used.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet genai-prices==0.2.3

"$folder/venv/bin/python" -W error - <<'PY'
import sys

from genai_prices import Usage, calc_price

usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
expected = {
    ("claude-opus-4-6", "anthropic"): "30.00 as claude-opus-4-6",
    ("claude-opus-4-6-fast", "anthropic"): "30.00 as claude-opus-4-6",
    ("claude-opus-4-6-made-up", "anthropic"): "30.00 as claude-opus-4-6",
    ("anthropic/claude-opus-4.6-fast", "openrouter"): "180.0 as anthropic/claude-opus-4.6-fast",
    ("gpt-5.1-made-up", "openai"): "LookupError",
}
seen = {}
for model, provider in expected:
    try:
        price = calc_price(usage, model, provider_id=provider)
    except LookupError:
        seen[model, provider] = "LookupError"
    else:
        seen[model, provider] = f"{price.total_price} as {price.model.id}"
    print(f"{model + ' at ' + provider:<45}{seen[model, provider]}")
if seen != expected:
    sys.exit("The behaviour has changed.")
PY
