"""What arrived is counted by kind: understood, or not understood and why."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError
from django.test import Client
from django.urls import reverse
from prometheus_client import REGISTRY

from aicost import queries
from aicost.presentation.connect.arrivals import MOST_KINDS, what_arrived
from aicost.queries import Arrivals
from billing import intake_counts
from billing.events.reasons import CONFLICT, kind_of
from billing.intake_counts import KINDS_A_DAY, OTHER_KINDS, WITHHELD, Counts, Kind
from billing.models import IntakeCount
from billing.rollups import updates
from billing.sources.otlp.unknown_usage import HALF_KNOWN
from products import tokens
from tests.factories import fields
from tests.otlp import PROTOBUF, SUMS, chat, encoded, request, span
from tests.test_connect import signed_in, text, url
from tests.test_import import Run, line, write

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

TODAY = date(2026, 3, 17)


@pytest.fixture
def token(project: Any, owner: Any) -> str:
    return str(tokens.issue(owner, project=project, scope="ingest")[1])


@pytest.fixture
def post(token: str) -> Any:
    """Sends events or payloads to an endpoint."""

    def send(address: str, *rows: Any, status: int = 200) -> None:
        response = Client().post(
            address,
            json.dumps(rows),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert response.status_code == status, response.content

    return send


@pytest.fixture
def send_spans(token: str) -> Any:
    def send(*spans: Any, **origin: str) -> None:
        body = encoded(request(*spans, **origin), PROTOBUF)
        response = Client().post(
            "/v1/traces", body, content_type=PROTOBUF, headers={"Authorization": f"Bearer {token}"}
        )
        assert response.status_code == 200

    return send


def counted(project: Any) -> dict[tuple[str, str, str, str], int]:
    rows = IntakeCount.objects.filter(project=project)
    return {
        tuple(key): number
        for *key, number in rows.values_list("endpoint", "sender", "version", "reason", "count")
    }


# ---- Endpoints


def test_usage_events_are_counted_by_field_and_reason_without_what_was_sent(project: Any, post: Any) -> None:
    wrong = [fields(inputTokens=-1), fields(inputTokens=-2), {**fields(), "inputTokns": 1}]
    post("/api/v1/usage", fields(eventId="a"), fields(eventId="a"), *wrong, status=207)
    post("/api/v1/usage", fields(eventId="a", costDollars=7), fields(kind="job"), status=207)
    assert counted(project) == {
        ("usage", "", "", ""): 2,
        ("usage", "", "", "inputTokens: must be from 0 to 10¹²"): 2,
        ("usage", "", "", "inputTokns: unknown field"): 1,
        ("usage", "", "", CONFLICT): 1,
    }


def test_a_batch_that_records_all_or_nothing_counts_what_it_held_back(project: Any, post: Any) -> None:
    post("/api/v1/usage?atomic=true", fields(), fields(), fields(inputTokens=-1), status=422)
    assert counted(project) == {
        ("usage", "", "", WITHHELD): 2,
        ("usage", "", "", "inputTokens: must be from 0 to 10¹²"): 1,
    }


def test_payloads_of_litellm_are_counted(project: Any, post: Any) -> None:
    call = {"id": "call-1", "startTime": 1773748800.0, "endTime": 1773748801.0, "model": "gpt-4o"}
    post("/api/v1/litellm", {**call, "prompt_tokens": 5}, {**call, "prompt_tokens": "many"}, status=207)
    assert counted(project) == {
        ("litellm", "", "", ""): 1,
        ("litellm", "", "", "prompt_tokens: must be a whole number from 0 to 10¹²"): 1,
    }


def test_spans_are_counted_by_scope_version_and_reason(project: Any, send_spans: Any) -> None:
    calls = [chat(1), chat(2), chat(3, {"gen_ai.usage.cost": -1.0})]
    send_spans(*calls, span(4, SUMS), span(5, SUMS), span(6), scope="x", version="1.2")
    send_spans(chat(1), scope="x", version="1.3")
    send_spans(span(7, {**SUMS, "gen_ai.operation.name": "rerank"}))
    assert counted(project) == {
        ("traces", "x", "", ""): 3,
        ("traces", "x", "", "gen_ai.usage.cost: must be a number from 0"): 1,
        ("traces", "x", "1.2", "no model"): 2,
        ("traces", "", "", "unknown gen_ai.operation.name rerank"): 1,
    }


def test_a_batch_that_is_not_recorded_is_not_counted(project: Any, post: Any, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise DataError("out of range")

    monkeypatch.setattr(updates, "add", refuse)
    post("/api/v1/usage", fields(), status=422)
    assert counted(project) == {}


def test_products_are_counted_apart(project: Any, other_project: Any, post: Any) -> None:
    post("/api/v1/usage", fields())
    assert counted(other_project) == {}
    assert queries.arrivals(other_project).received == 0


def test_the_metrics_count_without_repeating_what_was_sent(send_spans: Any, post: Any) -> None:
    def metric(endpoint: str, reason: str) -> float:
        labels = {"endpoint": endpoint, "reason": reason}
        return REGISTRY.get_sample_value("aicost_usage_not_understood_total", labels) or 0

    kinds = [("traces", "no model"), ("traces", "unknown kind of span"), ("traces", HALF_KNOWN)]
    kinds.append(("usage", "rejected"))
    before = [metric(*kind) for kind in kinds]
    send_spans(chat(4, {"gen_ai.usage.output_tokens": 0, "acme.usage.output_tokens": 5}))
    send_spans(span(1, SUMS), *(span(n, {**SUMS, "gen_ai.operation.name": f"o{n}"}) for n in (2, 3)))
    post("/api/v1/usage", {}, status=422)
    assert [metric(*kind) - old for kind, old in zip(kinds, before, strict=True)] == [1, 2, 1, 1]
    assert metric("traces", "unknown gen_ai.operation.name o2") == 0


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("must be a whole number, not 'x, not y'", "must be a whole number"),
        ("must have 1 to 200 characters, this has 300", "must have 1 to 200 characters"),
        ("send costDollars or credits, not both", "send costDollars or credits, not both"),
        ("not valid JSON: at 17: a secret", "not valid JSON"),
        ("timestamp: is not a possible time: 'x'", "timestamp: is not a possible time"),
        ("has 3 cells where the header names 5", "has more or fewer cells than the header"),
        ("can't be read (Permission denied)", "can't be read"),
        ("unknown field, did you mean runId?", "unknown field"),
        ("this id is already recorded with a different model, cost", CONFLICT),
    ],
)
def test_a_reason_is_counted_without_what_was_sent(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind
    assert kind_of(reason, "field") == f"field: {kind}"


# ---- Limits


def test_kinds_beyond_the_limit_of_a_day_are_counted_together(project: Any) -> None:
    for start in (0, 150):
        named = range(start, start + 150)
        intake_counts.add(project, Counts(Kind("traces", f"s{n}", "", "no model") for n in named))
    intake_counts.add(project, Counts([Kind("traces", "s0", "", "no model"), Kind("traces", "new")]))
    rows = counted(project)
    assert len(rows) == KINDS_A_DAY + 2
    assert rows["traces", "", "", OTHER_KINDS] == 100
    assert rows["traces", "s0", "", "no model"] == 2
    assert rows["traces", "", "", ""] == 1
    found = queries.arrivals(project)
    assert (found.understood, found.received) == (1, 302)


def test_texts_are_bounded_and_printable(project: Any) -> None:
    intake_counts.add(project, Counts([Kind("traces", "s" * 500, "v\x1f" * 90, "r\0\x1e" + "é" * 500)]))
    [(_, sender, version, reason)] = counted(project)
    assert (len(sender), len(version), len(reason)) == (120, 60, 200)
    assert (sender + version + reason).isprintable()


def test_counts_are_kept_for_thirty_days(project: Any, clock: Any) -> None:
    for _ in range(2):
        intake_counts.add(project, Counts([Kind("usage")]))
        clock.shift(timedelta(days=30))
    assert [row.day for row in IntakeCount.objects.order_by("day")] == [TODAY, TODAY + timedelta(days=30)]
    clock.shift(timedelta(days=-29))
    intake_counts.add(project, Counts([Kind("usage")]))
    assert [row.day for row in IntakeCount.objects.order_by("day")] == [
        TODAY + timedelta(days=30),
        TODAY + timedelta(days=31),
    ]


def test_nothing_is_written_for_nothing(project: Any) -> None:
    intake_counts.add(project, Counts())
    assert counted(project) == {}


# ---- Imports


def test_an_imports_receipt_names_what_was_not_understood(project: Any, tmp_path: Path) -> None:
    wrong = [line(inputTokens=-1), line(inputTokens=-2), "{"]
    path = write(tmp_path / "usage.jsonl", line(), *wrong)
    run = Run(path, tmp_path / "gone.jsonl", project=project.pk)
    assert run.status == 1
    assert "  not understood: inputTokens: must be from 0 to 10¹² (import usage_events, 2 times)\n" in run.out
    assert "  not understood: not valid JSON (import usage_events, 1 times)\n" in run.out
    assert "  not understood: there is no such file or folder (import, 1 times)\n" in run.out
    assert counted(project) == {
        ("import", "", "", "there is no such file or folder"): 1,
        ("import usage_events", "", "", ""): 1,
        ("import usage_events", "", "", "inputTokens: must be from 0 to 10¹²"): 2,
        ("import usage_events", "", "", "not valid JSON"): 1,
    }


def test_lines_of_a_log_that_are_skipped_are_counted(project: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", '{"type": "user", "sessionId": "s", "uuid": "u"}', "{cut")
    run = Run(path, project=project.pk)
    assert (run.status, run.receipt["skipped"]) == (0, 1)
    assert counted(project) == {("import claude_code", "", "", "not valid JSON"): 1}


@pytest.mark.parametrize("options", [{"dry_run": True}, {"strict": True}])
def test_an_import_that_records_nothing_counts_nothing(project: Any, tmp_path: Path, options: Any) -> None:
    path = write(tmp_path / "usage.jsonl", line(), "{")
    run = Run(path, tmp_path / "gone", project=project.pk, **options, format="usage_events")
    assert run.status == 1
    assert "not understood: not valid JSON" in run.out
    assert counted(project) == {}


# ---- The Connect page


def test_the_page_says_that_nothing_arrived(owner: Any, project: Any) -> None:
    page = text(signed_in(owner).get(url(project)))
    assert "Nothing has arrived since 16 March, 00:00 UTC." in page
    assert "counts again" not in page


def test_the_page_says_what_arrived_and_what_to_do(
    owner: Any, project: Any, send_spans: Any, post: Any, clock: Any
) -> None:
    clock.shift(timedelta(days=-2))
    send_spans(span(9, SUMS), scope="older")
    clock.shift(timedelta(days=1))
    post("/api/v1/usage", fields(), fields())
    clock.shift(timedelta(days=1))
    post("/api/v1/usage", fields(eventId="twice"), fields(eventId="twice"), {}, status=207)
    send_spans(chat(1), span(2, SUMS), span(3, SUMS), scope="<b>openinference", version="1.2")
    page = signed_in(owner).get(url(project)).content.decode()
    assert "Understood 5 of 8 reports of usage received since 16 March, 00:00 UTC." in page
    assert (
        "<dt>2</dt><dd>from <bdi>&lt;b&gt;openinference 1.2</bdi>: <bdi>no model</bdi>."
        " The instrumentation must set gen_ai.request.model.</dd>"
    ) in page
    assert "<dt>1</dt><dd>from <bdi>usage events</bdi>: <bdi>eventId: is required</bdi>. </dd>" in page
    assert "older" not in page


def test_the_page_shows_the_most_frequent_kinds(owner: Any, project: Any) -> None:
    kinds = {Kind("traces", f"scope-{n}", "", "no model"): n for n in range(1, MOST_KINDS + 4)}
    intake_counts.add(project, Counts(kinds))
    page = text(signed_in(owner).get(url(project)))
    assert page.index("scope-13") < page.index("scope-12") < page.index("scope-4")
    assert "scope-3<" not in page
    assert "<dt>6</dt><dd>of 3 other kinds</dd>" in page


def test_an_archived_product_does_not_say_what_arrived(owner: Any, project: Any, clock: Any) -> None:
    intake_counts.add(project, Counts([Kind("usage")]))
    project.archived_at = TODAY.isoformat() + "T00:00:00Z"
    project.save()
    assert "What arrived" not in text(signed_in(owner).get(url(project)))


def test_a_waiting_page_says_once_that_reports_are_not_understood(
    owner: Any, project: Any, send_spans: Any
) -> None:
    client, htmx = signed_in(owner), {"HX-Request": "true"}
    address = reverse("connect-arrived", args=[project.pk])
    send_spans(span(2, SUMS), scope="x", version="1.2")
    part = text(client.get(address, headers=htmx))
    assert "No usage yet: 1 report not understood." in part
    assert "From <bdi>x 1.2</bdi>: <bdi>no model</bdi>. The instrumentation must set gen_ai" in part
    assert f'hx-get="{address}?shown=1" hx-trigger="every 3s"' in part
    assert part in text(client.get(url(project)))
    assert client.get(f"{address}?shown=1", headers=htmx).status_code == 204
    send_spans(span(3, SUMS))
    assert "2 reports not understood" in text(client.get(f"{address}?shown=1", headers=htmx))
    send_spans(chat(4))
    assert "First usage arrived" in text(client.get(f"{address}?shown=2", headers=htmx))


@pytest.mark.parametrize(
    ("kind", "sender", "what_to_do"),
    [
        (Kind("traces", reason="no operation name"), "spans without a scope", "must set gen_ai.operation"),
        (Kind("traces", "x", reason="unknown token counts"), "x", "must set gen_ai.usage.input_tokens"),
        (Kind("traces", "x", reason=f"{HALF_KNOWN}: a.b"), "x", "These calls are recorded without them."),
        (Kind("traces", "x", reason="unknown mlflow.spanType Y"), "x", "If these spans call a model"),
        (Kind("logs", "x", "1.2", "no model"), "x 1.2", "must set gen_ai.request.model"),
        (Kind("logs", reason="log record y is not read"), "log records without a scope", ""),
        (Kind("usage", reason=CONFLICT), "usage events", "Give every call an id of its own."),
        (Kind("usage", reason=WITHHELD), "usage events", "Correct that event"),
        (Kind("litellm", reason="id: is required"), "LiteLLM", ""),
        (Kind("import", reason="can't be read"), "imported files", ""),
        (Kind("import codex", reason="not valid JSON"), "imported files: Codex’s logs", "The last line"),
        (Kind("import usage_events", reason="x"), "imported files: usage events", ""),
    ],
)
def test_every_kind_has_a_sender_and_perhaps_advice(kind: Kind, sender: str, what_to_do: str) -> None:
    [shown] = what_arrived(Arrivals(TODAY, 0, [(kind, 1)])).kinds
    assert (shown.sender, shown.reason) == (sender, kind.reason)
    assert what_to_do in shown.what_to_do
    assert bool(what_to_do) == bool(shown.what_to_do)
