"""The product answers raw requests like the official tRPC server, with the listed differences."""

import http.client
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.servers.basehttp import WSGIRequestHandler
from django.db import transaction

from aicost.api.procedures import PROCEDURES
from aicost.api.registry import Procedure
from billing.budgets import limits
from products import tokens
from products.access import Caller
from tests.clients.node import Program
from tests.factories import usage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clock"), pytest.mark.once]

# Example input of each procedure, apart from the project.
INPUTS: dict[str, dict[str, Any]] = {
    "aiCost.setBudgetLimit": {"limitDollars": 500},
    "aiCost.reserveBudget": {"estimateDollars": 0.25, "reservationId": "call-1"},
    "aiCost.getDailySpend": {"days": 7},
}
MESSAGES = {
    "nobody": "Sign in, or send a token as `Authorization: Bearer …`.",
    "badToken": "The token is not valid: unknown, revoked or expired.",
    "noProject": "No such product.",
    "scope": "A token with the scope read may not do this.",
}


WRITE = "write"
"""The default token of calls."""


class Response(NamedTuple):
    """The parts of a response that must be the same."""

    status: int
    type: str
    allow: str | None
    vary: frozenset[str]
    body: Any
    message: list[str]


class Wire(NamedTuple):
    """A raw request; `token` is "read", "write" or an invalid text."""

    method: str
    path: str
    body: bytes = b""
    token: str | None = WRITE
    type: str | None = None
    more: tuple[tuple[str, str], ...] = ()


def get(path: str, input_: Any = ..., token: str | None = WRITE, **more: str) -> Wire:
    """A query; `input_` is sent as it is if it is text, so that it need not be JSON."""
    if input_ is not ...:
        text = input_ if isinstance(input_, str) else json.dumps(input_)
        path += f"{'&' if '?' in path else '?'}input={quote(text)}"
    return Wire("GET", path, token=token, more=tuple(more.items()))


def post(path: str, input_: Any = ..., type: str | None = "application/json", **more: Any) -> Wire:
    body = b"" if input_ is ... else input_ if isinstance(input_, bytes) else json.dumps(input_).encode()
    return Wire("POST", path, body, type=type, **more)


S, T = "aiCost.getMonthlySummary", "aiCost.getMonthlyTrend"
C, D = "aiCost.getCrossProjectSummary", "aiCost.getDailySpend"
SET, CLEAR = "aiCost.setBudgetLimit", "aiCost.clearBudgetLimit"
STREAM = {"trpc-accept": "application/jsonl"}
FORM = b'--x\r\nContent-Disposition: form-data; name="projectId"\r\n\r\n1\r\n--x--\r\n'


Differences = dict[tuple[str, str], tuple[str, ...]]
"""By request and part: what the product returns, and what the official server returns."""


