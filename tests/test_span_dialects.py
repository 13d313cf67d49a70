"""OpenTelemetry spans in the dialects of SDKs, instrumentations and agents: what is read from each."""

import json
import time
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue

from billing.sources import otlp
from billing.sources.otlp.read_attributes import READ
from billing.sources.otlp.unknown_usage import NotUnderstood, looks_like_usage
from tests.otlp import SUMS, any_value, as_json, chat, event_id, from_json, request, span, trace_id
from tests.span_calls import Call, calls, only, read

pytestmark = pytest.mark.once


class Sample(NamedTuple):
    attributes: dict[str, Any]
    call: Call
    name: str = "a span"
    scope: str = ""


AI_SDK = {
    "operation.name": "ai.streamText.doStream answer-question",
    "ai.operationId": "ai.streamText.doStream",
    "gen_ai.request.model": "gpt-5",
    "ai.response.model": "gpt-5-mini",
    "ai.usage.inputTokenDetails.cacheReadTokens": 60,
    "ai.usage.inputTokenDetails.cacheWriteTokens": 30,
    "ai.usage.cachedInputTokens": 60,
    "gen_ai.usage.input_tokens": "100",
    "gen_ai.usage.output_tokens": "5",
}
LANGFUSE = {"langfuse.observation.type": "generation", "langfuse.observation.model.name": "m"}
MLFLOW = {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"m"'}
LITELLM = {
    "gen_ai.operation.name": "acompletion",
    "gen_ai.response.model": "m",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 5,
}
PYTHON_USAGE = (
    "{'completion_tokens': 5, 'prompt_tokens': 100, 'total_tokens': 105, 'prompt_tokens_details': "
    "{'audio_tokens': None, 'cached_tokens': 60, 'cache_creation_tokens': 30, "
    "'cache_creation_token_details': {'ephemeral_5m_input_tokens': 10, 'ephemeral_1h_input_tokens': 20}}}"
)
CHAT_M = {"gen_ai.operation.name": "chat", "gen_ai.response.model": "m", "gen_ai.usage.output_tokens": 5}
CHAT_100 = {**CHAT_M, "gen_ai.usage.input_tokens": 100}
OPENLIT = {**CHAT_M, "gen_ai.usage.input_tokens": 100, "gen_ai.usage.cost": 0}
GEMINI = {**OPENLIT, "gen_ai.response.model": "gemini-2.5-pro", "gen_ai.usage.reasoning_tokens": 40}
CLAUDE_CODE = {
    "span.type": "llm_request",
    "gen_ai.request.model": "m",
    "input_tokens": 10,
    "output_tokens": 5,
    "cache_read_tokens": 60,
    "cache_creation_tokens": 30,
}
CACHED = Call("m", 10, 60, 30, 0, 5)
ALL_1H = Call("m", 10, 60, 30, 30, 5)


def langfuse(**usage: Any) -> dict[str, Any]:
    return {**LANGFUSE, "langfuse.observation.usage_details": json.dumps(usage)}


def mlflow(**usage: Any) -> dict[str, Any]:
    return {**MLFLOW, "mlflow.chat.tokenUsage": json.dumps(usage)}


SAMPLES: dict[str, Sample] = {
    "GenAI with one-hour cache writes": Sample(
        {
            **CHAT_M,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_write.input_tokens": 30,
            "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 30,
        },
        ALL_1H,
    ),
    "older pydantic-ai": Sample(
        {
            **CHAT_M,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.details.cache_read_tokens": 60,
            "gen_ai.usage.details.cache_write_tokens": 30,
            "operation.cost": 0.25,
        },
        CACHED._replace(dollars=0.25),
    ),
    "names of Langfuse on a GenAI span": Sample(
        {
            **CHAT_M,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.input_cached_tokens": 60,
            "gen_ai.usage.input_cache_creation": 30,
        },
        CACHED,
    ),
    "a total that has the caches beside the input": Sample(
        {
            **CHAT_M,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.total_tokens": 165,
        },
        Call("m", 100, 60, 0, 0, 5),
    ),
    "a zero under the first name": Sample(
        {
            **CHAT_M,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.cache_read.input_tokens": 0,
            "gen_ai.usage.details.cache_read_tokens": 60,
        },
        Call("m", 40, 60, 0, 0, 5),
    ),
    "an embedding in the singular": Sample(
        {
            "gen_ai.operation.name": "embedding",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 7,
        },
        Call("m", 7),
    ),
    "AI SDK 6": Sample(
        AI_SDK, CACHED._replace(model="gpt-5-mini", agent="answer-question"), name="ai.streamText.doStream"
    ),
    "AI SDK 6, an embedding": Sample(
        {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "m", "ai.usage.tokens": 7}, Call("m", 7)
    ),
    "Langfuse, OpenAI's chat": Sample(
        langfuse(
            prompt_tokens=100,
            completion_tokens=5,
            total_tokens=105,
            prompt_tokens_details={"cached_tokens": 60, "audio_tokens": 0},
        ),
        Call("m", 40, 60, 0, 0, 5),
    ),
    "Langfuse, OpenAI's responses": Sample(
        langfuse(
            input_tokens=100, output_tokens=5, input_tokens_details={"cached_tokens": 60}, total_tokens=105
        ),
        Call("m", 40, 60, 0, 0, 5),
    ),
    "Langfuse, Anthropic's messages": Sample(
        langfuse(
            input_tokens=10,
            output_tokens=5,
            cache_read_input_tokens=6,
            cache_creation_input_tokens=3,
            cache_creation={"ephemeral_1h_input_tokens": 3},
        ),
        Call("m", 10, 6, 3, 3, 5),
    ),
    "Langfuse's own names": Sample(
        langfuse(input=10, output=4, output_reasoning=1, input_cached_tokens=6, input_cache_creation=3),
        Call("m", 10, 6, 3, 0, 5),
    ),
    "Langfuse's own names with a total": Sample(
        langfuse(input=100, output=5, output_reasoning=1, input_cached_tokens=60, total=105),
        Call("m", 40, 60, 0, 0, 5),
    ),
    "Langfuse with a cost": Sample(
        {
            **langfuse(input=10, output=5),
            "langfuse.observation.cost_details": '{"input": 0.1, "output": 0.2}',
        },
        Call("m", 10, output=5, dollars=0.3),
    ),
    "Langfuse with a total cost": Sample(
        {**langfuse(input=10), "langfuse.observation.cost_details": '{"input": 0.1, "total": 0.4}'},
        Call("m", 10, dollars=0.4),
    ),
    "MLflow 3": Sample(
        mlflow(
            input_tokens=100,
            output_tokens=5,
            total_tokens=105,
            cache_read_input_tokens=60,
            cache_creation_input_tokens=30,
            cache_creation_input_tokens_above_1hr=30,
        ),
        ALL_1H,
    ),
    "MLflow beside zeros of the GenAI conventions": Sample(
        {
            **mlflow(input_tokens=100, output_tokens=5, total_tokens=105, cache_read_input_tokens=60),
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 0,
            "gen_ai.usage.output_tokens": 0,
        },
        Call("m", 40, 60, 0, 0, 5),
    ),
    "MLflow, whose caches the GenAI conventions leave out": Sample(
        {
            **mlflow(
                input_tokens=100,
                output_tokens=5,
                total_tokens=105,
                cache_read_input_tokens=60,
                cache_creation_input_tokens=30,
                cache_creation_input_tokens_above_1hr=20,
            ),
            **SUMS,
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 5,
        },
        Call("m", 10, 60, 30, 20, 5),
    ),
    "Langfuse, whose caches the GenAI conventions leave out": Sample(
        {**langfuse(input=10, output=5, input_cached_tokens=90, total=105), **CHAT_100},
        Call("m", 10, 90, 0, 0, 5),
    ),
    "Langfuse, whose input leaves out the caches as that of the GenAI conventions does": Sample(
        {**langfuse(input=100, output=5, input_cached_tokens=60), **CHAT_100}, Call("m", 100, 60, 0, 0, 5)
    ),
    "Langfuse with zeros where the GenAI conventions have caches": Sample(
        {
            **langfuse(input=40, output=5, input_cached_tokens=0),
            **CHAT_100,
            "gen_ai.usage.cache_read.input_tokens": 60,
        },
        Call("m", 40, 60, 0, 0, 5),
    ),
    "the output as an object only": Sample(
        {**langfuse(prompt_tokens=100, completion_tokens=5), "gen_ai.usage.input_tokens": 100},
        Call("m", 100, output=5),
    ),
    "LiteLLM": Sample(
        {**LITELLM, "metadata.usage_object": PYTHON_USAGE, "gen_ai.cost.total_cost": 0.01094775},
        Call("m", 10, 60, 30, 20, 5, dollars=0.01094775),
        name="litellm_request",
        scope="litellm",
    ),
    "LiteLLM without the model's price": Sample(
        {**LITELLM, "gen_ai.cost.total_cost": 0.0}, Call("m", 100, output=5)
    ),
    "LiteLLM with a text that an exporter has cut": Sample(
        {**LITELLM, "metadata.usage_object": PYTHON_USAGE.partition("0, 'cache_creation_tokens'")[0]},
        Call("m", 100, output=5),
    ),
    "OpenLIT, Anthropic": Sample(
        {**OPENLIT, "gen_ai.usage.cache_read.input_tokens": 60},
        Call("m", 100, 60, 0, 0, 5),
        scope="openlit.instrumentation.anthropic",
    ),
    "OpenLIT, OpenAI": Sample(
        {**OPENLIT, "gen_ai.usage.cache_read.input_tokens": 60},
        Call("m", 40, 60, 0, 0, 5),
        scope="openlit.instrumentation.openai",
    ),
    "OpenLIT, Gemini": Sample(
        {**GEMINI, "gen_ai.usage.total_tokens": 105},
        Call("gemini-2.5-pro", 100, output=45),
        scope="openlit.instrumentation.google_ai_studio",
    ),
    "Gemini by another instrumentation": Sample(GEMINI, Call("gemini-2.5-pro", 100, output=5)),
    "Gemini with thinking in the total only": Sample(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gemini-2.5-pro",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 5,
            "llm.token_count.total": 145,
        },
        Call("gemini-2.5-pro", 100, output=45),
    ),
    "OpenInference, Bedrock": Sample(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "m",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 5,
            "llm.token_count.prompt_details.cache_read": 60,
        },
        Call("m", 100, 60, 0, 0, 5),
        scope="openinference.instrumentation.bedrock",
    ),
    "OpenInference, Bedrock with a total": Sample(
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "m",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 5,
            "llm.token_count.total": 105,
            "llm.token_count.prompt_details.cache_read": 60,
        },
        Call("m", 40, 60, 0, 0, 5),
        scope="openinference.instrumentation.bedrock",
    ),
    "Qwen Code with Gemini": Sample(
        {
            **GEMINI,
            "gen_ai.operation.name": "generate_content",
            "gen_ai.usage.reasoning_tokens": 0,
            "thoughts_token_count": 40,
            "subagent_name": "explorer",
        },
        Call("gemini-2.5-pro", 100, output=45, agent="explorer"),
        name="qwen-code.llm_request",
    ),
    "Qwen Code with another model": Sample(
        {**OPENLIT, "thoughts_token_count": 4}, Call("m", 100, output=5), name="qwen-code.llm_request"
    ),
    "Claude Code before the GenAI conventions": Sample(
        CLAUDE_CODE, CACHED._replace(agent="main"), name="claude_code.llm_request"
    ),
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_call_is_read_in_every_dialect(sample):
    wire = span(1, sample.attributes, name=sample.name)
    message = request(wire, scope=sample.scope)
    assert calls(read(message)) == [sample.call]
    assert set(sample.attributes) <= READ
    in_json = from_json(json.dumps(as_json(message)).encode())
    assert read(in_json) == read(message)


