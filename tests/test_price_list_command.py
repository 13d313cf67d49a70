"""`manage.py price_list`: what the ledger's calls would cost by other lists."""

import json
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from billing.models import CreditTransaction
from billing.prices import price_list
from billing.prices.price_list import Price
from tests.conftest import NOW
from tests.factories import usage

pytestmark = pytest.mark.usefixtures("clock")

CALL = {"costDollars": None, "model": "claude-haiku-4-5", "inputTokens": 1_000_000}


def output(*arguments: str) -> str:
    out = StringIO()
    call_command("price_list", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def litellm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a package of that name with these entries in its list."""
    package, info = tmp_path / "litellm", tmp_path / "litellm-9.8.7.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("raise ImportError('nobody needs to import it')")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 9.8.7\n")
    monkeypatch.syspath_prepend(tmp_path)

    def install(**entries: Any) -> None:
        listed = package / "model_prices_and_context_window_backup.json"
        listed.write_text(json.dumps(entries))

    yield install
    sys.path_importer_cache.clear()


@pytest.fixture
def no_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.prices.litellm_list.util.find_spec", lambda name: None)


@pytest.mark.usefixtures("no_litellm")
def test_the_list_that_priced_everything_changes_nothing(project):
    usage(project, **CALL)
    usage(project, **CALL | {"occurredAt": (NOW - timedelta(days=31)).isoformat()})
    found = output("--compare")
    assert found.splitlines() == [
        f"New usage is priced by {price_list.version()}.",
        "Calls of the last 30 days without a stated cost or an override: 1",
        "All would be priced as they are booked.",
        "The package litellm is not installed, so its list is not compared.",
    ]


@pytest.mark.usefixtures("no_litellm")
def test_models_that_another_list_prices_differently_are_named_with_the_difference(project, monkeypatch):
    usage(project, **CALL)
    usage(project, **CALL | {"model": "ours"})
    usage(project, **CALL | {"model": "stated", "costDollars": "5"})
    before = list(CreditTransaction.objects.values())
    monkeypatch.setattr(price_list, "price", lambda *args, **given: Price(3 * 10**9))
    found = output("--compare", "--project", str(project.pk))
    assert "  claude-haiku-4-5: 1 ×, $1 → $3 (+$2)\n  ours: 1 ×, $0 → $3 (+$3)\n" in found
    assert "  stated: " not in found
    assert list(CreditTransaction.objects.values()) == before


def test_litellms_list_is_read_without_importing_it(project, litellm):
    litellm(
        **{
            "claude-haiku-4-5": {
                "input_cost_per_token": 1e-06,
                "input_cost_per_token_above_200k_tokens": 2e-06,
            },
            "gpt-5.1": {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05},
        }
    )
    usage(project, **CALL)
    usage(project, **CALL | {"inputTokens": 1_000})
    usage(project, **CALL | {"model": "openai/gpt-5.1", "inputTokens": 1_000, "outputTokens": 7})
    usage(project, **CALL | {"model": "gpt-5.1", "serviceTier": "flex"})
    found = output("--compare")
    assert "LiteLLM 9.8.7 knows 3 of them, and prices these by more than 1 % differently:" in found
    assert "  claude-haiku-4-5: 2 ×, $1.001 → $2.001 (+$1)\n" in found
    assert "gpt-5.1" not in found


def test_litellms_caches_and_equal_prices(project, litellm):
    litellm(
        **{
            "claude-haiku-4-5": {
                "input_cost_per_token": 1e-06,
                "output_cost_per_token": 5e-06,
                "cache_read_input_token_cost": 1e-07,
                "cache_creation_input_token_cost": 1.25e-06,
                "cache_creation_input_token_cost_above_1hr": 2e-06,
            }
        }
    )
    counts = {"cacheReadTokens": 500, "cacheWriteTokens": 900, "cacheWrite1hTokens": 400, "outputTokens": 70}
    usage(project, **CALL | {"inputTokens": 1_000} | counts)
    assert "LiteLLM 9.8.7 knows 1 of them, and prices them the same, to 1 %." in output("--compare")


def test_without_compare_only_the_list_is_named(project):
    usage(project, **CALL)
    assert output() == f"New usage is priced by {price_list.version()}.\n"