def requests(mine: str) -> dict[str, Wire]:
    """The requests sent to both servers, by name."""
    p = {"projectId": mine}
    limit = {**p, "limitDollars": 500}
    two, both = {"0": p, "1": p}, f"{S},{T}?batch=1"
    return {
        **{
            f"{name} without anyone": _call(one, mine)._replace(token=None)
            for name, one in PROCEDURES.items()
        },
        "bad token": get(S, p, token="nonsense"),
        "a query with the scope read": get(S, p, token="read"),
        "a mutation with the scope read": post(SET, limit, token="read"),
        "another's product": get(S, {"projectId": "987654"}),
        "another's product, to change": post(SET, {**limit, "projectId": "987654"}, token="read"),
        # Paths
        "unknown procedure": get("aiCost.getNothing", p),
        "unknown procedure without anyone": get("aiCost.getNothing", p, token=None),
        "the namespace alone": get("aiCost", p),
        "the bare base with a slash": get("", p),
        "another case": get("aicost.getmonthlysummary", p),
        "a longer path": get(f"{S}.more", p),
        "a path with a slash inside": get("aiCost/getMonthlySummary", p),
        "a slash at the end": get(f"{S}/", p),
        "a member of every object": get("aiCost.__proto__", p),
        "a constructor": get("constructor", p),
        "encoded dot": get("aiCost%2EgetMonthlySummary", p),
        "encoded letters": get("%61iCost.getMonthlySummary", p),
        "encoded twice": get("aiCost%252EgetMonthlySummary", p),
        "encoded slash": get("aiCost%2FgetMonthlySummary", p),
        "encoded space": get(f"{S}%20", p),
        "encoded letters beyond ASCII": get("aiCost.%C3%BC%E6%97%A5", p),
        "bad encoding": get("aiCost.%zz", p),
        "cut encoding": get("aiCost.%C", p),
        "encoding that is no UTF-8": get("aiCost.%C3%28", p),
        "bad encoding without anyone": get("aiCost.%zz", token=None),
        "encoded comma without a batch": get(f"{S}%2C{T}", p),
        "encoded comma in a batch": get(f"{S}%2C{T}?batch=1", two),
        "comma without a batch": get(f"{S},{T}", p),
        # Methods
        "HEAD": Wire("HEAD", S),
        "HEAD of nothing": Wire("HEAD", "aiCost.getNothing", token=None),
        "query by POST": post(S, p),
        "mutation by GET": get(SET, limit),
        "mutation by GET without anyone": get(SET, limit, token=None),
        "PUT to a query": post(S, p)._replace(method="PUT"),
        "PUT to a mutation": post(SET, limit)._replace(method="PUT"),
        "PATCH without a content type": Wire("PATCH", S),
        "DELETE without a content type": Wire("DELETE", SET),
        "OPTIONS without a content type": Wire("OPTIONS", S),
        "DELETE of nothing": post("aiCost.getNothing")._replace(method="DELETE"),
        "method override header": post(S, p, more=(("X-HTTP-Method-Override", "GET"),)),
        "queries by POST in a batch": post(both, two),
        "a query by POST and nothing in a batch": post(f"{S},x?batch=1", two),
        "mutations by GET in a batch": get(f"{SET},{CLEAR}?batch=1", {"0": limit, "1": p}),
        "queries by POST in a stream": post(both, two, more=tuple(STREAM.items())),
        # Content types
        "charset": post(SET, limit, "application/json; charset=utf-8"),
        "content type in capitals": post(SET, limit, "Application/JSON"),
        "content type with spaces": post(SET, limit, "application/json  ;x=y"),
        "no content type": post(SET, limit, None),
        "no content type, no body": Wire("POST", SET),
        "no content type without anyone": post(SET, limit, None, token=None),
        "text": post(SET, limit, "text/plain"),
        "text to nothing": post("aiCost.getNothing", limit, "text/plain"),
        "a form": post(SET, b"projectId=1", "application/x-www-form-urlencoded"),
        "JSON by another name": post(SET, limit, "application/jsonx"),
        "JSON of a kind": post(SET, limit, "application/trpc+json"),
        "multipart": post(SET, FORM, "multipart/form-data; boundary=x"),
        "multipart in a batch": post(f"{SET},{CLEAR}?batch=1", FORM, "multipart/form-data; boundary=x"),
        "multipart in a batch of one": post(f"{SET}?batch=1", FORM, "multipart/form-data; boundary=x"),
        "multipart to a query": post(S, FORM, "multipart/form-data; boundary=x"),
        "multipart by PUT": post(S, FORM, "multipart/form-data; boundary=x")._replace(method="PUT"),
        "multipart by GET": Wire("GET", S, type="multipart/form-data; boundary=x"),
        "octets": post(SET, b"\x00\x01", "application/octet-stream"),
        "octets without anyone": post(SET, b"\x00\x01", "application/octet-stream", token=None),
        "content type on GET, as v10 sends": get(S, p)._replace(type="application/json"),
        "odd content type on GET": get(S, p)._replace(type="text/html"),
        # Inputs
        "no input": get(S),
        "empty input": Wire("GET", f"{S}?input="),
        "null": get(S, None),
        "a text": get(S, '"1"'),
        "a number": get(S, 1),
        "an array": get(S, [p]),
        "true": get(S, True),
        "an empty object": get(S, {}),
        "id as a number": get(S, {"projectId": 1}),
        "an unknown field": get(S, {**p, "x": 1}),
        "null as a month": get(S, {**p, "month": None}),
        "a range of days that is none": get(D, {**p, "days": 8}),
        "days as a text": get(D, {**p, "days": "7"}),
        "malformed JSON": get(S, "{"),
        "JSON with a comma too many": get(S, '{"projectId": "1",}'),
        "NaN": get(S, "NaN"),
        "malformed JSON without anyone": get(S, "{", token=None),
        "malformed JSON to what takes none": get(C, "{"),
        "anything to what takes none": get(C, [1]),
        "null to what takes none": get(C, None),
        "the first input counts": Wire("GET", f"{get(S, p).path}&input=%7B"),
        "unknown query parameters": Wire("GET", f"{get(S, p).path}&x=1&batch=&y"),
        "a thousand query parameters": Wire("GET", f"{get(S, p).path}{'&x=1' * 1100}"),
        "plus for a space": Wire("GET", f"{S}?input=" + quote(json.dumps(p)).replace("%20", "+")),
        "input by the query of a mutation": Wire("POST", get(SET, limit).path, type="application/json"),
        "no body": post(SET),
        "blank body": post(SET, b"  "),
        "body with spaces around": post(SET, b"\n " + json.dumps(limit).encode() + b" \n"),
        "body with a byte order mark": post(SET, b"\xef\xbb\xbf" + json.dumps(limit).encode()),
        "body in UTF-16": post(SET, json.dumps(limit).encode("utf-16")),
        "body that is no UTF-8": post(SET, b'{"projectId": "\xff", "limitDollars": 500}'),
        "malformed body": post(SET, b"{"),
        "body wrapped as another version has it": post(SET, {"input": limit}),
        "the same field twice": post(SET, json.dumps(limit)[:-1].encode() + b', "limitDollars": 500}'),
        "null as a limit": post(SET, {**p, "limitDollars": None}),
        "a limit of 0": post(SET, {**p, "limitDollars": 0}),
        "a limit beyond numbers": post(SET, b'{"projectId": "1", "limitDollars": 1e400}'),
        "a lone surrogate": get(S, '{"projectId": "\\ud800"}'),
        "NUL in an id": get(S, {"projectId": "\0"}),
        "an id of 9 kB": get(S, {"projectId": "1" * 9000}),
        "deep nesting": post(SET, b"[" * 3000 + b"]" * 3000),
        "a body too large": post(SET, b'{"projectId": "' + b"1" * 3_000_000 + b'"}'),
        "a body too large without anyone": post(SET, b" " * 3_000_000, token=None),
        # Batches
        "batch": get(both, two),
        "batch of one": get(f"{S}?batch=1", {"0": p}),
        "batch of mutations": post(f"{SET},{SET}?batch=1", {"0": limit, "1": limit}),
        "batch=0": get(f"{S}?batch=0", p),
        "batch=true": get(f"{S}?batch=true", p),
        "batch=1 twice": get(f"{S}?batch=1&batch=0", {"0": p}),
        "batch=0 first": get(f"{S}?batch=0&batch=1", p),
        "batch=01 with a comma": get(f"{S},{T}?batch=01", two),
        "batch without input": get(both),
        "batch without input of what takes none": get(f"{C},{C}?batch=1"),
        "batch with a key missing": get(both, {"1": p}),
        "batch with keys too many": get(both, {**two, "2": p, "x": 1}),
        "batch with null for a member": get(both, {"0": None, "1": p}),
        "batch with an array": get(both, [p, p]),
        "batch with a text": get(both, '"x"'),
        "batch with null": get(both, None),
        "batch with a number": get(both, 5),
        "batch with malformed JSON": get(f"{S},{C}?batch=1", "{"),
        "batch with malformed JSON, all of it read": get(both, "{"),
        "batch by malformed body": post(f"{SET},{CLEAR}?batch=1", b"{"),
        "batch by no body": post(f"{SET},{CLEAR}?batch=1"),
        "batch with one unknown": get(f"{S},x?batch=1", two),
        "batch of unknowns": get("x,y?batch=1", two),
        "batch with an empty member": get(f"{S},?batch=1", two),
        "batch of nothing": get("?batch=1", two),
        "batch of commas": get(",,,?batch=1"),
        "batch without anyone": get(both, two, token=None),
        "batch with an unknown without anyone": get(f"{S},x?batch=1", two, token=None),
        "batch of different errors": get(f"{S},x,{D}?batch=1", {"0": {"projectId": "9876"}, "2": p}),
        "batch with wrong kinds by POST": post(f"{S},{SET}?batch=1", {"0": p, "1": limit}),
        "batch with wrong kinds by GET": get(f"{SET},{S}?batch=1", {"0": limit, "1": p}),
        "batch with wrong kinds without anyone": get(f"{S},{SET}?batch=1", two, token=None),
        "batch at the cap": get(",".join([C] * settings.RPC_MAX_BATCH) + "?batch=1"),
        "batch beyond the cap": get(",".join([C] * (settings.RPC_MAX_BATCH + 1)) + "?batch=1"),
        "batch of commas beyond the cap": get("," * 200 + "?batch=1"),
        "commas beyond the cap without a batch": get("," * 200),
        # Streams
        "stream": get(both, two, **STREAM),
        "stream of one": get(f"{S}?batch=1", {"0": p}, **STREAM),
        "stream by accept": get(both, two, accept="application/jsonl"),
        "stream by accept among others": get(both, two, accept="text/html, application/jsonl ,*/*"),
        "no stream by accept with a weight": get(both, two, accept="application/jsonl;q=0.9"),
        "no stream by accept where trpc-accept says else": get(
            both, two, **{"trpc-accept": "application/json", "accept": "application/jsonl"}
        ),
        "stream of mutations": post(
            f"{SET},{SET}?batch=1", {"0": limit, "1": limit}, more=tuple(STREAM.items())
        ),
        "stream with errors": get(f"{S},x,{D}?batch=1", {"0": p, "2": p}, **STREAM),
        "stream of errors": get("x,y?batch=1", **STREAM),
        "stream without anyone": get(both, two, token=None, **STREAM),
        "stream with malformed JSON": get(f"{S},{C}?batch=1", "{", **STREAM),
        "stream without a batch": get(S, p, **STREAM),
        "stream without a batch by accept": get(S, p, accept="application/jsonl"),
        "stream without a batch of nothing": get("x", p, **STREAM),
        "stream of wrong kinds": get(f"{S},{SET}?batch=1", two, **STREAM),
        "stream beyond the cap": get("," * 200 + "?batch=1", **STREAM),
        # Last, because one of them clears the limit that others return.
        **{f"{name} works": _call(PROCEDURES[name], mine) for name in sorted(PROCEDURES, key=CLEAR.__eq__)},
    }