@pytest.mark.parametrize(
    "attributes",
    [
        {"ai.operationId": "ai.streamText", "ai.usage.inputTokens": 10},
        {"ai.operationId": "ai.toolCall", **SUMS},
        {"langfuse.observation.type": "agent", "langfuse.observation.usage_details": '{"input": 10}'},
        {"mlflow.spanType": '"CHAIN"', "mlflow.chat.tokenUsage": '{"input_tokens": 10}'},
        {"mlflow.trace.tokenUsage": '{"input_tokens": 10}'},
        {"span.type": "interaction", "input_tokens": 10},
        {"gen_ai.operation.name": "invoke_swarm", **SUMS},
    ],
    ids=str,
)
def test_a_span_that_repeats_the_sums_of_others_is_neither_recorded_nor_reported(attributes):
    [item] = read(request(span(1, attributes)))
    assert item.event is None


def test_spans_known_by_name_only_repeat_the_call_above_them():
    for name in ("raw_gen_ai_request", "session_task.turn"):
        assert [item.event for item in read(request(span(1, SUMS, name=name)))] == [None]


@pytest.mark.parametrize("name", sorted(READ))
def test_a_value_of_any_type_is_read_or_refused(name):
    for value in (AnyValue(), AnyValue(array_value=ArrayValue()), AnyValue(bytes_value=b"x"), any_value(-1)):
        wire = chat(1)
        wire.attributes.add(key=name, value=value)
        assert read(request(wire))


