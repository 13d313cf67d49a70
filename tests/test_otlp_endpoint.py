"""`POST /v1/traces`: handmade OTLP in both encodings, real traces, and the real SDK with its exporter."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client import REGISTRY

from billing import verification
from billing.ledger import traces
from billing.models import CreditTransaction, RunSpend
from billing.money import dollars
from products import tokens
from products.models import AgentJob, PipelineRun
from tests.conftest import missing
from tests.factories import event as read_event
from tests.factories import send
from tests.otlp import (
    CHAT,
    CHAT_NANOS,
    JSON,
    PROTOBUF,
    SUMS,
    agent,
    any_value,
    chat,
    encoded,
    event_id,
    request,
    span,
    trace_id,
)
from tests.receivers import answering
from tests.test_real_data import DATA, expected, same_cost

ADDRESS = "/v1/traces"
BOTH = pytest.mark.parametrize("kind", [PROTOBUF, JSON])


@pytest.fixture
def token(project, owner):
    return tokens.issue(owner, project=project, scope="ingest")[1]


def sender(token: str, kind: str, **headers: str) -> Client:
    """A client that sends a Content-Type even with an empty body."""
    return Client(headers={"Authorization": f"Bearer {token}", "Content-Type": kind, **headers})


@pytest.fixture
def post(token):
    """Sends spans, or any body, to the endpoint with an ingest token of the product."""

    def send_body(*content: Any, kind: str = PROTOBUF, **headers: str) -> Any:
        body = content[0] if content and isinstance(content[0], bytes) else encoded(request(*content), kind)
        return sender(token, kind, **headers).post(ADDRESS, body, content_type=kind)

    return send_body


def answer(response: Any) -> ExportTraceServiceResponse:
    """The response message, decoded from either encoding."""
    assert response.status_code == 200, response.content
    if response["Content-Type"] == PROTOBUF:
        return ExportTraceServiceResponse.FromString(response.content)
    assert response["Content-Type"] == JSON
    return Parse(response.content, ExportTraceServiceResponse())


def recorded_ids() -> set[str]:
    return set(CreditTransaction.objects.values_list("event_id", flat=True))


@BOTH
def test_spans_are_recorded_once(post, kind):
    spans = (chat(1, parent=9), chat(2, parent=9), agent(9, "planner"))
    for _ in range(2):
        response = post(*spans, kind=kind)
        assert response["Content-Type"] == kind
        assert not answer(response).HasField("partial_success")
        assert recorded_ids() == {event_id(1), event_id(2)}
    assert response.content == (b"" if kind == PROTOBUF else b"{}")


@BOTH
def test_an_agent_span_that_repeats_its_calls_is_not_billed(post, kind, project):
    sums = {"gen_ai.usage.input_tokens": 2_000, "gen_ai.usage.output_tokens": 200, "gen_ai.usage.cost": 0.1}
    post(agent(9, "planner", sums), kind=kind)
    post(chat(1, parent=9), chat(2, parent=9), kind=kind)
    assert list(CreditTransaction.objects.values_list("amount_nanos", flat=True)) == [CHAT_NANOS] * 2


@BOTH
def test_gzip_is_accepted(post, kind):
    body = gzip.compress(encoded(request(chat(1)), kind))
    assert not answer(post(body, kind=kind, **{"Content-Encoding": "gzip"})).HasField("partial_success")
    assert recorded_ids() == {event_id(1)}


@BOTH
def test_an_empty_request_is_valid(post, kind):
    empty = b"" if kind == PROTOBUF else b"{}"
    assert not answer(post(empty, kind=kind)).HasField("partial_success")


@BOTH
def test_invalid_spans_are_counted_and_named_and_the_others_recorded(post, kind):
    post(chat(3), kind=kind)
    response = post(
        *(chat(1), chat(2, {"gen_ai.usage.input_tokens": -1}), chat(3, {"gen_ai.usage.output_tokens": 1})),
        *(chat(4, ended=datetime(1999, 1, 1, tzinfo=UTC)), agent(9, "planner")),
        kind=kind,
    )
    partial = answer(response).partial_success
    assert partial.rejected_spans == 3
    assert partial.error_message == (
        f"{event_id(2)}: gen_ai.usage.input_tokens must be a whole number from 0 to 10¹², not -1; "
        f"{event_id(3)}: this id is already recorded with a different outputTokens; "
        f"{event_id(4)}: end_time_unix_nano must not be before 2000-01-01"
    )
    assert recorded_ids() == {event_id(1), event_id(3)}


def test_json_encodes_the_count_as_protobuf_requires(post):
    response = post(chat(1, {"gen_ai.usage.cost": -1.0}), kind=JSON)
    assert response.json()["partialSuccess"]["rejectedSpans"] == "1"


def test_only_a_few_of_many_invalid_spans_are_named(post):
    response = post(*(chat(n, {"gen_ai.usage.cost": -1.0}) for n in range(1, 21)))
    partial = answer(response).partial_success
    assert partial.rejected_spans == 20
    assert partial.error_message.endswith("; 15 more")


@BOTH
def test_usage_that_is_not_understood_is_a_warning(post, kind):
    unknown = [span(n, {**SUMS, "gen_ai.operation.name": "rerank"}) for n in (2, 3)]
    body = encoded(request(*unknown, chat(1), span(4, SUMS), scope="x", version="1.2"), kind)
    partial = answer(post(body, kind=kind)).partial_success
    assert partial.rejected_spans == 0
    assert partial.error_message == (
        "not recorded: 2 × x 1.2: unknown gen_ai.operation.name rerank; not recorded: 1 × x 1.2: no model"
    )
    assert recorded_ids() == {event_id(1)}


@BOTH
def test_a_call_that_is_recorded_in_part_is_a_warning(post, kind):
    half = {"gen_ai.usage.output_tokens": 0, "gen_ai.usage.outputTokenCount": 20}
    body = encoded(request(chat(1, half), scope="x", version="1.2"), kind)
    partial = answer(post(body, kind=kind)).partial_success
    assert partial.rejected_spans == 0
    assert partial.error_message == (
        "recorded in part: 1 × x 1.2: unknown token counts beside known ones: gen_ai.usage.outputTokenCount"
    )
    assert recorded_ids() == {event_id(1)}


def test_the_warning_follows_the_rejections(post):
    partial = answer(post(chat(1, {"gen_ai.usage.cost": -1.0}), span(2, SUMS))).partial_success
    assert partial.rejected_spans == 1
    assert partial.error_message.startswith(f"{event_id(1)}: gen_ai.usage.cost must be")
    assert partial.error_message.endswith("; not recorded: 1 × (no scope): no model")


def test_only_a_few_of_many_kinds_are_named(post):
    unknown = [span(n, {**SUMS, "gen_ai.operation.name": f"operation {n}"}) for n in range(1, 21)]
    message = answer(post(*unknown)).partial_success.error_message
    assert message.endswith("; not recorded: 15 of other kinds")


def status_of(response: Any, kind: str) -> tuple[int, str]:
    """The `google.rpc.Status` of a refusal: its code and message."""
    if kind == JSON:
        assert response["Content-Type"] == JSON
        return response.json()["code"], response.json()["message"]
    status_pb2 = pytest.importorskip("google.rpc.status_pb2")
    assert response["Content-Type"] == PROTOBUF
    status = status_pb2.Status.FromString(response.content)
    return status.code, status.message


GZIP = {"Content-Encoding": "gzip"}
REFUSED: dict[str, tuple[bytes, dict[str, str], int]] = {
    "malformed": (b"\x0anonsense{", {}, 400),
    "cut off": (request(chat(1)).SerializeToString()[:-3], {}, 400),
    "not gzip": (b"x", GZIP, 400),
    "cut off gzip": (gzip.compress(request(chat(1)).SerializeToString())[:-3], GZIP, 400),
    "another encoding": (b"", {"Content-Encoding": "zstd"}, 415),
    "too large": (b" " * 10_000_001, {}, 413),
    # Level 1, for speed: each test process compresses it, whichever tests it runs.
    "a bomb": (gzip.compress(b"\0" * 100_000_000, compresslevel=1), GZIP, 413),
}


@BOTH
@pytest.mark.parametrize("what", REFUSED)
def test_an_invalid_request_is_refused_as_a_whole(post, kind, what):
    body, headers, status = REFUSED[what]
    response = post(body, kind=kind, **headers)
    assert response.status_code == status
    code, message = status_of(response, kind)
    assert (code, bool(message)) == (3, True)
    assert recorded_ids() == set()


@pytest.mark.parametrize("kind", ["text/plain", "application/grpc", "application/x-ndjson"])
def test_another_media_type_is_415_in_json(post, kind):
    response = post(b"{}", kind=kind)
    assert (response.status_code, status_of(response, JSON)[0]) == (415, 3)


def test_a_media_type_may_have_parameters(post):
    body = encoded(request(chat(1)), JSON)
    assert answer(post(body, kind="application/json; charset=utf-8")) == ExportTraceServiceResponse()


def test_only_model_calls_count_towards_the_request_limit(post):
    assert post(*(span(n) for n in range(1, 1_202)), chat(9_000)).status_code == 200
    response = post(*(chat(n) for n in range(1, 1_002)))
    assert response.status_code == 413
    assert recorded_ids() == {event_id(9_000)}


@BOTH
def test_unauthorized_senders_get_the_right_error(client, post, owner, project, kind):
    body = encoded(request(chat(1)), kind)

    def refused(**headers: str) -> tuple[int, int]:
        response = Client(headers=headers).post(ADDRESS, body, content_type=kind)
        return response.status_code, status_of(response, kind)[0]

    reader = tokens.issue(owner, project=project, scope="write")[1]
    assert refused() == (401, 16)
    assert refused(Authorization="Bearer aicost_" + "x" * 43) == (401, 16)
    assert refused(Authorization=f"Bearer {reader}") == (403, 7)
    client.force_login(owner)
    assert client.post(ADDRESS, body, content_type=kind).status_code == 401
    assert client.get(ADDRESS).status_code == 405
    assert recorded_ids() == set()


@BOTH
def test_a_busy_database_is_503_and_the_retry_is_recorded_once(post, kind, monkeypatch):
    def busy(*_: Any, **__: Any) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(traces.bulk, "insert", busy)
        response = post(chat(1), kind=kind)
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert status_of(response, kind) == (14, "The database is busy; try again.")
    assert recorded_ids() == set()
    assert post(chat(1), kind=kind).status_code == 200
    assert recorded_ids() == {event_id(1)}


@pytest.mark.parametrize("ends", [True, False])
def test_a_chunked_body_is_read_or_refused_but_never_taken_for_empty(token, ends):
    environ = {
        "wsgi.input": BytesIO(gzip.compress(encoded(request(chat(1)), PROTOBUF))),
        "wsgi.input_terminated": ends,
        "CONTENT_LENGTH": "",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_CONTENT_ENCODING": "gzip",
    }
    response = sender(token, PROTOBUF).post(ADDRESS, b"", content_type=PROTOBUF, **environ)
    assert response.status_code == (200 if ends else 411)
    assert recorded_ids() == ({event_id(1)} if ends else set())


def test_the_metrics_count_calls_by_outcome(post):
    def counted(outcome: str) -> float:
        labels = {"door": "traces", "outcome": outcome}
        return REGISTRY.get_sample_value("aicost_usage_events_total", labels) or 0

    outcomes = ("recorded", "duplicate", "rejected")
    before = [counted(outcome) for outcome in outcomes]
    post(chat(1), agent(9, "planner"))
    post(chat(1), chat(2, {"gen_ai.usage.cost": -1.0}))
    after = [counted(outcome) for outcome in outcomes]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]


def test_spans_and_other_usage_pass_verification(post, project):
    send(project, read_event(runId=trace_id(1), jobId=event_id(9)))
    post(chat(1, parent=9, error=True))
    post(agent(9, "planner"), chat(2, trace=2))
    assert not list(verification.differences(project))
    assert AgentJob.objects.get(job_id=event_id(9)).agent_type.slug == "planner"


# Real traces of four frameworks, as written by their SDKs.


def wire_span(written: dict[str, Any]) -> Span:
    codes = {"ok": Status.STATUS_CODE_OK, "error": Status.STATUS_CODE_ERROR}
    parent = written["parent"] and written["parent"]["span_id"]
    message = Span(
        trace_id=written["context"]["trace_id"].to_bytes(16),
        span_id=written["context"]["span_id"].to_bytes(8),
        parent_span_id=parent.to_bytes(8) if parent else b"",
        name=written["name"],
        start_time_unix_nano=written["start_time"],
        end_time_unix_nano=written["end_time"],
        status=Status(code=codes.get(written["status"]["status_code"], Status.STATUS_CODE_UNSET)),
    )
    for key, value in written["attributes"].items():
        message.attributes.add(key=key, value=any_value(value))
    return message


@pytest.fixture
def real_spans() -> list[Span]:
    if not DATA.is_dir():
        pytest.skip(f"{DATA.parent.name}/{DATA.name} beside the project is missing: it is not distributed")
    files = sorted((DATA / "otel_genai").glob("*_trace.json"))
    return [wire_span(one) for file in files for one in json.loads(file.read_text())["spans"]]


@BOTH
@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_real_traces_give_the_expected_figures(post, project, real_spans, kind, size):
    truth = expected(DATA, "otel_genai")
    for start in range(0, len(real_spans), size):
        assert not answer(post(*real_spans[start : start + size], kind=kind)).HasField("partial_success")
    rows = CreditTransaction.objects.filter(project=project)
    assert rows.count() == truth["totals"]["transactions"]
    for run_ in truth["runs"]:
        run = PipelineRun.objects.get(run_id=f"{int(run_['trace_id']):032x}")
        spend = RunSpend.objects.get(run=run)
        assert spend.transactions == run_["transactions"]
        assert (spend.input_tokens, spend.output_tokens) == (run_["input_tokens"], run_["output_tokens"])
        assert dollars(spend.cost_nanos) == same_cost(run_["cost_usd"])
        assert [str(at.replace(microsecond=0)) for at in (run.started_at, run.finished_at) if at] == [
            str(datetime.fromisoformat(run_[name])) for name in ("started_at", "finished_at")
        ]
        assert run.status == "succeeded"
    assert {row.model for row in rows} == {run_["model"][0] for run_ in truth["runs"]}
    assert {row.cost_source for row in rows} == {"reported"}
    assert {job.agent_type.slug for job in AgentJob.objects.all()} == {"any_agent"}
    assert not list(verification.differences(project))


# The real SDK, exporter and instrumentation, with a stub of a model server.

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_780_000_000,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}],
    "usage": {
        "prompt_tokens": 1_000,
        "completion_tokens": 100,
        "total_tokens": 1_100,
        "prompt_tokens_details": {"cached_tokens": 200},
    },
}


class ModelServer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the library's name
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(COMPLETION).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def model_server() -> Iterator[str]:
    with answering(ModelServer) as url:
        yield f"{url}/v1"


INSTRUMENTATIONS = {
    "GenAI": "opentelemetry.instrumentation.genai.openai",
    "OpenInference": "openinference.instrumentation.openai",
}


@pytest.fixture
def traced(live_server, token, monkeypatch) -> Iterator[Any]:
    """The real SDK's provider, which exports every span as soon as it ends."""
    try:
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    except ImportError:
        missing("the OpenTelemetry SDK", "pip install -e .[test]")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    exporter = OTLPSpanExporter(
        endpoint=live_server.url + ADDRESS,
        headers={"Authorization": f"Bearer {token}"},
        compression=Compression.Gzip,
    )
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


