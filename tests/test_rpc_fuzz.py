"""Fuzzing both RPC endpoints: never a 5xx, an HTML page or a redirect."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

import pytest
from django.test import Client
from django.test.client import FakePayload
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aicost.api.procedures import PROCEDURES
from products import tokens
from tests.calls import check_envelope, check_jsonrpc_response, strict

pytestmark = pytest.mark.once

QUICK = settings(
    phases=[Phase.explicit, Phase.generate],
    max_examples=250,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(
    QUICK,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    max_examples=10_000,
    derandomize=False,
)

MINE = "@project@"
"""A placeholder for the id of a product that the caller may change."""
HUGE = "@huge@"
"""A placeholder for 1e400, which is valid JSON but no Python number."""
CSRF = "C" * 32


@dataclass(frozen=True)
class Sent:
    """A request as a server passes it to Django."""

    method: str
    path: bytes
    query: bytes = b""
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    caller: str = "nobody"
    raw_uri: bool = False
    """Whether the server also passes on the raw path."""


# ---- Requests

anything = st.text(st.characters(exclude_categories=()), max_size=12)  # lone surrogates and NUL, too
odd_numbers = st.sampled_from([0, -1, 0.1 + 0.2, 10**15, 2**63, -(10**400), 1e308, 5e-324, float("nan")])
numbers = st.one_of(odd_numbers, st.integers(), st.floats())
leaves = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    anything,
    st.sampled_from([MINE, HUGE, "2026-03", "x" * 100_000, "\0", "\ud800"]),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(st.sampled_from(["projectId", "month", "days", "0", "1"]), anything), inner
        ),
    ),
    max_leaves=8,
)
months = st.one_of(
    st.sampled_from(["2026-03", "2025-12", "1999-12", "2999-01", "", "2026-3\n", "٢٠٢٦-٠٣"]), values
)
good_inputs = st.fixed_dictionaries(
    {"projectId": st.just(MINE)},
    optional={
        "month": st.just("2026-03"),
        "days": st.sampled_from([7, 14, 30, 90]),
        "limitDollars": st.sampled_from([1, 99.5, 1_000_000_000]),
        "estimateDollars": st.sampled_from([1, 1e-9, 1_000_000]),
        "reservationId": st.sampled_from(["a", "ü/ "]),
    },
)
bad_inputs = st.fixed_dictionaries(
    {"projectId": st.one_of(st.just(MINE), values)},
    optional={
        "month": months,
        "days": values,
        "limitDollars": st.one_of(numbers, values),
        "estimateDollars": st.one_of(numbers, values),
        "reservationId": values,
        "\x1b[31m": values,
    },
)
inputs = st.one_of(good_inputs, bad_inputs, values)
NESTED = st.sampled_from(["[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "[" * 400 + "]" * 400])
LITERALS = st.sampled_from(
    ["1e400", "-1e400", "9" * 5_000, '"\\ud800"', '"\\u0000"', "NaN", "-Infinity", "1" * 300]
)


def repeated(value: Any, times: int) -> list[Any]:
    """Large values are repeated less often, so that the body is refused for its length but fits in memory."""
    return [value] * (times if len(repr(value)) < 2_000 else 101)


@st.composite
def json_texts(draw: st.DrawFn, of: st.SearchStrategy[Any]) -> bytes:
    """A value of `of` as JSON, intact or damaged: truncated, spliced, or with members Python can't write."""
    text = json.dumps(draw(of), ensure_ascii=draw(st.booleans())).replace(f'"{HUGE}"', "1e400")
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("null", draw(st.one_of(LITERALS, NESTED)), 3)
    sent = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)):
        return sent
    at = draw(st.integers(0, len(sent)))
    cut = draw(st.integers(0, 6))
    return sent[:at] + draw(st.binary(max_size=6)) + sent[at + cut :]