# ---- Usage objects


def test_a_usage_object_of_any_size_and_depth_takes_no_time():
    begun = time.monotonic()
    for text in ("{'a': " * 200_000, "[" * 400_000, "'a': 1" * 100_000, "'" * 500_000):
        only(span(1, {**LITELLM, "metadata.usage_object": text}))
        only(span(1, {**LANGFUSE, "langfuse.observation.usage_details": text}))
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "text", ["", "null", "[1]", "{", '{"input": "x"}', '{"input": -1}', '{"a": {"b": []}}']
)
def test_a_usage_object_without_counts_is_no_usage(text):
    assert only(span(1, {**LANGFUSE, "langfuse.observation.usage_details": text})).kind == "job"


# ---- Stated costs


@pytest.mark.parametrize(
    "name", ["gen_ai.usage.cost", "gen_ai.cost.total_cost", "operation.cost", "llm.cost.total"]
)
def test_a_stated_cost_of_0_counts_as_none_if_there_are_tokens(name):
    assert only(chat(1, {name: 0.5})).stated_nanos == 500_000_000
    assert only(chat(1, {name: 0.0})).stated_nanos is None
    assert only(span(1, {**CHAT_M, "gen_ai.usage.output_tokens": 0, name: 0.0})).stated_nanos == 0


