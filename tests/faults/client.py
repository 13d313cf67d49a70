"""Requests to a server process, and its answers."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, IncompleteRead
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.faults.server import PATIENCE, Server

USAGE = "/api/v1/usage"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def statuses(self) -> list[str]:
        """The status of each event."""
        return [result["status"] for result in self.json["results"]]

    @property
    def busy(self) -> bool:
        """Whether the server asks to retry, in the standard way."""
        return self.status == 503 and int(self.headers["Retry-After"]) > 0


def request(
    server: Server, method: str, address: str, token: str, body: bytes | None = None, **headers: str
) -> Answer:
    """Raises `OSError` or `HTTPException` if no answer arrives."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, address, body, {"Authorization": f"Bearer {token}", **sent})
        response = connection.getresponse()
        text = response.read()
        if not text:  # an answer without a Content-Length may end before its body arrives
            raise IncompleteRead(text)
        return Answer(response.status, response.headers, text)
    finally:
        connection.close()


def post(server: Server, token: str, events: Any, **headers: str) -> Answer:
    """Post usage events, or a body given as bytes."""
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    return request(server, "POST", USAGE, token, body, **{"Content_Type": "application/json", **headers})


def ask(server: Server, token: str, procedure: str, **given: Any) -> Any:
    """The data that a query returns."""
    address = f"/api/trpc/aiCost.{procedure}?input={quote(json.dumps(given))}"
    answer = request(server, "GET", address, token)
    assert answer.status == 200, answer.text
    return answer.json["result"]["data"]