def texts(of: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    plain = st.one_of(LITERALS, NESTED).map(str.encode)
    return st.one_of(
        json_texts(of), json_texts(of), json_texts(of), plain, st.binary(max_size=60), st.just(b"")
    )


names = st.sampled_from(list(PROCEDURES))
methods = st.sampled_from(
    ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "QUERY", "get", "\x7f"]
)
content_types = st.one_of(
    st.sampled_from(["", "text/plain", "APPLICATION/JSON ; charset=latin1", "application/octet-stream"]),
    st.sampled_from(
        [
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/json; charset=nonsense",
            "multipart/form-data",
        ]
    ),
    st.text(st.characters(max_codepoint=255), max_size=20),
)
header_values = st.one_of(
    st.sampled_from(
        ["application/jsonl", "Bearer ", "Bearer aicost_" + "x" * 43, "Basic eDp5", "null", "-1", "9" * 30]
    ),
    st.sampled_from(
        ['sessionid="aaaaaaaaaaaa\\000"', "csrftoken=\\000; sessionid=" + "x" * 5000, "https://x.example"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=20),
)
header_names = st.sampled_from(
    [
        *("ACCEPT", "TRPC_ACCEPT", "ACCEPT_ENCODING", "AUTHORIZATION", "COOKIE", "ORIGIN", "REFERER"),
        *("X_CSRFTOKEN", "X_FORWARDED_FOR", "X_HTTP_METHOD_OVERRIDE", "HX_REQUEST", "HX_CURRENT_URL"),
        *("IF_MODIFIED_SINCE", "RANGE", "EXPECT", "ACCESS_CONTROL_REQUEST_METHOD"),
        *("TRANSFER_ENCODING", "CONTENT_LENGTH"),
    ]
)
odd_headers = st.one_of(st.just({}), st.just({}), st.dictionaries(header_names, header_values, max_size=3))
callers = st.sampled_from(["session", "session", "token", "token", "nobody"])

segments = st.one_of(
    names.map(str.encode),
    st.sampled_from(
        [
            b"aiCost",
            b"",
            b"aicost.getmonthlysummary",
            b"__proto__",
            b"%2e%2e",
            b"../rpc",
            b"aiCost%2EgetMonthlyTrend",
        ]
    ),
    st.sampled_from(
        [b"%", b"%zz", b"%ff", b"%00", b"a/b/", b"x" * 9_000, b"aiCost.getMonthlySummary/", b"%252e"]
    ),
    st.binary(max_size=8).map(quote_from_bytes).map(str.encode),
)
paths = st.one_of(
    names.map(str.encode), segments, st.lists(segments, max_size=5).map(b",".join), st.just(b"," * 2_000)
)


@st.composite
def trpc_requests(draw: st.DrawFn) -> Sent:
    """A single call or a batch, well-formed or not."""
    path = draw(paths)
    batch = draw(st.booleans())
    members = st.dictionaries(st.sampled_from(["0", "1", "2", "-1", "x"]), inputs, max_size=4)
    text = draw(texts(st.one_of(members, inputs) if batch else inputs))
    kinds = {procedure.kind for name, procedure in PROCEDURES.items() if name.encode() in path}
    usual = "POST" if kinds == {"mutation"} else "GET"
    method = draw(st.one_of(st.just(usual), st.just(usual), st.sampled_from(["GET", "POST"]), methods))
    query = (
        [draw(st.sampled_from([b"batch=1", b"batch=1", b"batch=0", b"batch=%", b"batch=1&batch=2"]))]
        if batch
        else []
    )
    if method != "POST":
        query.append(b"input=" + quote(text, safe='{}[]",:' if draw(st.booleans()) else "").encode())
    around = draw(surroundings())
    query.append(draw(odd_queries(around["content_type"])))
    return Sent(
        method=method,
        path=draw(st.sampled_from([b"/api/trpc/", b"/api/trpc/", b"/api/trpc//"])) + path
        if path
        else b"/api/trpc",
        query=b"&".join(filter(None, query)),
        body=text if method == "POST" else b"",
        **around,
    )


def odd_queries(content_type: str) -> st.SearchStrategy[bytes]:
    """Too many parameters only without a charset.

    With one, Django's own request class reads them too early to answer (`aicost.http.wsgi` avoids that).
    """
    many = [] if "charset" in content_type else [b"a&" * 1_500]
    return st.sampled_from([b"", b"", b"", b"batch=1", b"%ff=%00", b"x=1;y=2", *many])


@st.composite
def surroundings(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "content_type": draw(
            st.one_of(st.just("application/json"), st.just("application/json"), content_types)
        ),
        "headers": draw(odd_headers),
        "caller": draw(callers),
        "raw_uri": draw(st.booleans()),
    }


requests = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": names},
    optional={
        "id": st.one_of(st.integers(), st.sampled_from(["a", HUGE]), values),
        "params": st.one_of(inputs, inputs, st.lists(leaves)),
    },
)
odd_requests = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": values,
        "method": st.one_of(names, values),
        "id": values,
        "params": values,
        "x": values,
    },
)
bodies = st.one_of(
    requests,
    requests,
    odd_requests,
    st.lists(st.one_of(requests, odd_requests, values), max_size=5),
    st.builds(repeated, requests, st.sampled_from([100, 101, 5_000])),
    values,
)