# ---- Who called, and in which run


@pytest.mark.parametrize("name", ["session.id", "gen_ai.conversation.id", "langfuse.session.id"])
def test_the_run_is_the_session_that_the_call_names(name):
    event = only(chat(1, {name: "a session"}, parent=3))
    assert (event.run_id, event.job_id, event.run_is_trace) == ("a session", event_id(3), False)
    assert only(chat(1)).run_is_trace


def test_mlflow_writes_its_texts_as_json():
    event = only(span(1, {**mlflow(input_tokens=1), "mlflow.trace.session": '"a \\u0073ession"'}))
    assert (event.run_id, event.model) == ("a session", "m")


@pytest.mark.parametrize("session", ["", "None", 7, True])
def test_without_a_session_the_run_is_the_trace(session):
    event = only(chat(1, {"session.id": session}))
    assert (event.run_id, event.run_is_trace) == (trace_id(1), True)


@pytest.mark.parametrize("session", ["x" * 201, "a\nb", "a\0b"])
def test_a_session_that_is_no_id_of_ours_is_hashed(session):
    assert only(chat(1, {"session.id": session})).run_id.startswith("sha256:")


def claude_code(number: int, more: dict[str, Any], **options: Any) -> Any:
    return chat(
        number,
        {"span.type": "llm_request", "session.id": "a session", **more},
        name="claude_code.llm_request",
        **options,
    )


@pytest.mark.parametrize(
    ("more", "job", "agent"),
    [
        ({"query_source_safe": "sdk"}, "main", "main"),
        ({"query_source_safe": "compact"}, "main", "main"),
        ({"agent_id": "a1", "query_source_safe": "agent.builtin.Explore"}, "a1", "Explore"),
        ({"agent_id": "a1", "query_source_safe": "agent.custom"}, "a1", ""),
    ],
    ids=str,
)
def test_jobs_of_claude_code_are_those_of_its_logs(more, job, agent):
    conversation = {"gen_ai.conversation.id": more.get("agent_id", "a session")}
    event = only(claude_code(1, {**conversation, **more}, parent=3))
    assert (event.run_id, event.job_id, event.run_is_trace) == ("a session", job, False)
    assert [call.agent for call in calls(read(request(claude_code(1, more))))] == [agent]


