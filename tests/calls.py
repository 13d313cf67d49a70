"""Calling the procedures as clients do, and what every answer of either transport has to be."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.test import Client

from aicost.api import errors
from aicost.api.procedures import PROCEDURES

OK = "OK"
CODES = {value.key: value for value in vars(errors).values() if isinstance(value, errors.Code)}
KEY_OF_JSONRPC = {code.jsonrpc: code.key for code in CODES.values()}


class Json(str):
    """JSON as it is sent, where Python's own values can't say it: `1e400`, or a member twice."""


@dataclass(frozen=True)
class Told:
    """An answer in the words of both transports: `OK` with data, or a key with a message."""

    code: str
    data: Any = None
    message: str = ""


def written(value: Any) -> str:
    return value if isinstance(value, Json) else json.dumps(value)


def trpc(client: Client, name: str, given: Any = None, **headers: str) -> Any:
    """The response to one call, as the official client sends it."""
    address = f"/api/trpc/{name}"
    if PROCEDURES[name].kind == "mutation":
        return client.post(address, written(given), content_type="application/json", headers=headers)
    sent = "" if given is None else f"?input={quote(written(given))}"
    return client.get(address + sent, headers=headers)


def jsonrpc(client: Client, name: str, given: Any = None, **headers: str) -> Any:
    params = "" if given is None else f', "params": {written(given)}'
    body = f'{{"jsonrpc": "2.0", "id": 1, "method": "{name}"{params}}}'
    return client.post("/api/rpc", body, content_type="application/json", headers=headers)


def trpc_told(response: Any) -> Told:
    envelope = strict(response.content)
    check_envelope(envelope)
    if "result" in envelope:
        assert response.status_code == 200
        return Told(OK, envelope["result"]["data"])
    error = envelope["error"]
    assert response.status_code == error["data"]["httpStatus"]
    return Told(error["data"]["code"], message=error["message"])


def jsonrpc_told(response: Any) -> Told:
    answer = strict(response.content)
    check_jsonrpc_response(answer)
    unread = "error" in answer and answer["error"]["code"] == CODES["PARSE_ERROR"].jsonrpc
    assert (response.status_code, answer["id"]) == (200, None if unread else 1)
    if "result" in answer:
        return Told(OK, answer["result"])
    return Told(KEY_OF_JSONRPC[answer["error"]["code"]], message=answer["error"]["message"])


SEND = {"trpc": trpc, "jsonrpc": jsonrpc}
READ = {"trpc": trpc_told, "jsonrpc": jsonrpc_told}


def call(client: Client, transport: str, name: str, given: Any = None, **headers: str) -> Told:
    return READ[transport](SEND[transport](client, name, given, **headers))


def strict(text: bytes) -> Any:
    """JSON as every reader takes it: in UTF-8, without NaN and Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text.decode(), parse_constant=refuse)


def check_envelope(envelope: Any) -> None:
    """A result or an error and nothing else; the client looks no further."""
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
    """A response object of the specification's section 5."""
    assert isinstance(answer, dict)
    assert answer.keys() in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] is None or type(answer["id"]) in (str, int, float)
    if "error" in answer:
        assert answer["error"].keys() == {"code", "message"}
        assert type(answer["error"]["code"]) is int
        assert isinstance(answer["error"]["message"], str)
