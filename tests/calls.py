"""Call procedures as clients do, and check the form of every response, for both transports."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.test import Client

from aicost.api import errors
from aicost.api.procedures import PROCEDURES

OK = "OK"
CODES = {value.key: value for value in vars(errors).values() if isinstance(value, errors.ErrorCode)}
KEY_OF_JSONRPC = {code.jsonrpc: code.key for code in CODES.values()}


class Json(str):
    """Literal JSON that Python values can't express, such as `1e400` or a repeated member."""


@dataclass(frozen=True)
class Result:
    """The result of a call over either transport: `OK` with data, or an error key with a message."""

    code: str
    data: Any = None
    message: str = ""


def as_json(value: Any) -> str:
    return value if isinstance(value, Json) else json.dumps(value)


def trpc(client: Client, name: str, given: Any = None, **headers: str) -> Any:
    """The response to one call, as the official client sends it."""
    address = f"/api/trpc/{name}"
    if PROCEDURES[name].kind == "mutation":
        return client.post(address, as_json(given), content_type="application/json", headers=headers)
    sent = "" if given is None else f"?input={quote(as_json(given))}"
    return client.get(address + sent, headers=headers)


def jsonrpc(client: Client, name: str, given: Any = None, **headers: str) -> Any:
    params = "" if given is None else f', "params": {as_json(given)}'
    body = f'{{"jsonrpc": "2.0", "id": 1, "method": "{name}"{params}}}'
    return client.post("/api/rpc", body, content_type="application/json", headers=headers)


def trpc_result(response: Any) -> Result:
    envelope = strict(response.content)
    check_envelope(envelope)
    if "result" in envelope:
        assert response.status_code == 200
        return Result(OK, envelope["result"]["data"])
    error = envelope["error"]
    assert response.status_code == error["data"]["httpStatus"]
    return Result(error["data"]["code"], message=error["message"])


def jsonrpc_result(response: Any) -> Result:
    answer = strict(response.content)
    check_jsonrpc_response(answer)
    unread = "error" in answer and answer["error"]["code"] == CODES["PARSE_ERROR"].jsonrpc
    assert (response.status_code, answer["id"]) == (200, None if unread else 1)
    if "result" in answer:
        return Result(OK, answer["result"])
    return Result(KEY_OF_JSONRPC[answer["error"]["code"]], message=answer["error"]["message"])


SEND = {"trpc": trpc, "jsonrpc": jsonrpc}
READ = {"trpc": trpc_result, "jsonrpc": jsonrpc_result}


def call(client: Client, transport: str, name: str, given: Any = None, **headers: str) -> Result:
    return READ[transport](SEND[transport](client, name, given, **headers))


def strict(text: bytes) -> Any:
    """Parse strict JSON: in UTF-8, without NaN and Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text.decode(), parse_constant=refuse)


def check_envelope(envelope: Any) -> None:
    """Check that it has a result or an error, and nothing else."""
    assert isinstance(envelope, dict)
    assert envelope.keys() in ({"result"}, {"error"})
    if "result" in envelope:
        assert envelope["result"].keys() <= {"data"}
        return
    error = envelope["error"]
    assert error.keys() == {"message", "code", "data"}
    assert isinstance(error["message"], str)
    assert error["data"].keys() - {"path"} == {"code", "httpStatus"}
    code = CODES[error["data"]["code"]]
    assert (error["code"], error["data"]["httpStatus"]) == (code.number, code.http)


def check_jsonrpc_response(answer: Any) -> None:
    """Check against section 5 of the JSON-RPC specification."""
    assert isinstance(answer, dict)
    assert answer.keys() in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] is None or type(answer["id"]) in (str, int, float)
    if "error" in answer:
        assert answer["error"].keys() == {"code", "message"}
        assert type(answer["error"]["code"]) is int
        assert isinstance(answer["error"]["message"], str)