def agents(*spans: Any, **origin: str) -> list[str]:
    return [call.agent for call in calls(read(request(*spans, **origin)))]


@pytest.mark.parametrize(
    "attributes",
    [
        {"openinference.span.kind": "AGENT"},
        {"langfuse.observation.type": "agent"},
        {"mlflow.spanType": '"AGENT"'},
    ],
    ids=str,
)
def test_an_agents_span_without_the_agents_name_has_it_as_its_own(attributes):
    assert agents(chat(1, parent=2), span(2, attributes, name="weather_agent")) == ["weather_agent"]
    assert agents(chat(1, parent=2), span(2, attributes, name="a\0b")) == ["ab"]


def test_the_service_names_only_the_main_agent_of_copilot():
    copilot = {"gen_ai.operation.name": "invoke_agent", "github.copilot.agent.type": "builtin"}
    named = span(4, {**copilot, "gen_ai.agent.name": "explore"}, parent=3)
    spans = (chat(1, parent=2), chat(3, parent=4), span(2, copilot), named)
    assert agents(*spans, service="github-copilot") == ["github-copilot", "explore"]
    assert agents(chat(1), service="a shop") == [""]


# ---- Ids and senders


@pytest.mark.parametrize(
    ("attributes", "ids", "gateway"),
    [
        ({"gen_ai.response.id": "resp_1"}, ("resp_1",), ""),
        ({"ai.response.id": "resp_1"}, ("resp_1",), ""),
        ({"gen_ai.response.id": "resp_1", "litellm.call_id": "c1"}, ("resp_1", "c1"), "c1"),
        ({"gen_ai.response.id": "c1", "litellm.call_id": "c1"}, ("c1",), "c1"),
        ({"gen_ai.response.id": "None"}, (), ""),
        ({"gen_ai.response.id": 7}, (), ""),
        ({"request_id": "of a web server"}, (), ""),
        ({}, (), ""),
    ],
    ids=str,
)
def test_a_call_has_the_ids_that_providers_and_gateways_gave(attributes, ids, gateway):
    event = only(chat(1, attributes))
    assert (event.call_ids, event.gateway_id) == (ids, gateway)


def test_an_id_that_is_too_long_is_hashed():
    [long] = only(chat(1, {"gen_ai.response.id": "x" * 513})).call_ids
    assert long.startswith("sha256:")
    assert only(chat(1, {"gen_ai.response.id": "x" * 512})).call_ids == ("x" * 512,)


def test_claude_codes_request_id_is_one_too():
    assert only(claude_code(1, {"request_id": "req_1"})).call_ids == ("req_1",)


def test_a_call_without_usage_has_no_ids():
    assert only(span(1, {"gen_ai.operation.name": "chat", "gen_ai.response.id": "resp_1"})).call_ids == ()


@pytest.mark.parametrize(
    ("scope", "sender"),
    [("", "otlp"), ("pydantic-ai", "otlp pydantic-ai"), ("a\0b", "otlp a\\x00b")],
)
def test_the_sender_is_the_instrumentation(scope, sender):
    assert only(chat(1), scope=scope).sender == sender


def test_a_long_scope_is_cut():
    assert len(only(chat(1), scope="x" * 300).sender) == 200


# ---- What is not understood


def remarks(*spans: Any, **origin: str) -> list[NotUnderstood]:
    return [item for item in read(request(*spans, **origin)) if isinstance(item, NotUnderstood)]