@st.composite
def jsonrpc_requests(draw: st.DrawFn) -> Sent:
    around = draw(surroundings())
    return Sent(
        method=draw(st.one_of(st.just("POST"), st.just("POST"), st.just("POST"), st.just("GET"), methods)),
        path=b"/api/rpc",
        query=draw(odd_queries(around["content_type"])),
        body=draw(texts(bodies)),
        **around,
    )


# ---- Responses


@pytest.fixture
def send(project: Any, owner: Any) -> Callable[[Sent], Any]:
    """Sends a request with the owner's session, the owner's token, or no credentials."""
    signed_in = Client(raise_request_exception=False, enforce_csrf_checks=True)
    nobody = Client(raise_request_exception=False)
    _, text = tokens.issue(owner, scope="write")

    def answer(sent: Sent) -> Any:
        client = signed_in if sent.caller == "session" else nobody
        if sent.caller == "session":
            client.force_login(owner)
            client.cookies["csrftoken"] = CSRF
        return client.request(**environ(sent, str(project.pk), text))

    return answer


def environ(sent: Sent, project: str, token: str) -> dict[str, Any]:
    """The WSGI environment of the request."""
    body = sent.body.replace(MINE.encode(), project.encode())
    query = sent.query.replace(quote(MINE).encode(), project.encode()).replace(
        MINE.encode(), project.encode()
    )
    result = {
        "REQUEST_METHOD": sent.method,
        "PATH_INFO": unquoted(sent.path),
        "QUERY_STRING": query.decode("latin-1"),
        "CONTENT_TYPE": sent.content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": FakePayload(body),
        "HTTP_X_CSRFTOKEN": CSRF,
        **({"HTTP_AUTHORIZATION": f"Bearer {token}"} if sent.caller == "token" else {}),
        **{
            name if name.startswith("CONTENT") else f"HTTP_{name}": value
            for name, value in sent.headers.items()
        },
    }
    if sent.raw_uri:
        result["RAW_URI"] = f"{sent.path.decode('latin-1')}?{result['QUERY_STRING']}"
    return result


def unquoted(path: bytes) -> str:
    """The path as in WSGI: percent-decoded, one character per byte."""
    return unquote_to_bytes(path).decode("latin-1")


def check_any(response: Any) -> None:
    assert response.status_code < 500, response.content[:300]
    assert not 300 <= response.status_code < 400
    assert b"Traceback" not in response.content
    request = response.wsgi_request
    if response.status_code == 204 or request.method == "HEAD" or is_preflight(request):
        assert response.content == b""
    else:
        assert response["Content-Type"] == "application/json"
        assert response.content


