"""Requests to a server process, and what it answered."""

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
        """What became of each event."""
        return [one["status"] for one in self.json["results"]]

    @property
    def busy(self) -> bool:
        """Told to come again, in the way that every client understands."""
        return self.status == 503 and int(self.headers["Retry-After"]) > 0


def request(
    server: Server, method: str, address: str, token: str, body: bytes | None = None, **headers: str
) -> Answer:
    """Raises `OSError` or `HTTPException` where no answer came."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, address, body, {"Authorization": f"Bearer {token}", **sent})
        response = connection.getresponse()
        text = response.read()
        if not text:  # of an answer whose length was not told nothing may have come before the end
            raise IncompleteRead(text)
        return Answer(response.status, response.headers, text)
    finally:
        connection.close()


def post(server: Server, token: str, events: Any, **headers: str) -> Answer:
    """Usage events, or a body as it is."""
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    return request(server, "POST", USAGE, token, body, **{"Content_Type": "application/json", **headers})


def ask(server: Server, token: str, procedure: str, **given: Any) -> Any:
    """The answer of a query."""
    address = f"/api/trpc/aiCost.{procedure}?input={quote(json.dumps(given))}"
    answer = request(server, "GET", address, token)
    assert answer.status == 200, answer.text
    return answer.json["result"]["data"]
