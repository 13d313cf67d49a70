"""The API page: made from the registry, and true. Its examples run, its errors are what callers get."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aicost.api import errors
from aicost.api.procedures import PROCEDURES
from aicost.api.registry import Procedure
from aicost.presentation.api_docs import procedures as api_shown
from aicost.presentation.api_docs.examples import VALUES, Site
from products import tokens
from tests.clients.node import FOLDER, executable
from tests.conftest import missing
from tests.factories import MembershipFactory, ProjectFactory, usage

pytestmark = pytest.mark.django_db

PAGE = "/api/"
NAMES = list(PROCEDURES)


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def text(response: Any) -> str:
    return unescape(response.content.decode())


def section(page: str, id: str) -> str:
    found = re.search(rf'<section [^>]*id="{re.escape(id)}".*?</section>', page, re.DOTALL)
    assert found, id
    return found[0]


def blocks(page: str, title: str) -> list[str]:
    """The examples under that title."""
    of = rf'<p class="example-title">{re.escape(title)}</p>\s*<pre[^>]*><code>(.*?)</code></pre>'
    return [unescape(code) for code in re.findall(of, page, re.DOTALL)]


def page_of(person: Any) -> str:
    response = signed_in(person).get(PAGE)
    assert response.status_code == 200
    return response.content.decode()


# ---- Made from the registry


@pytest.mark.parametrize("name", NAMES)
def test_each_procedure_is_documented(owner: Any, project: Any, name: str) -> None:
    one, said = PROCEDURES[name], unescape(section(page_of(owner), name))
    plain = re.sub("<[^>]+>", "", said)
    assert f">{one.kind}</small>" in said
    assert " ".join(one.help.split()).replace("`", "") in plain
    for field, schema in _input_schema(one)["properties"].items():
        shown = re.search(rf"<dt><code>{field}</code>.*?</dd>", said, re.DOTALL)[0]
        assert schema.get("description", "").replace("`", "") in re.sub("<[^>]+>", "", shown)
        assert ("optional" in shown) == (field not in _input_schema(one)["required"])
        assert all(f"{choice}" in shown for choice in schema.get("enum", []))


@pytest.mark.parametrize("name", NAMES)
def test_the_output_is_outlined_to_its_last_field(owner: Any, project: Any, name: str) -> None:
    said = unescape(section(page_of(owner), name))
    outline = re.search(r"<h3>Output</h3>\s*<pre[^>]*><code>(.*?)</code>", said, re.DOTALL)[1]
    shown = re.findall(r"^\s*(\w+): ", outline, re.MULTILINE)
    assert shown == list(_leaves(PROCEDURES[name].output.json_schema(mode="serialization")))


def _input_schema(one: Procedure) -> dict[str, Any]:
    return one.input.model_json_schema() if one.input else {"properties": {}, "required": []}


def _leaves(schema: dict[str, Any], named: dict[str, Any] | None = None) -> Iterator[str]:
    """Names of fields, in the order of their first mention, those of objects within after their own."""
    named = schema.get("$defs", {}) if named is None else named
    if "$ref" in schema:
        schema = named[schema["$ref"].removeprefix("#/$defs/")]
    for within in (*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])):
        yield from _leaves(within, named)
    for name, of in schema.get("properties", {}).items():
        yield name
        yield from _leaves(of, named)


def test_an_outline_is_nested_and_says_what_may_be_null(owner: Any) -> None:
    said = re.sub("<[^>]+>", "", unescape(section(page_of(owner), "aiCost.getMonthlySummary")))
    assert "\n  topRuns: [{\n    runId: string\n" in said
    assert "\n    startedAt: string | null  // ISO 8601 in UTC, with Z.\n" in said
    assert '\n  budgetState: "green" | "yellow" | "red" | null\n' in said
    assert "\n  forecast: {  // Only for the current month" in said
    assert "\n    monthEnd: number  //" in said
    assert said.count("\n  } | null\n}") == 1


def test_limits_of_numbers_are_said(owner: Any) -> None:
    said = section(page_of(owner), "aiCost.setBudgetLimit")
    assert "more than 0, at most 1,000,000,000" in said


def test_what_help_quotes_as_code_is_code(owner: Any) -> None:
    page = page_of(owner)
    assert "<dd><code>YYYY-MM</code>; the current month if left out." in page
    assert "a token needs the scope <code>write</code>." in page


def test_every_input_that_is_required_has_a_value_in_the_examples() -> None:
    required = {
        name
        for one in PROCEDURES.values()
        for name, field in (one.input.model_fields if one.input else {}).items()
        if field.is_required()
    }
    assert required == {"projectId", *VALUES}


def test_the_batch_limit_is_the_settings(owner: Any, settings: Any) -> None:
    settings.RPC_MAX_BATCH = 37
    page = page_of(owner)
    assert "up to 37 calls" in page
    assert "maxItems: 37," in page


# ---- Examples are true


@pytest.fixture
def busy(project: Any) -> Any:
    usage(project, costDollars="3")
    return project


def curl(command: str, secret: str) -> Any:
    """What the test client gets for a curl command."""
    words = shlex.split(command.replace("\\\n", "").replace("$AICOST_TOKEN", secret))
    assert words.pop(0) == "curl"
    given: dict[str, list[str]] = {"-H": [], "-d": [], "--data-urlencode": []}
    as_query = "-G" in words and not words.remove("-G")  # type: ignore[func-returns-value]
    [address] = [words.pop(words.index(word)) for word in words[:] if word.startswith("http")]
    for option, value in zip(words[::2], words[1::2], strict=True):
        given[option].append(value)
    headers = dict(header.split(": ", 1) for header in given["-H"])
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == "http://testserver"
    client = Client()
    if given["-d"]:
        return client.post(f"{parts.path}?{parts.query}", *given["-d"], "application/json", headers=headers)
    query = dict(pair.split("=", 1) for pair in [*filter(None, [parts.query]), *given["--data-urlencode"]])
    assert as_query == bool(given["--data-urlencode"])
    return client.get(parts.path, query, headers=headers)


def test_every_trpc_example_is_answered(owner: Any, busy: Any) -> None:
    _, secret = tokens.issue(owner, scope="write")
    commands = blocks(page_of(owner), "tRPC, curl")
    assert len(commands) == len(PROCEDURES) + 1
    for command, name in zip(commands, NAMES, strict=False):
        assert f"/{name}" in command
        answer = curl(command, secret)
        assert answer.status_code == 200, answer.content
        assert answer.json()["result"]["data"]
    batch = curl(commands[-1], secret)
    assert batch.status_code == 200
    assert [list(member) for member in batch.json()] == [["result"], ["result"]]


def test_every_json_rpc_example_is_answered(owner: Any, busy: Any) -> None:
    _, secret = tokens.issue(owner, scope="write")
    commands = blocks(page_of(owner), "JSON-RPC, curl")
    assert len(commands) == len(PROCEDURES) + 1
    for command, name in zip(commands, NAMES, strict=False):
        assert f'"{name}"' in command
        assert curl(command, secret).json()["result"]
    assert [member["id"] for member in curl(commands[-1], secret).json() if "result" in member] == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_shell_runs_every_curl_example(owner: Any, busy: Any, live_server: Any) -> None:
    if not shutil.which("curl"):
        missing("curl", "install curl")
    _, secret = tokens.issue(owner, scope="write")
    page = signed_in(owner).get(PAGE, headers={"host": urlsplit(live_server.url).netloc}).content.decode()
    for title in ("tRPC, curl", "JSON-RPC, curl"):
        for command in blocks(page, title):
            told = subprocess.run(
                ["sh", "-c", command],
                env={**os.environ, "AICOST_TOKEN": secret, "no_proxy": "*"},
                capture_output=True,
                text=True,
                check=True,
            )
            assert '"result"' in told.stdout
            assert '"error"' not in told.stdout


WRONG = "// @ts-expect-error: the types know a mutation\nawait client.aiCost.setBudgetLimit.query();"


def test_a_compiler_accepts_every_typescript_example(owner: Any, project: Any, tmp_path: Path) -> None:
    node = executable("node")
    *calls, client = blocks(page_of(owner), "TypeScript")
    assert len(calls) == len(PROCEDURES)
    shutil.copy(finders.find(api_shown.TYPES), tmp_path)
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    process = "declare const process: { env: Record<string, string | undefined> };"
    scopes = (f"{{ {one} }}" for one in calls)  # each says `const answer`
    (tmp_path / "program.ts").write_text("\n".join([client, process, *scopes, WRONG]))
    compiler = [node, "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck"]
    modules = ["--module", "esnext", "--target", "esnext", "--moduleResolution", "bundler"]
    told = subprocess.run(
        [*compiler, *modules, "program.ts"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout


# ---- Errors are true


def documented_mistakes(page: str, id: str) -> list[tuple[str, str, int, int, int]]:
    rows = re.findall(r"<tr>\s*<th scope=\"row\".*?</tr>", section(page, id), re.DOTALL)
    cells = [re.sub(r'<span class="unit">[^<]*</span>', "", row) for row in rows]
    found = [re.findall(r"<(?:code|td[^>]*)>([^<]*)<", row) for row in cells]
    return [(key, unescape(when), int(http), int(trpc), int(rpc)) for key, when, http, trpc, rpc in found]


def call(one: Procedure, given: Any, secret: str = "") -> tuple[Any, Any]:
    """The answers of both transports."""
    client, headers = Client(), {"authorization": f"Bearer {secret}"} if secret else {}
    if one.kind == "mutation":
        body = json.dumps(given)
        trpc = client.post(f"/api/trpc/{one.name}", body, "application/json", headers=headers)
    else:
        trpc = client.get(f"/api/trpc/{one.name}", {"input": json.dumps(given)}, headers=headers)
    request = {"jsonrpc": "2.0", "id": 1, "method": one.name, "params": given}
    return trpc, client.post("/api/rpc", json.dumps(request), "application/json", headers=headers)


def told(trpc: Any, rpc: Any) -> tuple[str, int, int, int]:
    error = trpc.json()["error"]
    assert trpc.status_code == error["data"]["httpStatus"]
    return error["data"]["code"], trpc.status_code, error["code"], rpc.json()["error"]["code"]


@pytest.mark.parametrize("name", NAMES)
def test_each_error_of_a_procedure_is_what_its_callers_get(owner: Any, project: Any, name: str) -> None:
    one = PROCEDURES[name]
    given = Site("", "", str(project.pk)).input(one)
    _, good = tokens.issue(owner, scope="write")
    _, weak = tokens.issue(owner, scope="read" if one.need == "reserve" else "ingest", project=project)
    answers = {
        "UNAUTHORIZED": lambda: call(one, given),
        "BAD_REQUEST": lambda: call(one, {**given, "nonsense": 1}, good),
        "NOT_FOUND": lambda: call(one, {**given, "projectId": "999999"}, good),
        "FORBIDDEN": lambda: call(one, given, weak),
    }
    listed = documented_mistakes(page_of(owner), name)
    never = set() if one.input else {"BAD_REQUEST", "NOT_FOUND"}
    if one.need == "ask":
        never = {"FORBIDDEN"}
        assert call(one, given, weak)[0].status_code == 200
    assert {key for key, *_ in listed} == set(answers) - never
    for key, _, *numbers in listed:
        assert told(*answers[key]()) == (key, *numbers)


def test_each_error_of_any_call_is_what_callers_get(
    owner: Any, project: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = documented_mistakes(page_of(owner), "errors")
    provoked = dict(_provocations(owner, project, settings, monkeypatch))
    assert [when for _, when, *_ in listed] == list(provoked)
    for key, when, *numbers in listed:
        assert told(*provoked[when]()) == (key, *numbers), when


def _provocations(
    owner: Any, project: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Callable[[], tuple[Any, Any]]]]:
    one = PROCEDURES["aiCost.setBudgetLimit"]
    given = Site("", "", str(project.pk)).input(one)
    _, secret = tokens.issue(owner, scope="write")
    client = Client(headers={"authorization": f"Bearer {secret}"})
    address = f"/api/trpc/{one.name}"

    def post(body: str, kind: str = "application/json", query: str = "") -> tuple[Any, Any]:
        return client.post(address + query, body, kind), client.post("/api/rpc", body, kind)

    def failing(error: Exception) -> tuple[Any, Any]:
        def function(*_: Any) -> Any:
            raise error

        monkeypatch.setitem(PROCEDURES, one.name, replace(one, function=function))
        return call(one, given, secret)

    def too_many() -> tuple[Any, Any]:
        settings.RPC_MAX_BATCH = 1
        body = json.dumps([{"jsonrpc": "2.0", "id": 1, "method": one.name}] * 2)
        return client.post(f"{address},{one.name}?batch=1", "{}", "application/json"), client.post(
            "/api/rpc", body, "application/json"
        )

    def too_large() -> tuple[Any, Any]:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        answers = post(json.dumps(given))
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
        return answers

    def guessing() -> tuple[Any, Any]:
        cache.clear()
        answers = [call(one, given, "guess") for _ in range(11)][-1]
        cache.clear()
        return answers

    yield "The procedure doesn't exist.", lambda: call(replace(one, name="aiCost.none"), given, secret)
    yield "The request body is not JSON.", lambda: post("{")
    yield "The batch has too many calls.", too_many
    yield (
        "The HTTP method is wrong. Use GET for tRPC queries, and POST for tRPC mutations and JSON-RPC.",
        lambda: (client.get(address), client.get("/api/rpc")),
    )
    yield "The Content-Type of a POST is not application/json.", lambda: post("{}", "text/plain")
    yield "The request is too large.", too_large
    yield "More than 20 invalid tokens came from one address within a minute.", guessing
    yield "The database is busy; try again.", lambda: failing(OperationalError("busy"))
    yield "Something went wrong on the server.", lambda: failing(RuntimeError("secret detail"))


def test_every_code_of_the_server_is_documented(owner: Any) -> None:
    codes = {code.key for code in vars(errors).values() if isinstance(code, errors.ErrorCode)}
    page = page_of(owner)
    listed = {key for id in (*NAMES, "errors") for key, *_ in documented_mistakes(page, id)}
    # JSON-RPC's alone: what is no JSON is a BAD_REQUEST of tRPC's.
    assert codes - listed <= {"PARSE_ERROR"}
    assert listed <= codes


# ---- Whose product the examples speak of


def test_the_examples_rather_speak_of_a_product_that_one_may_change(viewer: Any, project: Any) -> None:
    page = page_of(viewer)
    assert f'"projectId": "{project.pk}"' in unescape(page)
    assert "you can only read it" in page
    managed = ProjectFactory()
    MembershipFactory(project=managed, user=viewer, role="manager")
    page = page_of(viewer)
    assert f'"projectId": "{managed.pk}"' in unescape(page)
    assert "you can only read it" not in page
    owned = ProjectFactory(owner=viewer)
    assert f'"projectId": "{owned.pk}"' in unescape(page_of(viewer))


def test_where_one_only_reads_the_examples_of_changes_are_forbidden_as_said(
    viewer: Any, project: Any
) -> None:
    _, secret = tokens.issue(viewer, scope="write")
    for command, one in zip(blocks(page_of(viewer), "tRPC, curl"), PROCEDURES.values(), strict=False):
        assert curl(command, secret).status_code == (403 if one.kind == "mutation" else 200)


def test_who_sees_no_product_is_told_what_to_put(stranger: Any, project: Any) -> None:
    ProjectFactory(owner=stranger, name="Mothballed", archived_at=project.created_at)
    page = unescape(page_of(stranger))
    assert '"projectId": "PROJECT_ID"' in page
    assert "you don't have access to a product yet" in page
    assert project.name not in page
    assert "Mothballed" not in page


# ---- The page


def test_the_types_are_offered_where_they_are(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    link = f'href="/static/{api_shown.TYPES}" download="app-router.d.ts"'
    monkeypatch.setattr(api_shown.finders, "find", lambda path: path)
    assert link in page_of(owner)
    monkeypatch.setattr(api_shown.finders, "find", lambda path: None)
    assert link not in page_of(owner)


def test_who_is_not_signed_in_is_sent_to_sign_in(client: Client) -> None:
    response = client.get(PAGE)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("sign-in"))


def test_it_is_only_read(owner: Any) -> None:
    assert signed_in(owner).post(PAGE).status_code == 405


def test_it_stands_beside_the_transports_addresses(owner: Any) -> None:
    client = signed_in(owner)
    assert client.get("/api/trpc/").status_code == 404
    assert client.get("/api/rpc").status_code == 405
    assert client.get("/api")["Location"] == PAGE


def test_the_sidebar_leads_here_and_says_so(owner: Any) -> None:
    assert f'href="{PAGE}"' in text(signed_in(owner).get("/"))
    assert f'href="{PAGE}" aria-current="page"' in page_of(owner)


def test_every_anchor_of_the_page_is_there(owner: Any, project: Any) -> None:
    page = page_of(owner)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert set(NAMES) <= set(ids)


def test_it_has_no_inline_script_or_style(owner: Any, project: Any) -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]* src=)|javascript:", page_of(owner))


def test_it_asks_the_database_a_fixed_number_of_times(owner: Any, viewer: Any, project: Any) -> None:
    def queries(person: Any) -> int:
        client = signed_in(person)
        with CaptureQueriesContext(connection) as found:
            assert client.get(PAGE).status_code == 200
        return len(found)

    assert queries(owner) == 3  # session, user, a product of his own
    assert queries(viewer) == 6  # session, user; none owned, none managed, one seen; the role there
