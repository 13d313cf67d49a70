"""The API page documents the whole registry; its examples work, and its errors are those that callers get."""

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
from aicost.presentation.api_docs import procedures as api_page
from aicost.presentation.api_docs.examples import VALUES, Site
from products import tokens
from tests.clients.node import FOLDER, executable
from tests.conftest import missing
from tests.factories import MembershipFactory, ProjectFactory, usage

pytestmark = [pytest.mark.django_db, pytest.mark.once]

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
    """The examples with that title."""
    of = rf'<p class="example-title">{re.escape(title)}</p>\s*<pre[^>]*><code>(.*?)</code></pre>'
    return [unescape(code) for code in re.findall(of, page, re.DOTALL)]


def page_of(person: Any) -> str:
    response = signed_in(person).get(PAGE)
    assert response.status_code == 200
    return response.content.decode()


# ---- The registry


@pytest.mark.parametrize("name", NAMES)
def test_each_procedure_is_documented(owner: Any, project: Any, name: str) -> None:
    procedure, shown = PROCEDURES[name], unescape(section(page_of(owner), name))
    plain = re.sub("<[^>]+>", "", shown)
    assert f">{procedure.kind}</small>" in shown
    assert " ".join(procedure.help.split()).replace("`", "") in plain
    for field, schema in _input_schema(procedure)["properties"].items():
        entry = re.search(rf"<dt><code>{field}</code>.*?</dd>", shown, re.DOTALL)[0]
        assert schema.get("description", "").replace("`", "") in re.sub("<[^>]+>", "", entry)
        assert ("optional" in entry) == (field not in _input_schema(procedure)["required"])
        assert all(f"{choice}" in shown for choice in schema.get("enum", []))


@pytest.mark.parametrize("name", NAMES)
def test_the_outline_has_every_field_of_the_output(owner: Any, project: Any, name: str) -> None:
    said = unescape(section(page_of(owner), name))
    outline = re.search(r"<h3>Output</h3>\s*<pre[^>]*><code>(.*?)</code>", said, re.DOTALL)[1]
    shown = re.findall(r"^\s*(\w+): ", outline, re.MULTILINE)
    assert shown == list(_field_names(PROCEDURES[name].output.json_schema(mode="serialization")))


def _input_schema(procedure: Procedure) -> dict[str, Any]:
    return procedure.input.model_json_schema() if procedure.input else {"properties": {}, "required": []}


def _field_names(schema: dict[str, Any], named: dict[str, Any] | None = None) -> Iterator[str]:
    """The names of all fields in order; those of a nested object come after the name of its field."""
    named = schema.get("$defs", {}) if named is None else named
    if "$ref" in schema:
        schema = named[schema["$ref"].removeprefix("#/$defs/")]
    for nested in (*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])):
        yield from _field_names(nested, named)
    for name, of in schema.get("properties", {}).items():
        yield name
        yield from _field_names(of, named)


def test_an_outline_is_nested_and_shows_what_can_be_null(owner: Any) -> None:
    said = re.sub("<[^>]+>", "", unescape(section(page_of(owner), "aiCost.getMonthlySummary")))
    assert "\n  topRuns: [{\n    runId: string\n" in said
    assert "\n    startedAt: string | null  // ISO 8601 in UTC, with Z.\n" in said
    assert '\n  budgetState: "green" | "yellow" | "red" | null\n' in said
    assert "\n  forecast: {  // Only for the current month" in said
    assert "\n    monthEnd: number  //" in said
    assert said.count("\n  } | null\n}") == 1


def test_limits_of_numbers_are_shown(owner: Any) -> None:
    said = section(page_of(owner), "aiCost.setBudgetLimit")
    assert "more than 0, at most 1,000,000,000" in said


def test_backticks_become_code(owner: Any) -> None:
    page = page_of(owner)
    assert "<dd><code>YYYY-MM</code>; the current month if left out." in page
    assert "a token needs the scope <code>write</code>." in page


def test_every_required_input_has_an_example_value() -> None:
    required = {
        name
        for one in PROCEDURES.values()
        for name, field in (one.input.model_fields if one.input else {}).items()
        if field.is_required()
    }
    assert required == {"projectId", *VALUES}


def test_the_batch_limit_comes_from_the_settings(owner: Any, settings: Any) -> None:
    settings.RPC_MAX_BATCH = 37
    page = page_of(owner)
    assert "up to 37 calls" in page
    assert "maxItems: 37," in page


# ---- Examples


@pytest.fixture
def busy(project: Any) -> Any:
    usage(project, costDollars="3")
    return project