def _call(procedure: Procedure, mine: str) -> Wire:
    input_ = {"projectId": mine, **INPUTS.get(procedure.name, {})} if procedure.input else ...
    return get(procedure.name, input_) if procedure.kind == "query" else post(procedure.name, input_)


class Meant(NamedTuple):
    """An intended difference: in which requests (a pattern of names), in which parts, and why."""

    requests: str
    parts: str
    why: str


MEANT = (
    Meant(
        r"bad encoding.*|cut encoding|encoding that is no.*|.* without a content type|no content type.*"
        r"|text.*|a form|JSON (by another name|of a kind)|.* of wrong kinds.*|batch with wrong kinds.*"
        r"|(batch|stream|batch of commas) beyond the cap|stream without a batch.*",
        "type",
        "It sends errors of whole requests, which are JSON, as text.",
    ),
    Meant(
        r"a slash at the end", "status body message", "Only its adapter for bare Node.js takes a slash off."
    ),
    Meant(
        r"bad encoding.*|cut encoding|encoding that is no.*", "message", "Ours does not repeat hostile paths."
    ),
    Meant(
        r"commas beyond the cap without a batch", "message", "Ours cuts a long path; data.path has all of it."
    ),
    Meant(
        r"(PATCH|DELETE|OPTIONS) without a content type|no content type.*|text.*|a form|JSON (by|of) .*",
        "message",
        "Its quotation mark never ends; and the server of this test calls no type text/plain.",
    ),
    Meant(r"multipart by PUT", "type allow body message", "Ours says the path, and which method is allowed."),
    Meant(r"multipart by GET", "type status body message", "A GET has no body, so its type means nothing."),
    Meant(r"a thousand query parameters", "status body message", "Django's limit; no client sends any."),
    Meant(r"body that is no UTF-8", "status body message", "It reads what is not UTF-8 as U+FFFD."),
    Meant(r"a body too large", "message", "Its message is the code once more."),
    Meant(r"(batch|stream|batch of commas) beyond the cap", "message", "Ours says how many are allowed."),
)


