#!/usr/bin/env bash
# LiteLLM's `cost_per_token` gives fresh input away if it gets the counts that Anthropic reports.
#
# Expected: the arguments `cache_read_input_tokens` and `cache_creation_input_tokens` have the names of the fields in
#   Anthropic's answers, so those answers can be passed on: the fresh input is charged, and the cached beside it.
#   Counts that cannot be right in LiteLLM's own meaning (more tokens read from the cache than tokens in the prompt)
#   would be refused.
# Happens: `prompt_tokens` has to include both caches, Anthropic's `input_tokens` leaves them out. With Anthropic's
#   counts the fresh input costs nothing. There is no error.
#   Seen with litellm 1.110.2, claude-opus-4-8 at $5.00 and $0.50 a million, 10,000 fresh and 90,000 cached tokens:
#     total as prompt_tokens (100000): $0.095
#     Anthropic's counts (10000):      $0.045
#     nothing fresh at all (90000):    $0.045
# Matters: "input tokens" has two meanings in this field, and a library that takes the names of one and the meaning
#   of the other silently halves a cost. Counts have to be made uniform before anything is priced, and counts that
#   contradict each other have to be refused.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile litellm==1.110.2

LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/venv/bin/python" - <<'PY'
import sys

from litellm import cost_per_token


def cost(prompt_tokens):
    input_cost, _ = cost_per_token(
        model="claude-opus-4-8", prompt_tokens=prompt_tokens, cache_read_input_tokens=90_000
    )
    return round(input_cost, 9)


total, anthropic, nothing_fresh = cost(100_000), cost(10_000), cost(90_000)
print(f"total as prompt_tokens (100000): ${total}")
print(f"Anthropic's counts (10000):      ${anthropic}")
print(f"nothing fresh at all (90000):    ${nothing_fresh}")
if (total, anthropic, nothing_fresh) != (0.095, 0.045, 0.045):
    sys.exit("The behaviour has changed.")
PY