def curl(command: str, secret: str) -> Any:
    """The test client's response to a curl command."""
    words = shlex.split(command.replace("\\\n", "").replace("$AICOST_TOKEN", secret))
    assert words.pop(0) == "curl"
    options: dict[str, list[str]] = {"-H": [], "-d": [], "--data-urlencode": []}
    as_query = "-G" in words and not words.remove("-G")  # type: ignore[func-returns-value]
    [address] = [words.pop(words.index(word)) for word in words[:] if word.startswith("http")]
    for option, value in zip(words[::2], words[1::2], strict=True):
        options[option].append(value)
    headers = dict(header.split(": ", 1) for header in options["-H"])
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == "http://testserver"
    client = Client()
    if options["-d"]:
        return client.post(f"{parts.path}?{parts.query}", *options["-d"], "application/json", headers=headers)
    query = dict(pair.split("=", 1) for pair in [*filter(None, [parts.query]), *options["--data-urlencode"]])
    assert as_query == bool(options["--data-urlencode"])
    return client.get(parts.path, query, headers=headers)


def test_every_trpc_example_works(owner: Any, busy: Any) -> None:
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


def test_every_json_rpc_example_works(owner: Any, busy: Any) -> None:
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
            result = subprocess.run(
                ["sh", "-c", command],
                env={**os.environ, "AICOST_TOKEN": secret, "no_proxy": "*"},
                capture_output=True,
                text=True,
                check=True,
            )
            assert '"result"' in result.stdout
            assert '"error"' not in result.stdout


WRONG = "// @ts-expect-error: the types know a mutation\nawait client.aiCost.setBudgetLimit.query();"


