"""`POST /api/v1/litellm`: handmade payloads, and the callback of the real LiteLLM."""

import gzip
import importlib.util
import json
import os
import subprocess
import sys
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client import REGISTRY

from billing import verification
from billing.models import CreditTransaction
from products import tokens
from products.models import AgentJob
from tests.conftest import missing
from tests.test_litellm import ODD, full, payload, places, spend_log, with_odd

ADDRESS = "/api/v1/litellm"


@pytest.fixture
def token(project, owner):
    return tokens.issue(owner, project=project, scope="ingest")[1]


@pytest.fixture
def post(token):
    def send_body(body: Any, kind: str = "application/json", **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Client(headers={"Authorization": f"Bearer {token}", **headers}).post(
            ADDRESS, raw, content_type=kind
        )

    return send_body


def statuses(response: Any) -> list[str]:
    return [one["status"] for one in response.json()["results"]]


def lines(*records: Any) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


def as_json(record: Any) -> bytes:
    """The record with its decimals as they are: `json.dumps` can't write them."""
    decimals: list[str] = []

    def mark(value: Decimal) -> str:
        decimals.append("1e400" if value.is_infinite() else str(value))
        return "DECIMAL"

    text = json.dumps(record, default=mark)
    for decimal in decimals:
        text = text.replace('"DECIMAL"', decimal, 1)
    return text.encode()


def test_a_payload_sent_twice_is_a_duplicate(post, project):
    first = post(payload("a"))
    assert (first.status_code, first.json()["results"]) == (200, [{"status": "recorded", "eventId": "a"}])
    again = post(payload("a"))
    assert (again.status_code, statuses(again)) == (200, ["duplicate"])
    row = CreditTransaction.objects.get()
    assert (row.project, row.amount_nanos, row.input_tokens) == (project, 1_230_000, 100)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([payload("a"), payload("b")], "application/json"),
        (lines(payload("a"), payload("b")), "application/json"),
        (lines(payload("a"), payload("b")) + b"\n", "application/x-ndjson"),
    ],
    ids=["array", "lines that are called JSON", "lines"],
)
def test_several_payloads_get_one_result_each(post, body, kind):
    response = post(body, kind)
    assert (response.status_code, statuses(response)) == (200, ["recorded", "recorded"])
    assert set(CreditTransaction.objects.values_list("event_id", flat=True)) == {"a", "b"}


def test_a_payload_may_span_several_lines(post):
    assert statuses(post(json.dumps(payload("a"), indent=2).encode())) == ["recorded"]


def test_valid_payloads_are_recorded_and_the_others_reported(post):
    post(payload("old"))
    response = post([payload("a"), None, payload("b", prompt_tokens=-1), payload("old", response_cost=9)])
    assert response.status_code == 207
    assert statuses(response) == ["recorded", "rejected", "rejected", "conflict"]
    refused = response.json()["results"][2]
    assert (refused["eventId"], refused["field"]) == ("b", "prompt_tokens")
    assert (response.json()["recorded"], response.json()["rejected"], response.json()["conflicts"]) == (
        1,
        2,
        1,
    )


def test_an_odd_value_of_any_field_keeps_no_other_payload_from_being_recorded(post, project):
    odd_ones = [
        {**with_odd(full(payload), place, odd), **({} if place == ("id",) else {"id": f"odd-{number}"})}
        for number, (place, odd) in enumerate(product(places(full(payload)), ODD))
    ]
    for start in range(0, len(odd_ones), 900):
        records = [payload(f"good-{start}"), *odd_ones[start : start + 900], payload(f"last-{start}")]
        response = post(b"\n".join(map(as_json, records)))
        assert response.status_code in (200, 207)
        assert (statuses(response)[0], statuses(response)[-1]) == ("recorded", "recorded")
    assert not list(verification.differences(project))


def test_the_metrics_count_payloads_by_outcome(post):
    labels = {"door": "litellm", "outcome": "recorded"}
    before = REGISTRY.get_sample_value("aicost_usage_events_total", labels) or 0
    post([payload("a"), payload("b"), payload("b")])
    assert REGISTRY.get_sample_value("aicost_usage_events_total", labels) == before + 2


def test_an_id_that_a_provider_gives_to_several_calls_is_no_conflict(post):
    calls = [payload("a", litellm_call_id=f"call-{n}", startTime=1772359200 + n) for n in range(3)]
    assert statuses(post(calls)) == ["recorded"] * 3
    assert statuses(post(calls[::-1])) == ["duplicate"] * 3
    assert CreditTransaction.objects.count() == 3


def test_an_id_at_another_instant_is_another_call_and_the_answer_names_its_id(post):
    assert statuses(post(payload("a"))) == ["recorded"]
    later = payload("a", startTime=1772359260.5)
    for status in ("recorded", "duplicate"):
        [result] = post(later).json()["results"]
        assert result == {"status": status, "eventId": "a@20260301T100100.500000Z"}
    assert CreditTransaction.objects.count() == 2