@pytest.mark.parametrize(
    ("attributes", "kind", "detail"),
    [
        (SUMS, "x 1.2: no model", "gen_ai.usage.input_tokens"),
        ({**SUMS, "gen_ai.request.model": "m"}, "x 1.2: no operation name", "gen_ai.usage.input_tokens"),
        (
            {**SUMS, "gen_ai.operation.name": "rerank"},
            "x 1.2: unknown gen_ai.operation.name rerank",
            "gen_ai.operation.name: rerank",
        ),
        (
            {**SUMS, "gen_ai.operation.name": "llm_call"},
            "x 1.2: Gemini CLI's spans leave out cached and thinking tokens",
            "gen_ai.operation.name: llm_call",
        ),
        (
            {"gen_ai.operation.name": "chat", "acme.usage.prompt_tokens": 5},
            "x 1.2: unknown token counts",
            "acme.usage.prompt_tokens",
        ),
        ({"acme.token_count.in": "12"}, "x 1.2: no model", "acme.token_count.in"),
        (langfuse(of={"another": [1]}), "x 1.2: unknown token counts", "langfuse.observation.usage_details"),
    ],
    ids=str,
)
def test_what_looks_like_usage_but_is_not_understood_is_named(attributes, kind, detail):
    [remark] = remarks(span(1, attributes), scope="x", version="1.2")
    assert (remark.kind, remark.detail) == (kind, detail)


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.request.max_tokens": 64_000},
        {"http.request.body.size": 12},
        {"acme.usage.prompt_tokens": 0},
        {"acme.usage.prompt_tokens": "none"},
        {"output_tokens_per_second": 12.5},
        {"gen_ai.operation.name": "chat"},
        {"auth.token": "12"},
    ],
    ids=str,
)
def test_other_spans_are_not(attributes):
    assert remarks(span(1, attributes)) == []


@pytest.mark.parametrize(
    ("attributes", "unknown"),
    [
        (
            {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.outputTokenCount": 20},
            "gen_ai.usage.outputTokenCount",
        ),
        ({"gen_ai.usage.output_tokens": 20, "acme.usage.prompt.tokens": "100"}, "acme.usage.prompt.tokens"),
        ({"gen_ai.usage.input_tokens": 100, "output_tokens": 20}, "output_tokens"),
        ({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.total_tokens": 120}, "gen_ai.usage.total_tokens"),
        (
            {"gen_ai.usage.input_tokens": 100, "mlflow.chat.tokenUsage": '{"outputs": 20}'},
            "mlflow.chat.tokenUsage",
        ),
        ({"gen_ai.usage.cost": 0.5, "acme.usage.completion_tokens": 5}, "acme.usage.completion_tokens"),
    ],
    ids=str,
)
def test_counts_that_are_not_understood_beside_others_are_named_and_the_rest_is_recorded(attributes, unknown):
    wire = span(1, {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **attributes})
    found, remark = read(request(wire, scope="x", version="1.2"))
    assert found.event.kind == "deduction"
    assert (remark.kind, remark.detail, remark.is_recorded) == (
        f"x 1.2: unknown token counts beside known ones: {unknown}",
        unknown,
        True,
    )


@pytest.mark.parametrize(
    "more",
    [
        {"gen_ai.usage.output_tokens": 5, "acme.usage.output_tokens": 5},
        {"gen_ai.usage.total_tokens": 100},
        {"acme.usage.output_tokens": 0},
        {"acme.usage.input_tokens": 100},
        {"mlflow.chat.tokenUsage": '{"input_tokens": 100}'},
    ],
    ids=str,
)
def test_a_call_without_output_or_with_further_counts_is_not_remarked_upon(more):
    call = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "m"}
    assert remarks(span(1, {**call, "gen_ai.usage.input_tokens": 100, **more})) == []


def test_an_operation_that_is_not_known_is_named_and_no_sum_is_recorded():
    agent = span(2, {**SUMS, "gen_ai.operation.name": "invoke_flock", "gen_ai.request.model": "m"})
    items = read(request(chat(1, parent=2), agent))
    assert [item.event is not None for item in items if isinstance(item, otlp.Found)] == [True, False]
    assert [item.reason for item in items if isinstance(item, NotUnderstood)] == [
        "unknown gen_ai.operation.name invoke_flock"
    ]


def test_a_span_that_is_not_understood_is_still_the_parent_of_others():
    unknown = span(2, {**SUMS, "gen_ai.agent.name": "planner"})
    items = read(request(unknown, chat(1, parent=2)))
    assert [type(item) for item in items] == [otlp.Found, NotUnderstood, otlp.Found]
    assert [call.agent for call in calls(items)] == ["planner"]


def test_names_that_are_read_and_hold_counts_look_like_usage():
    assert looks_like_usage("gen_ai.usage.input_tokens")
    assert looks_like_usage("llm.token_count.prompt")
    assert looks_like_usage("metadata.usage_object")
    assert not looks_like_usage("gen_ai.request.model")


def test_the_name_of_an_attribute_may_be_of_any_length():
    begun = time.monotonic()
    assert remarks(span(1, {"usage" * 100_000: 1})) == []
    assert time.monotonic() - begun < 1