def is_preflight(request: Any) -> bool:
    """A CORS preflight, which the middleware answers."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def check_trpc(response: Any) -> None:
    check_any(response)
    if not response.content:
        return
    body = strict(response.content)
    if isinstance(body, list):
        check_batch(response.status_code, body)
    elif response.content.endswith(b"\n"):
        for [[envelope]] in body.values():
            check_envelope(envelope)
    else:
        check_batch(response.status_code, [body])


def check_batch(status: int, envelopes: list[Any]) -> None:
    for envelope in envelopes:
        check_envelope(envelope)
    statuses = {one["error"]["data"]["httpStatus"] if "error" in one else 200 for one in envelopes}
    assert status == (statuses.pop() if len(statuses) == 1 else 207)


def check_jsonrpc(response: Any) -> None:
    check_any(response)
    if not response.content:
        return
    assert response.status_code in (200, 400, 405, 413, 415)
    body = strict(response.content)
    assert body != []
    for answer in body if isinstance(body, list) else [body]:
        check_jsonrpc_response(answer)


def fuzz_trpc(send: Callable[[Sent], Any], profile: settings) -> None:
    @profile
    @given(trpc_requests())
    def every_answer_is_an_envelope(sent: Sent) -> None:
        check_trpc(send(sent))

    every_answer_is_an_envelope()


def fuzz_jsonrpc(send: Callable[[Sent], Any], profile: settings) -> None:
    @profile
    @given(jsonrpc_requests())
    def every_answer_is_a_response_object(sent: Sent) -> None:
        check_jsonrpc(send(sent))

    every_answer_is_a_response_object()


SET = b"/api/trpc/aiCost.setBudgetLimit"
FOUND = {
    "a length that is no number": Sent("POST", SET, body=b"{}", headers={"CONTENT_LENGTH": "x"}),
    "more parameters than Django reads": Sent("GET", SET, b"a&" * 1_500),
    "a form where JSON is due": Sent("POST", SET, body=b"x", content_type="multipart/form-data"),
    "a charset that decodes no text": Sent("GET", SET, b"batch=1", content_type="x; charset=utf-16"),
    "a session that no database looks for": Sent(
        "POST", SET, headers={"COOKIE": r'sessionid="aaaaaaaa\000"'}
    ),
    "a name of nothing but a lone surrogate": Sent("POST", SET, body=rb'{"\ud800": 1}'),
    "a number beyond all numbers": Sent("POST", SET, body=b'{"projectId": "1", "limitDollars": 1e400}'),
    "the base alone": Sent("POST", b"/api/trpc"),
}
"""Requests that once caused a 5xx or an HTML page, or nearly did."""


@pytest.mark.django_db
@pytest.mark.parametrize("caller", ["session", "token"])
@pytest.mark.parametrize("what", FOUND)
def test_past_failures_stay_fixed(send: Callable[[Sent], Any], what: str, caller: str) -> None:
    response = send(replace(FOUND[what], caller=caller))
    check_trpc(response)
    assert 400 <= response.status_code < 500


@pytest.mark.once
@pytest.mark.django_db
def test_trpc_answers_everything_with_envelopes(send: Callable[[Sent], Any]) -> None:
    fuzz_trpc(send, QUICK)


@pytest.mark.once
@pytest.mark.django_db
def test_jsonrpc_answers_everything_with_response_objects(send: Callable[[Sent], Any]) -> None:
    fuzz_jsonrpc(send, QUICK)


@pytest.mark.long
@pytest.mark.django_db
def test_trpc_answers_everything_with_envelopes_long_run(send: Callable[[Sent], Any]) -> None:
    fuzz_trpc(send, LONG)


@pytest.mark.long
@pytest.mark.django_db
def test_jsonrpc_answers_everything_with_response_objects_long_run(send: Callable[[Sent], Any]) -> None:
    fuzz_jsonrpc(send, LONG)