def test_an_unknown_price_is_reported(post):
    doubt = {"zero_cost_diagnostic": {"reason": "missing_pricing_key"}}
    [result] = post(payload(model="nobody-knows", response_cost=0.0, **doubt)).json()["results"]
    assert result["unpricedModel"] == "nobody-knows"
    assert CreditTransaction.objects.get().cost_source == "unpriced"


def test_a_spend_log_is_accepted_too(post):
    assert statuses(post([spend_log("a"), payload("a")])) == ["recorded", "duplicate"]


def test_a_compressed_body_is_accepted(post):
    assert statuses(post(gzip.compress(json.dumps(payload()).encode()), **{"Content-Encoding": "gzip"})) == [
        "recorded"
    ]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"{\n}", "text/plain", 415),
        (b"[]", "application/json", 400),
        ([payload()] * 1001, "application/json", 413),
        (payload(response_cost=-1), "application/json", 422),
    ],
)
def test_an_unreadable_body_is_refused_and_nothing_recorded(post, body, kind, status):
    assert post(body, kind).status_code == status
    assert not CreditTransaction.objects.exists()


def test_only_an_ingest_token_may_send(client, owner, project):
    client.force_login(owner)
    assert client.post(ADDRESS, payload(), content_type="application/json").status_code == 401
    _, reading = tokens.issue(owner, project=project, scope="read")
    headers = {"HTTP_AUTHORIZATION": f"Bearer {reading}"}
    assert client.post(ADDRESS, payload(), content_type="application/json", **headers).status_code == 403
    assert client.get(ADDRESS, HTTP_AUTHORIZATION=f"Bearer {reading}").status_code == 405
    assert not CreditTransaction.objects.exists()


# The real callback

# In another process, because LiteLLM configures logging, reads `.env` and keeps its callbacks.
CALLS = """
import asyncio, os
import litellm
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

ASKED = {"messages": [{"role": "user", "content": "hello"}]}

async def main():
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
    loggers = [
        GenericAPILogger(os.environ["ADDRESS"], headers, log_format=form, max_retries=5)
        for form in ("json_array", "ndjson", "single")
    ]
    litellm.callbacks = list(loggers)
    for n in range(3):
        await litellm.acompletion("gpt-4o-mini", mock_response="hi", litellm_session_id="session-1", **ASKED)
    stream = await litellm.acompletion("gpt-4o-mini", mock_response="hi there", stream=True, **ASKED)
    async for part in stream:
        pass
    await litellm.acompletion("openai/nobody-knows", mock_response="hi", **ASKED)
    try:
        await litellm.acompletion("gpt-4o-mini", mock_response=Exception("no"), num_retries=0, **ASKED)
    except litellm.exceptions.InternalServerError:
        pass
    for wait in range(100):
        if all(len(logger.log_queue) == 6 for logger in loggers):
            break
        await asyncio.sleep(0.1)
    costs = sum(log["response_cost"] for log in loggers[0].log_queue)
    for logger in loggers:
        await logger.flush_queue()
    print(costs)

asyncio.run(main())
"""


def call_litellm(address: str, token: str, folder: Path) -> float:
    """Make the calls. Returns their cost according to LiteLLM."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ADDRESS": address,
        "TOKEN": token,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DEFAULT_FLUSH_INTERVAL_SECONDS": "600",
        "NO_PROXY": "*",
    }
    run = subprocess.run(
        [sys.executable, "-c", CALLS],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return float(run.stdout.split()[-1])


@pytest.mark.long
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_real_litellm_callback_is_recorded_once_in_each_format(live_server, project, token, tmp_path):
    if not importlib.util.find_spec("litellm"):
        missing("litellm", "pip install -e .[test]")
    cost = call_litellm(live_server.url + ADDRESS, token, tmp_path)
    rows = list(CreditTransaction.objects.filter(project=project).select_related("job__run"))
    assert len(rows) == 6
    assert sum(row.amount_nanos for row in rows) == round(cost * 10**9)
    assert sorted(row.job.run.run_id == "session-1" for row in rows) == [False] * 3 + [True] * 3
    sessions = [row for row in rows if row.job.run.run_id == "session-1"]
    # A mocked response counts 10 and 20 tokens.
    assert {(row.input_tokens, row.output_tokens, row.model) for row in sessions} == {(10, 20, "gpt-4o-mini")}
    assert [row.cost_source for row in rows if "nobody-knows" in row.model] == ["unpriced"]
    jobs = AgentJob.objects.filter(project=project).values_list("status", flat=True)
    assert sorted(jobs) == ["failed"] + ["succeeded"] * 5
    assert not list(verification.differences(project))
