#!/usr/bin/env bash
# genai-prices prices a service tier only from the day on which its authors read the provider's page.
#
# Expected: a call of October at the flex tier is priced as one of November is, for the tier is older; and a model that
#   a provider takes from another one keeps its tiers.
# Happens: before 12 October 2026 the tier is taken at the standard price, without a word. So is it at any time for a
#   model that the list finds through another provider, such as OpenAI's models on Azure.
#   Seen with genai-prices 0.2.3 on Python 3.11, a million input tokens of gpt-5.1:
#     openai, November, standard: 1.25
#     openai, November, flex: 0.625
#     openai, October, flex: 1.25
#     azure, November, flex: 1.25
# Matters: usage imported from older logs costs twice what was billed for flex, and half for priority.
# Date: 2026-11-29. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check genai-prices==0.2.3

cat > "$folder/ask.py" <<'PY'
from datetime import UTC, datetime

from genai_prices import Usage, calc_price

USAGE = Usage(input_tokens=1_000_000)


def dollars(month, provider, **context):
    at = datetime(2026, month, 1, tzinfo=UTC)
    found = calc_price(
        USAGE, "gpt-5.1", provider_id=provider, genai_request_timestamp=at, price_context=context or None
    )
    return str(found.total_price.normalize())


print("openai, November, standard:", dollars(11, "openai"))
print("openai, November, flex:", dollars(11, "openai", service_tier="flex"))
print("openai, October, flex:", dollars(10, "openai", service_tier="flex"))
print("azure, November, flex:", dollars(11, "azure", service_tier="flex"))
PY
"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
openai, November, standard: 1.25
openai, November, flex: 0.625
openai, October, flex: 1.25
azure, November, flex: 1.25
SEEN
echo "As described."
