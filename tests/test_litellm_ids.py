"""Which call a record of LiteLLM is about, and calls modelled on public reports."""

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from billing import verification
from billing.events.usage_event import Tokens, UsageEvent
from billing.models import CreditTransaction
from billing.sources import Context
from billing.sources.files import LogFile
from billing.sources.foreign_ids import foreign_id
from billing.sources.guess import guess_format
from billing.sources.litellm import parse
from products import tokens
from tests.prices import listed_nanos
from tests.test_litellm import CONTEXT, Lines, event, payload, spend_log

pytestmark = pytest.mark.once

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "bug_cases"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="shared/data beside the project is missing: it is not distributed"
)
CALL = "4d1a6c1e-0c7b-4b6e-9b57-5f0a4a7b8a01"
START = 1772359200123
"""In milliseconds."""


def ids(record: dict[str, Any]) -> tuple[str, str, tuple[str, ...], str]:
    found = event(record)
    assert found.sender == "litellm"
    return found.event_id, found.job_id, found.call_ids, found.gateway_id


@pytest.mark.parametrize("record", [spend_log, payload])
def test_a_call_has_the_ids_of_its_response_and_of_the_gateway(record):
    found = ids(record("chatcmpl-1", litellm_call_id=CALL))
    assert found == (f"chatcmpl-1@{CALL}", "chatcmpl-1", ("chatcmpl-1",), CALL)


@pytest.mark.parametrize("record", [spend_log, payload])
def test_older_versions_give_the_providers_id_only(record):
    assert ids(record("chatcmpl-1")) == ("chatcmpl-1", "chatcmpl-1", ("chatcmpl-1",), "")
    assert ids(record("None")) == ("None", "None", (), "")


def test_spend_logs_may_have_the_gateways_id_in_their_metadata():
    for metadata in ({"litellm_call_id": CALL}, json.dumps({"litellm_call_id": CALL})):
        assert ids(spend_log(metadata=metadata)) == ids(payload(litellm_call_id=CALL))


def test_both_records_of_a_call_are_the_same_event():
    log, sent = (event(record(litellm_call_id=CALL)) for record in (spend_log, payload))
    assert (log.event_id, log.content) == (sent.event_id, sent.content)


def test_what_earlier_versions_recorded_can_be_recognized():
    """They took the provider's id for the event's: it is a call id now, and everything else is the same."""
    before, now = event(payload()), event(payload(litellm_call_id=CALL))
    assert before.event_id in now.call_ids
    assert before.content == now.content


@pytest.mark.parametrize("missing", [None, "", "None", CALL])
def test_a_call_without_a_response_goes_by_the_gateways_id_and_its_start(missing):
    """The gateway gives a failed call its own id, and its retries the same one."""
    record = payload(missing, litellm_call_id=CALL)
    assert ids(record) == (f"{CALL}@{START}", CALL, (CALL,), CALL)
    del record["id"]
    assert ids(record)[0] == f"{CALL}@{START}"
    assert ids(payload(missing, litellm_call_id=CALL, startTime=1772359201))[0] == f"{CALL}@1772359201000"


def test_a_provider_may_use_an_id_again():
    calls = [event(payload("id", litellm_call_id=call)) for call in ("a", "b")]
    assert len({e.event_id for e in calls}) == len({e.gateway_id for e in calls}) == 2
    assert {e.call_ids for e in calls} == {("id",)}


def test_a_client_may_send_one_call_id_with_all_its_calls():
    calls = [event(payload(id_, litellm_call_id=CALL)) for id_ in ("a", "b")]
    assert len({e.event_id for e in calls}) == 2
    assert calls[0].call_ids != calls[1].call_ids


@pytest.mark.parametrize("record", [spend_log, payload])
def test_a_cache_hit_is_not_the_call_that_it_repeats(record):
    hit = record("chatcmpl-1_cache_hit1772359300.5", litellm_call_id=CALL)
    whole = "chatcmpl-1_cache_hit1772359300.5"
    assert ids(hit) == (whole, whole, (CALL, "chatcmpl-1"), CALL)
    assert ids(record(whole))[2:] == ((), "")
    assert ids(record("_cache_hit1772359300.5", litellm_call_id=CALL))[2:] == ((CALL,), CALL)


def test_ids_of_any_length_and_content_are_taken():
    long = "resp_" + "x" * 236
    found = event(payload(long, litellm_call_id=CALL, session_id="s" * 201))
    assert found.call_ids == (long,)
    assert found.job_id == foreign_id(long, 200)
    assert found.run_id == foreign_id("s" * 201, 200)
    assert all(id_.startswith("sha256:") for id_ in (found.event_id, found.job_id, found.run_id))
    assert event(payload(long, trace_id="", litellm_call_id="c" * 600)).run_id == foreign_id(long, 200)
    assert ids(spend_log("a\0"))[0] == foreign_id("a\0", 200) != foreign_id("a\1", 200)
    assert ids(payload("\ud800"))[0] == foreign_id("\ud800", 200)
    assert ids(payload("é#/?%\U0001f600"))[0] == "é#/?%\U0001f600"