@pytest.fixture
def official(config: dict[str, Any]) -> Iterator[int]:
    """The port of the official server."""
    with Program("official.mjs") as program:
        yield program.ask(config)


@pytest.fixture
def config(project: Any, owner: Any) -> dict[str, Any]:
    """The configuration that makes the official server answer like the product."""
    usage(project, costDollars="1.25", inputTokens=10)
    limits.set_limit(project, Decimal(INPUTS["aiCost.setBudgetLimit"]["limitDollars"]), by=owner)
    return {
        "procedures": [_definition(one, project, owner) for one in PROCEDURES.values()],
        "tokens": {tokens.issue(owner, scope=scope)[1]: scope for scope in ("read", "write")},
        "projectId": str(project.pk),
        "messages": MESSAGES,
        "maxBatchSize": settings.RPC_MAX_BATCH,
        "maxBodySize": settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    }


def _definition(procedure: Procedure, project: Any, owner: Any) -> dict[str, Any]:
    with transaction.atomic():
        data = procedure.call(Caller(owner), {"projectId": str(project.pk), **INPUTS.get(procedure.name, {})})
        transaction.set_rollback(True)  # keeps the limit for the requests that follow
    return {"name": procedure.name, "kind": procedure.kind, "fields": _fields(procedure), "data": data}