@pytest.mark.once
def test_a_compiler_accepts_every_typescript_example(owner: Any, project: Any, tmp_path: Path) -> None:
    node = executable("node")
    *calls, client = blocks(page_of(owner), "TypeScript")
    assert len(calls) == len(PROCEDURES)
    shutil.copy(finders.find(api_page.TYPES), tmp_path)
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    process = "declare const process: { env: Record<string, string | undefined> };"
    scopes = (f"{{ {one} }}" for one in calls)  # each declares `const answer`
    (tmp_path / "program.ts").write_text("\n".join([client, process, *scopes, WRONG]))
    compiler = [node, "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck"]
    modules = ["--module", "esnext", "--target", "esnext", "--moduleResolution", "bundler"]
    result = subprocess.run(
        [*compiler, *modules, "program.ts"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


# ---- Errors


def documented_errors(page: str, id: str) -> list[tuple[str, str, int, int, int]]:
    rows = re.findall(r"<tr>\s*<th scope=\"row\".*?</tr>", section(page, id), re.DOTALL)
    cells = [re.sub(r'<span class="unit">[^<]*</span>', "", row) for row in rows]
    found = [re.findall(r"<(?:code|td[^>]*)>([^<]*)<", row) for row in cells]
    return [(key, unescape(when), int(http), int(trpc), int(rpc)) for key, when, http, trpc, rpc in found]


def call(procedure: Procedure, input_: Any, secret: str = "") -> tuple[Any, Any]:
    """The responses of both transports."""
    client, headers = Client(), {"authorization": f"Bearer {secret}"} if secret else {}
    if procedure.kind == "mutation":
        body = json.dumps(input_)
        trpc = client.post(f"/api/trpc/{procedure.name}", body, "application/json", headers=headers)
    else:
        trpc = client.get(f"/api/trpc/{procedure.name}", {"input": json.dumps(input_)}, headers=headers)
    request = {"jsonrpc": "2.0", "id": 1, "method": procedure.name, "params": input_}
    return trpc, client.post("/api/rpc", json.dumps(request), "application/json", headers=headers)


def error_codes(trpc: Any, rpc: Any) -> tuple[str, int, int, int]:
    error = trpc.json()["error"]
    assert trpc.status_code == error["data"]["httpStatus"]
    return error["data"]["code"], trpc.status_code, error["code"], rpc.json()["error"]["code"]


@pytest.mark.parametrize("name", NAMES)
def test_callers_of_a_procedure_get_the_documented_errors(owner: Any, project: Any, name: str) -> None:
    procedure = PROCEDURES[name]
    given = Site("", "", str(project.pk)).input(procedure)
    _, good = tokens.issue(owner, scope="write")
    _, weak = tokens.issue(owner, scope="read" if procedure.need == "reserve" else "ingest", project=project)
    answers = {
        "UNAUTHORIZED": lambda: call(procedure, given),
        "BAD_REQUEST": lambda: call(procedure, {**given, "nonsense": 1}, good),
        "NOT_FOUND": lambda: call(procedure, {**given, "projectId": "999999"}, good),
        "FORBIDDEN": lambda: call(procedure, given, weak),
    }
    listed = documented_errors(page_of(owner), name)
    never = set() if procedure.input else {"BAD_REQUEST", "NOT_FOUND"}
    if procedure.need == "ask":
        never = {"FORBIDDEN"}
        assert call(procedure, given, weak)[0].status_code == 200
    assert {key for key, *_ in listed} == set(answers) - never
    for key, _, *numbers in listed:
        assert error_codes(*answers[key]()) == (key, *numbers)


def test_any_caller_gets_the_documented_errors(
    owner: Any, project: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = documented_errors(page_of(owner), "errors")
    failing_calls = dict(_failing_calls(owner, project, settings, monkeypatch))
    assert [when for _, when, *_ in listed] == list(failing_calls)
    for key, when, *numbers in listed:
        assert error_codes(*failing_calls[when]()) == (key, *numbers), when


def _failing_calls(
    owner: Any, project: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Callable[[], tuple[Any, Any]]]]:
    procedure = PROCEDURES["aiCost.setBudgetLimit"]
    given = Site("", "", str(project.pk)).input(procedure)
    _, secret = tokens.issue(owner, scope="write")
    client = Client(headers={"authorization": f"Bearer {secret}"})
    address = f"/api/trpc/{procedure.name}"

    def post(body: str, kind: str = "application/json", query: str = "") -> tuple[Any, Any]:
        return client.post(address + query, body, kind), client.post("/api/rpc", body, kind)

    def failing(error: Exception) -> tuple[Any, Any]:
        def function(*_: Any) -> Any:
            raise error

        monkeypatch.setitem(PROCEDURES, procedure.name, replace(procedure, function=function))
        return call(procedure, given, secret)

    def too_many() -> tuple[Any, Any]:
        settings.RPC_MAX_BATCH = 1
        body = json.dumps([{"jsonrpc": "2.0", "id": 1, "method": procedure.name}] * 2)
        return client.post(f"{address},{procedure.name}?batch=1", "{}", "application/json"), client.post(
            "/api/rpc", body, "application/json"
        )

    def too_large() -> tuple[Any, Any]:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        answers = post(json.dumps(given))
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
        return answers

    def guessing() -> tuple[Any, Any]:
        cache.clear()
        answers = [call(procedure, given, "guess") for _ in range(11)][-1]
        cache.clear()
        return answers

    yield "The procedure doesn't exist.", lambda: call(replace(procedure, name="aiCost.none"), given, secret)
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


def test_every_error_code_is_documented(owner: Any) -> None:
    codes = {code.key for code in vars(errors).values() if isinstance(code, errors.ErrorCode)}
    page = page_of(owner)
    listed = {key for id in (*NAMES, "errors") for key, *_ in documented_errors(page, id)}
    # Only JSON-RPC has it: over tRPC invalid JSON is a BAD_REQUEST.
    assert codes - listed <= {"PARSE_ERROR"}
    assert listed <= codes


# ---- The product in the examples


def test_the_examples_prefer_a_product_that_the_user_can_change(viewer: Any, project: Any) -> None:
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


def test_examples_of_changes_are_forbidden_to_viewers_as_the_page_says(viewer: Any, project: Any) -> None:
    _, secret = tokens.issue(viewer, scope="write")
    for command, procedure in zip(blocks(page_of(viewer), "tRPC, curl"), PROCEDURES.values(), strict=False):
        assert curl(command, secret).status_code == (403 if procedure.kind == "mutation" else 200)


def test_the_examples_have_a_placeholder_for_users_without_a_product(stranger: Any, project: Any) -> None:
    ProjectFactory(owner=stranger, name="Mothballed", archived_at=project.created_at)
    page = unescape(page_of(stranger))
    assert '"projectId": "PROJECT_ID"' in page
    assert "you don't have access to a product yet" in page
    assert project.name not in page
    assert "Mothballed" not in page


# ---- The page


def test_the_types_are_linked_if_they_exist(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    link = f'href="/static/{api_page.TYPES}" download="app-router.d.ts"'
    monkeypatch.setattr(api_page.finders, "find", lambda path: path)
    assert link in page_of(owner)
    monkeypatch.setattr(api_page.finders, "find", lambda path: None)
    assert link not in page_of(owner)


def test_anonymous_visitors_are_sent_to_sign_in(client: Client) -> None:
    response = client.get(PAGE)
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("sign-in"))


def test_the_page_accepts_no_post(owner: Any) -> None:
    assert signed_in(owner).post(PAGE).status_code == 405


def test_the_page_does_not_shadow_the_endpoints(owner: Any) -> None:
    client = signed_in(owner)
    assert client.get("/api/trpc/").status_code == 404
    assert client.get("/api/rpc").status_code == 405
    assert client.get("/api")["Location"] == PAGE


def test_the_sidebar_links_to_the_page_and_marks_it_as_current(owner: Any) -> None:
    assert f'href="{PAGE}"' in text(signed_in(owner).get("/"))
    assert f'href="{PAGE}" aria-current="page"' in page_of(owner)


def test_every_anchor_exists(owner: Any, project: Any) -> None:
    page = page_of(owner)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert set(NAMES) <= set(ids)


def test_the_page_has_no_inline_script_or_style(owner: Any, project: Any) -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]* src=)|javascript:", page_of(owner))


def test_the_page_makes_a_fixed_number_of_queries(owner: Any, viewer: Any, project: Any) -> None:
    def queries(person: Any) -> int:
        client = signed_in(person)
        with CaptureQueriesContext(connection) as found:
            assert client.get(PAGE).status_code == 200
        return len(found)

    assert queries(owner) == 3  # session, user, an owned product
    assert queries(viewer) == 6  # session, user; none owned, none managed, one visible; the role in it