def test_only_an_id_that_was_valid_as_it_is_was_recorded_by_earlier_versions():
    assert event(payload("chatcmpl-1", litellm_call_id=CALL)).earlier_ids == ("chatcmpl-1",)
    for never in ("\ud800", "a\0", "r" * 201):
        assert event(payload(never, litellm_call_id=CALL)).earlier_ids == ()


@pytest.mark.parametrize("odd", [7, True, ["x"], {}, 0])
def test_a_call_id_that_is_no_text_is_no_call_id(odd):
    assert ids(payload(litellm_call_id=odd)) == ids(payload())


# What is spent


def test_a_total_shows_that_the_prompt_leaves_cached_tokens_out():
    usage = {"cache_read_input_tokens": 60, "cache_creation_input_tokens": 5}
    stated = {"prompt_tokens": 90, "completion_tokens": 30, "metadata": {"usage_object": usage}}
    assert event(payload(**stated, total_tokens=185)).tokens == Tokens(90, 60, 5, 0, 30)
    for total in (120, None, "185", 184):
        assert event(payload(**stated, total_tokens=total)).tokens == Tokens(25, 60, 5, 0, 30)


# Calls modelled on public reports

NOW = Context(now=CONTEXT.now.replace(year=2027), credits_per_dollar=100)


def cases() -> list[Path]:
    return sorted(SHARED.glob("*-litellm-*/input/1-*.json"))


def case_name(path: Path) -> str:
    return path.parent.parent.name


def expected(path: Path) -> dict[str, Any]:
    return dict(json.loads((path.parent.parent / "expected.json").read_text()))


def read(records: list[dict[str, Any]]) -> dict[str, UsageEvent]:
    events: dict[str, UsageEvent] = {}
    for item in parse([Lines(json.dumps(records).encode())], NOW):
        assert isinstance(item.found, UsageEvent), item
        assert events.setdefault(item.found.event_id, item.found) == item.found
    return events


def nanos(event: UsageEvent) -> int | None:
    if event.stated_nanos is not None:
        return event.stated_nanos
    return listed_nanos(event.model, event.tokens, event.occurred_at)


@needs_shared
@pytest.mark.parametrize("path", cases(), ids=case_name)
def test_a_reported_bug_stays_fixed(path):
    records, right = json.loads(path.read_text()), expected(path)
    for order in itertools.islice(itertools.permutations(records), 4):
        events = list(read([*order, *records]).values())
        assert len(events) == right["rows"]
        assert sum(e.tokens.total for e in events) == right.get("tokens", 1100 * len(events))
        if right.get("unpriced"):  # LiteLLM states no cost; whether there is a price is not for it to say
            assert [e.stated_nanos for e in events] == [None]
        else:
            dollars = Decimal(sum(nanos(e) or 0 for e in events)).scaleb(-9)
            assert float(dollars) == pytest.approx(right["dollars"], abs=1e-9)
        # No two of them may be taken for one.
        for first, other in itertools.combinations(events, 2):
            assert not {*first.call_ids} & {*other.call_ids} or first.gateway_id != other.gateway_id


@needs_shared
@pytest.mark.parametrize("path", sorted(SHARED.glob("*-litellm-*/input/real*.json")), ids=case_name)
def test_real_payloads_are_read(path):
    assert guess_format(LogFile(path)) == "litellm"
    (record,) = json.loads(path.read_text())
    (found,) = read([record]).values()
    assert found.call_ids == (record["id"],)
    assert found.gateway_id == record["litellm_call_id"]
    assert found.stated_nanos == (2_250_000 if record["response_cost"] else None)


@needs_shared
@pytest.mark.parametrize("path", cases(), ids=case_name)
def test_a_reported_bug_stays_fixed_in_the_ledger(path, project, owner, clock):
    clock.move_to("2026-12-01T00:00:00Z")
    _, token = tokens.issue(owner, project=project, scope="ingest")
    for _ in range(2):
        response = Client(headers={"Authorization": f"Bearer {token}"}).post(
            "/api/v1/litellm", path.read_bytes(), content_type="application/json"
        )
        assert response.status_code == 200
    rows, right = list(CreditTransaction.objects.filter(project=project)), expected(path)
    assert len(rows) == right["rows"]
    if right.get("unpriced"):
        assert "reported" not in {row.cost_source for row in rows}
    else:
        assert sum(row.amount_nanos for row in rows) / 1e9 == pytest.approx(right["dollars"], abs=1e-9)
    assert not list(verification.differences(project))