@pytest.fixture(params=INSTRUMENTATIONS)
def ask_model(request: pytest.FixtureRequest, traced: Any, model_server: str) -> Iterator[Callable[[], Any]]:
    """Calls the stub with the real, instrumented OpenAI client."""
    try:
        import openai

        module = __import__(INSTRUMENTATIONS[request.param], fromlist=["OpenAIInstrumentor"])
    except ImportError:
        missing(f"the {request.param} instrumentation of openai", "pip install -e .[test]")
    instrumentor = module.OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=traced)
    client = openai.OpenAI(base_url=model_server, api_key="none", max_retries=0)
    yield lambda: client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "Hello"}]
    )
    client.close()
    instrumentor.uninstrument()


@pytest.mark.django_db(transaction=True)
def test_a_real_agent_under_real_instrumentation_is_on_the_dashboard(
    traced, ask_model, project, owner, client
):
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "TripPlanner"}
    with traced.get_tracer("an agent").start_as_current_span("invoke_agent", attributes=attributes):
        ask_model()
        ask_model()
    rows = list(CreditTransaction.objects.filter(project=project))
    assert [(row.model, row.cost_source) for row in rows] == [("gpt-4o-2024-08-06", "computed")] * 2
    assert {row.input_tokens + row.cache_read_tokens for row in rows} == {1_000}
    assert {row.output_tokens for row in rows} == {100}
    [job] = AgentJob.objects.all()
    assert (job.agent_type.slug, job.status, job.run.job_count) == ("TripPlanner", "succeeded", 1)
    client.force_login(owner)
    page = client.get(f"/dashboard/products/{project.pk}/ai-cost").content.decode()
    assert "Trip planner" in page
    assert not list(verification.differences(project))


@pytest.mark.django_db(transaction=True)
def test_the_real_exporter_treats_a_refusal_as_a_failure(live_server, monkeypatch):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult

    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    exporter = OTLPSpanExporter(
        endpoint=live_server.url + ADDRESS, headers={"Authorization": "Bearer nobody's"}
    )
    ended = TracerProvider().get_tracer("an agent").start_span("chat", attributes=CHAT)
    ended.end()
    assert exporter.export([ended]) is SpanExportResult.FAILURE