def _fields(procedure: Procedure) -> dict[str, Any] | None:
    if procedure.input is None:
        return None
    schema = procedure.input.model_json_schema()
    return {
        name: {"required": name in schema["required"], "check": field.get("enum", field["type"])}
        for name, field in schema["properties"].items()
    }


def send(port: int, wire: Wire, token: str | None) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {**dict(wire.more), **({"Content-Type": wire.type} if wire.type else {})}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    connection.request(wire.method, f"/api/trpc/{wire.path}", wire.body or None, headers)
    response = connection.getresponse()
    envelopes = _envelopes(response.read().decode())
    messages = _messages(envelopes)
    connection.close()
    return Response(
        response.status,
        response.headers.get("Content-Type", "").lower(),
        response.headers.get("Allow"),
        frozenset(re.findall(r"[^, ]+", response.headers.get("Vary", "").lower())),
        envelopes,
        messages,
    )


def _envelopes(body: str) -> Any:
    if not body:
        return None
    return _stream(body) if body.endswith("\n") else json.loads(body)


def _messages(envelopes: Any) -> list[str]:
    """The error messages of envelopes, except for input errors, which each server words differently."""
    members = envelopes if isinstance(envelopes, list) else [envelopes or {}]
    errors = [one["error"] for one in members if "error" in one]
    taken = [(error["data"], error.pop("message")) for error in errors]
    return ["" if data["code"] == "BAD_REQUEST" and "path" in data else message for data, message in taken]


def _stream(body: str) -> list[Any]:
    """The envelopes of a stream. Its first line announces the others, which come in any order."""
    head, *lines = map(json.loads, body.splitlines())
    chunks = {number: part for number, fulfilled, part in lines if fulfilled == 0}

    def whole(part: list[Any]) -> Any:
        [value], *announced = part
        for key, _, number in announced:
            if key is None:
                value = whole(chunks[number])
            else:
                value[key] = whole(chunks[number])
        return value

    return [whole(head[str(position)]) for position in range(len(head))]


def differences(ours: Response, theirs: Response) -> set[str]:
    """The parts that differ. `Vary` may list more headers: the product also has sessions and CORS."""
    parts = {part for part in Response._fields if getattr(ours, part) != getattr(theirs, part)}
    return parts - {"vary"} if ours.vary >= theirs.vary else parts


def compared(official: int, config: dict[str, Any], ours: int, wires: dict[str, Wire]) -> Differences:
    texts = {scope: text for text, scope in config["tokens"].items()}
    found: Differences = {}
    for name, wire in wires.items():
        cache.clear()  # of bad tokens
        token = texts.get(wire.token or "", wire.token)
        answers = [send(port, wire, token) for port in (ours, official)]
        for part in differences(*answers):
            found[name, part] = tuple(f"{getattr(answer, part)!r:.500}" for answer in answers)
    return found


def meant(wires: dict[str, Wire]) -> set[tuple[str, str]]:
    return {
        (name, part)
        for name in wires
        for one in MEANT
        if re.fullmatch(one.requests, name)
        for part in one.parts.split()
    }


def check(found: Differences, expected: set[tuple[str, str]]) -> None:
    assert {place: answers for place, answers in found.items() if place not in expected} == {}
    assert expected - found.keys() == set(), "meant, but there is no such difference"


def test_responses_match_the_official_server_except_for_intended_differences(
    official: int, config: dict[str, Any], live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Like Gunicorn and uWSGI, this server also passes on the raw path.
    environ = WSGIRequestHandler.get_environ
    monkeypatch.setattr(
        WSGIRequestHandler, "get_environ", lambda self: {**environ(self), "RAW_URI": self.path}
    )
    wires = requests(config["projectId"])
    check(compared(official, config, live_server.thread.port, wires), meant(wires))


def test_responses_match_on_servers_that_pass_only_decoded_paths(
    official: int, config: dict[str, Any], live_server: Any
) -> None:
    every = requests(config["projectId"])
    wires = {name: wire for name, wire in every.items() if "%" in wire.path.partition("?")[0]}
    # A percent sign left in a path is taken for bad encoding: no known path has one.
    twice = {("encoded twice", part) for part in ("status", "body", "message")}
    check(compared(official, config, live_server.thread.port, wires), meant(wires) | twice)
