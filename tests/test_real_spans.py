"""Real spans of libraries and agents, beside what the provider charged for the calls.

The data are not part of the product; where they are absent these tests say so.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from billing.events.usage_event import DEDUCTION
from billing.ledger.traces import record
from billing.models import CreditTransaction
from billing.money import dollars
from billing.sources import otlp
from billing.sources.otlp.unknown_usage import NotUnderstood
from tests.otlp import from_json
from tests.span_calls import Call, calls, events, read
from tests.test_real_data import DATA, same_cost

pytestmark = pytest.mark.once


@pytest.fixture
def shared() -> Path:
    if not DATA.is_dir():
        pytest.skip(f"{DATA.parent.name}/{DATA.name} beside the project is missing: it is not distributed")
    return DATA


def items_in(path: Path) -> Iterator[Any]:
    text = path.read_text()
    documents = [text] if path.suffix == ".json" else text.splitlines()
    for document in documents:
        yield from read(from_json(document.encode()), datetime(2026, 11, 30, tzinfo=UTC))


SONNET, MINI, GPT_5 = "claude-sonnet-4-5-20250929", "gpt-4o-mini-2024-07-18", "gpt-5-mini-2025-08-07"
EMBEDDING = "text-embedding-3-small"
LIBRARIES: dict[str, list[Call]] = {
    "ai_sdk_v6_openai_all_lost": [
        Call(GPT_5, 1802, 1017, 0, 0, 267, agent="answer-question"),
        Call(GPT_5, 1808, 1018, 0, 0, 268, agent="answer-question"),
        Call(EMBEDDING, 625, agent="answer-question"),
    ],
    "anthropic_native_1h_writes": [Call(SONNET, 301, 3001, 701, 701, 61)],
    "anthropic_sdk_native_plus_openinference_nested": [Call(SONNET, 333, 3033, 733, 0, 93)] * 2,
    "anthropic_sdk_native_plus_openllmetry_two_traces": [Call(SONNET, 400, 3100, 800, 0, 160)] * 2,
    "langfuse5_openai_all_lost": [
        Call(MINI, 2010, 635, 0, 0, 335),
        Call(GPT_5, 2522, 1137, 0, 0, 387),
        Call(EMBEDDING, 739),
    ],
    "litellm_otel_cache_and_cost_ignored": [Call(SONNET, 555, 3255, 955, 0, 315), Call(EMBEDDING, 757)],
    "logfire_pydantic_ai_plus_openai_nested": [
        Call(MINI, 1680, 580, 0, 0, 280, agent="Weather Man"),
        Call(MINI, 1686, 581, 0, 0, 281, agent="Weather Man"),
    ]
    * 2,
    "mlflow3_anthropic_all_lost": [
        Call("claude-sonnet-4-5", 611, 3311, 1011, 0, 371),
        Call("claude-sonnet-4-5", 5314, 714, 414, 0, 374),
    ],
    "openinference_agent_span_without_agent_name": [
        Call(MINI, 852, 442, 0, 0, 142, agent="weather_agent"),
        Call(MINI, 858, 443, 0, 0, 143, agent="weather_agent"),
    ],
    "openinference_langchain_plus_openai_two_traces": [Call(MINI, 864, 444, 0, 0, 144)] * 2,
    "openinference_litellm_plus_openai_nested": [
        Call(MINI, 972, 462, 0, 0, 162),
        Call(EMBEDDING, 566),
        Call("openai/gpt-4o-mini", 972, 462, 0, 0, 162, dollars=0.00027765),
        Call(EMBEDDING, 566, dollars=0.00001132),
    ],
    "openlit_anthropic_input_excludes_cache": [
        Call(SONNET, 569, 3269, 969, 0, 329),
        Call(SONNET, 5272, 672, 372, 0, 332),
    ],
    # The library writes 0 for the 813 tokens that were written to the cache.
    "openllmetry_langchain_anthropic_cache_creation_zero": [Call(SONNET, 413 + 813, 3113, 0, 0, 173)],
    "pydantic_ai_plus_anthropic_native_nested": [
        Call(SONNET, 446, 3146, 846, 0, 206, agent="Weather anthropic"),
        Call(SONNET, 447, 3147, 847, 0, 207, agent="Weather anthropic"),
    ]
    * 2,
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_real_spans_of_libraries_are_read_right(shared, name):
    items = list(items_in(shared / "otel_libraries" / f"{name}.json"))
    assert calls(items) == LIBRARIES[name]
    assert not [item for item in items if isinstance(item, NotUnderstood)]


def test_no_library_is_left_out(shared):
    assert {path.stem for path in (shared / "otel_libraries").glob("*.json")} == set(LIBRARIES)


CASES: dict[str, list[Call]] = {
    "31-openinference-bedrock-total": [Call(SONNET, 3, 7917, 350, 0, 442)],
    "32-openinference-bedrock-total-large-input": [Call(SONNET, 9000, 6000, 500, 0, 300)],
    "33-otel-langfuse-cache-names": [Call("claude-sonnet-4-5", 3000, 9000, 1000, 0, 500)],
    "34-otel-pydantic-ai-details": [Call("claude-sonnet-4-5", 5, 128955, 1253, 0, 500)],
    "35-otel-claude-code-spans": [Call("claude-sonnet-4-6", 10, 50000, 2000, 0, 400, agent="main")],
    # Two spans of one call, which the ledger joins.
    "36-otel-nested-model-calls": [
        Call(SONNET, 12000, output=400),
        Call(SONNET, 2000, 10000, 0, 0, 400),
    ],
    "38-otel-gemini-thoughts-in-total-only": [Call("gemini-2.5-pro", 7500, output=4000)],
    "39-otel-reasoning-is-part": [Call("gpt-5.1", 22000, output=2000)],
    "40-otel-flex-tier": [Call("gpt-5.4", 100_000, output=10_000)] * 2,
    "41-otel-ai-sdk-string-counts": [Call("gpt-5.1-2025-11-13", 2000, 20000, 0, 0, 2000)],
    "42-otel-audio-tokens": [Call("gpt-4o-audio-preview", 1100, output=1100)],
    "43-otel-openinference-cache": [Call("claude-haiku-4-5", 200, 10000, 300, 0, 100)],
    "44-otel-retry-and-empty": [Call("gpt-5.1", 1000, output=100)] * 2,  # the same span twice
}


@pytest.mark.parametrize("name", CASES)
def test_reported_cases_are_read_right(shared, name):
    files = sorted((shared / "bug_cases" / name / "input").glob("*.json"))
    assert [call for file in files for call in calls(list(items_in(file)))] == CASES[name]


FACTORS = {"40-otel-flex-tier", "42-otel-audio-tokens"}
"""Cases whose price depends on more than the spans' token counts."""


