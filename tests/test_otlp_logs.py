"""Claude Code's log records of its requests, and its three sources together: logs, events and spans."""

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F, Sum
from django.test import Client
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from billing import verification
from billing.imports.importer import import_paths
from billing.models import CreditTransaction, IntakeCount
from products import tokens
from products.models import AgentJob, Project
from tests.conftest import NOW

JSON, PROTOBUF = "application/json", "application/x-protobuf"
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_agents" / "claude-code-2.1.332"
API_REQUEST = {
    "session.id": "session-1",
    "request_id": "req-1",
    "model": "claude-opus-4-5",
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_read_tokens": 1000,
    "cache_creation_tokens": 300,
    "cache_creation_5m_tokens": 100,
    "cache_creation_1h_tokens": 200,
    "cost_usd": 0.0042,
    "query_source": "sdk",
    "prompt": "never stored",
}

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def token(project: Project, owner: Any) -> str:
    return tokens.issue(owner, project=project, scope="ingest")[1]


def post(token: str, body: bytes | str, address: str = "/v1/logs", kind: str = JSON) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return Client().post(address, body, content_type=kind, headers=headers)


def record(name: str = "claude_code.api_request", **changes: Any) -> LogRecord:
    attributes = {**API_REQUEST, **{key.replace("__", "."): value for key, value in changes.items()}}
    return LogRecord(
        time_unix_nano=int(NOW.timestamp()) * 10**9,
        body=AnyValue(string_value=name),
        attributes=[_attribute(key, value) for key, value in attributes.items() if value is not None],
    )


def _attribute(key: str, value: Any) -> KeyValue:
    kinds = {int: "int_value", float: "double_value", str: "string_value"}
    return KeyValue(key=key, value=AnyValue(**{kinds[type(value)]: value}))


def request(*records: LogRecord) -> bytes:
    message = ExportLogsServiceRequest()
    scope = message.resource_logs.add().scope_logs.add()
    scope.scope.name = "com.anthropic.claude_code.events"
    scope.log_records.extend(records)
    return message.SerializeToString()


def sent(token: str, *records: LogRecord) -> ExportLogsServiceResponse:
    response = post(token, request(*records), kind=PROTOBUF)
    assert response.status_code == 200
    return ExportLogsServiceResponse.FromString(response.content)


def test_a_request_is_recorded_with_its_stated_cost_on_the_sessions_run(project, token):
    assert not sent(token, record()).HasField("partial_success")
    line = CreditTransaction.objects.select_related("job__run", "job__agent_type").get()
    assert (line.amount_nanos, line.cost_source, line.model) == (4_200_000, "reported", "claude-opus-4-5")
    counts = (line.input_tokens, line.cache_read_tokens, line.cache_write_tokens, line.output_tokens)
    assert (*counts, line.cache_write_1h_tokens) == (10, 1000, 300, 20, 200)
    assert (line.job.run.run_id, line.job.job_id, line.job.agent_type.slug) == ("session-1", "main", "main")


def test_a_subagents_request_is_recorded_on_its_own_job(project, token):
    sent(token, record(agent_id="a1", agent__name="Explore", query_source="agent:builtin:Explore"))
    sent(token, record(request_id="req-2", agent_id="a2", query_source="agent:builtin:general-purpose"))
    types = AgentJob.objects.values_list("job_id", "agent_type__slug")
    assert dict(types) == {"a1": "Explore", "a2": "general-purpose"}


def test_sending_again_changes_nothing(project, token):
    for _ in range(2):
        sent(token, record(), record(request_id="req-2"), record(request_id=None, event__sequence=3))
    assert CreditTransaction.objects.count() == 3


def test_other_records_and_values_as_text_are_understood(project, token):
    sent(token, record("claude_code.user_prompt"), record(input_tokens="10", cost_usd="0.0042"))
    assert CreditTransaction.objects.get().amount_nanos == 4_200_000


