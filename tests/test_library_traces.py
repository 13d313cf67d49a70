"""Traces of real libraries, some instrumented twice, leave one deduction for each call that was billed."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from billing import verification
from billing.models import CreditTransaction
from products import tokens
from products.models import Project

LIBRARIES = Path(__file__).resolve().parents[2] / "shared" / "data" / "otel_libraries"
Call = tuple[int, int, int, int]
"""Uncached input, cache reads, cache writes and output, as billed."""

BILLED: dict[str, tuple[list[Call], str]] = {
    "ai_sdk_v6_openai_all_lost": (
        [(625, 0, 0, 0), (1802, 1017, 0, 267), (1808, 1018, 0, 268)],
        "answer-question",
    ),
    "anthropic_native_1h_writes": ([(301, 3001, 701, 61)], "other"),
    "anthropic_sdk_native_plus_openinference_nested": ([(333, 3033, 733, 93)], "other"),
    "anthropic_sdk_native_plus_openllmetry_two_traces": ([(400, 3100, 800, 160)], "other"),
    "langfuse5_openai_all_lost": (
        [(739, 0, 0, 0), (2010, 635, 0, 335), (2522, 1137, 0, 387)],
        "other",
    ),
    "litellm_otel_cache_and_cost_ignored": ([(555, 3255, 955, 315), (757, 0, 0, 0)], "other"),
    "logfire_pydantic_ai_plus_openai_nested": (
        [(1680, 580, 0, 280), (1686, 581, 0, 281)],
        "Weather Man",
    ),
    "mlflow3_anthropic_all_lost": ([(611, 3311, 1011, 371), (5314, 714, 414, 374)], "other"),
    "openinference_agent_span_without_agent_name": (
        [(852, 442, 0, 142), (858, 443, 0, 143)],
        "weather_agent",
    ),
    "openinference_litellm_plus_openai_nested": ([(566, 0, 0, 0), (972, 462, 0, 162)], "other"),
    "openlit_anthropic_input_excludes_cache": (
        [(569, 3269, 969, 329), (5272, 672, 372, 332)],
        "other",
    ),
    # The library itself writes 0 for the 813 tokens that were written to the cache.
    "openllmetry_langchain_anthropic_cache_creation_zero": ([(1226, 3113, 0, 173)], "other"),
    "pydantic_ai_plus_anthropic_native_nested": (
        [(446, 3146, 846, 206), (447, 3147, 847, 207)],
        "Weather anthropic",
    ),
}

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not LIBRARIES.exists(), reason="the traces are kept outside the product"),
]


def spans_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The request split into one for each span, the last first: children before their parents and after."""
    return [
        {"resourceSpans": [{**resource, "scopeSpans": [{**scope, "spans": [span]}]}]}
        for resource in body["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def post(project: Project, bodies: list[dict[str, Any]]) -> None:
    _, token = tokens.issue(project.owner, project=project, scope="ingest")
    for body in bodies:
        response = Client().post(
            "/v1/traces", json.dumps(body), "application/json", headers={"Authorization": f"Bearer {token}"}
        )
        assert response.status_code == 200


def booked(project: Project) -> tuple[list[Call], set[str]]:
    lines = CreditTransaction.objects.deductions().filter(project=project)
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    types = lines.values_list("job__agent_type__slug", flat=True)
    with verification.snapshot():
        assert list(verification.differences(project)) == []
    return sorted(lines.values_list(*counts)), set(types)


@pytest.mark.parametrize("name", BILLED)
def test_each_call_is_booked_once_in_whatever_order_its_spans_arrive(name: str, project: Project) -> None:
    body = json.loads((LIBRARIES / f"{name}.json").read_text())
    apart = spans_of(body)
    calls, agent = BILLED[name]
    for order in ([body], apart, apart[::-1]):
        product = Project.objects.create(name="one order", owner=project.owner)
        post(product, order)
        assert booked(product) == (calls, {agent})