@pytest.mark.parametrize(
    "name", [name for name in CASES if name not in FACTORS | {"36-otel-nested-model-calls"}]
)
def test_reported_cases_cost_what_the_provider_charges(shared, project, clock, name):
    clock.move_to(datetime(2026, 11, 30, tzinfo=UTC))
    case = shared / "bug_cases" / name
    for file in sorted((case / "input").glob("*.json")):
        record(project, list(items_in(file)))
    answer = json.loads((case / "expected.json").read_text())
    rows = CreditTransaction.objects.filter(project=project)
    assert rows.count() == answer["rows"]
    assert dollars(sum(row.amount_nanos for row in rows)) == same_cost(answer["dollars"])


def test_real_spans_of_claude_code_have_the_runs_and_jobs_of_its_logs(shared):
    folder = shared / "real_agents" / "claude-code-2.1.332"
    billed = {row["requestId"]: row for row in map(json.loads, (folder / "billed.jsonl").open())}
    recorded = events(items_in(folder / "otlp-traces.jsonl"))
    deductions = [event for event in recorded if event.kind == DEDUCTION]
    assert (len(recorded), len(deductions)) == (32, 31)
    for event in deductions:
        row = billed[event.call_ids[0]]
        usage = row["usage"]
        assert (event.run_id, event.job_id) == (row["session"], row["agentId"] or "main")
        assert msgspec.structs.astuple(event.tokens) == (
            usage["input_tokens"],
            usage["cache_read_input_tokens"],
            usage["cache_creation_input_tokens"],
            0,  # which the spans don't say
            usage["output_tokens"],
        )


@pytest.mark.parametrize("agent", ["copilot", "qwen"])
def test_real_spans_of_other_agents_are_read_right(shared, agent):
    folder = shared / "real_agents" / agent
    expected = json.loads((folder / "expected.json").read_text())["events"]
    recorded = {event.call_ids[0]: event for event in events(items_in(folder / "otlp-traces.json"))}
    assert len(recorded) == len(expected)
    for row in expected:
        event = recorded[row["eventId"].partition(":")[2]]
        assert (event.run_id, event.model) == (row["runId"], row["model"])
        assert (event.tokens.cache_read, event.tokens.output) == (row["cacheReadTokens"], row["outputTokens"])
        # Qwen's logs have the cache writes in the input; its spans have them apart.
        uncached = event.tokens.input + event.tokens.cache_write
        assert uncached == row["inputTokens"] + row["cacheWriteTokens"]


def test_spans_that_leave_tokens_out_are_named_and_not_recorded(shared):
    for path in ("gemini/otlp-traces.json", "codex-0.171.0/otlp-traces-token-spans.jsonl"):
        items = list(items_in(shared / "real_agents" / path))
        assert calls(items) == []
        assert {type(item) for item in items} == {otlp.Found, NotUnderstood}