def test_other_records_with_token_counts_are_named(project, token):
    """Codex reports a response twice in its logs, and neither has an id that its rollouts have."""
    answer = sent(token, record("codex.sse_event", input_token_count=10), record())
    assert answer.partial_success.rejected_log_records == 0
    assert "not recorded: 1 × " in answer.partial_success.error_message
    assert "log record codex.sse_event is not read" in answer.partial_success.error_message
    assert IntakeCount.objects.get(project=project, reason__contains="codex.sse_event").count == 1


def test_a_cost_of_0_for_tokens_is_computed(project, token):
    sent(token, record(cost_usd=0))
    assert CreditTransaction.objects.get().cost_source == "computed"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"session.id": None}, "runId"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"cost_usd": "much"}, "cost_usd"),
        ({"cost_usd": float("nan")}, "cost_usd"),
    ],
)
def test_what_cannot_be_recorded_is_named_and_the_rest_is_recorded(project, token, changes, named):
    answer = sent(
        token, record(request_id="bad", **{k.replace(".", "__"): v for k, v in changes.items()}), record()
    )
    assert answer.partial_success.rejected_log_records == 1
    assert named in answer.partial_success.error_message
    assert CreditTransaction.objects.get().model == "claude-opus-4-5"


@pytest.mark.parametrize(("kind", "body"), [(PROTOBUF, b"\xff"), (JSON, b"{"), (JSON, b"[]")])
def test_a_body_that_is_no_request_is_refused(project, token, kind, body):
    assert post(token, body, kind=kind).status_code == 400


# The agent's own sources


def import_logs(project: Project, token: str) -> None:
    import_paths(project, [REAL / "projects"])


def post_lines(name: str, address: str) -> Callable[[Project, str], None]:
    def send(project: Project, token: str) -> None:
        for line in (REAL / name).read_text().splitlines():
            assert post(token, line, address).status_code == 200

    return send


SOURCES: dict[str, Callable[[Project, str], None]] = {
    "logs": import_logs,
    "events": post_lines("otlp-logs.jsonl", "/v1/logs"),
    "spans": post_lines("otlp-traces.jsonl", "/v1/traces"),
}


@pytest.mark.skipif(not REAL.exists(), reason="the real sessions are kept outside the product")
@pytest.mark.parametrize("order", list(permutations(SOURCES)), ids="-".join)
def test_logs_events_and_spans_of_claude_code_come_to_its_own_sum(project, token, clock, order):
    clock.move_to("2026-11-30T00:00:00Z")
    for source in (*order, order[0]):
        SOURCES[source](project, token)
    lines = CreditTransaction.objects.deductions().filter(project=project)
    compaction = lines.get(event_id__endswith="+compaction1")
    # Claude Code leaves compactions out of its own sum, but the provider bills them.
    nanos = lines.aggregate(nanos=Sum("amount_nanos"))["nanos"]
    assert nanos - compaction.amount_nanos == pytest.approx(263_368_920, abs=100)
    assert lines.count() == 31 + 2
    billed = [json.loads(line) for line in (REAL / "billed.jsonl").read_text().splitlines()]
    cut_before_its_first_word = "req_fake00019"
    expected = sum(
        sum(call["usage"][name] for name in COUNTS)
        for call in billed
        if call["billed"] and call["requestId"] != cut_before_its_first_word
    )
    sums = F("input_tokens") + F("cache_read_tokens") + F("cache_write_tokens") + F("output_tokens")
    parts = lines.filter(event_id__regex=r"\+(advisor|compaction)").aggregate(tokens=Sum(sums))["tokens"]
    assert lines.aggregate(tokens=Sum(sums))["tokens"] - parts == expected
    runs = lines.values_list("job__run__run_id", flat=True).distinct()
    assert len(runs) == 11
    with verification.snapshot():
        assert list(verification.differences(project)) == []


COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
