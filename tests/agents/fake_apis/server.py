"""One threaded HTTP server on loopback for all the APIs, with scripted faults."""

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock, Thread
from typing import Any

from tests.agents.fake_apis import anthropic, gemini, openai_chat, openai_responses
from tests.agents.fake_apis.bill import Bill, Billed

FAULTS = {2: 429, 5: 500}
"""The status with which the call of this number fails. It is not billed, and clients try again."""


class FakeApis(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, faults: dict[int, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bill = Bill()
        self.faults = faults
        self.unknown: list[str] = []
        """Requests to addresses that none of the APIs has."""
        self._numbers = count(1)
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fault(self) -> int | None:
        """The status with which the call that has now come fails; None if it succeeds."""
        with self._lock:
            return self.faults.get(next(self._numbers))


class Handler(BaseHTTPRequestHandler):
    server: FakeApis
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:  # the library's name
        self._empty(200)

    def do_GET(self) -> None:  # the library's name
        self.server.unknown.append(f"GET {self.path}")
        self._json({"error": {"type": "not_found_error", "message": "not found"}}, 404)

    def do_POST(self) -> None:  # the library's name
        body = self._body()
        path = self.path.partition("?")[0]
        if path.endswith("/messages/count_tokens"):
            return self._json({"input_tokens": 100})
        answer = self._answer_of(path)
        if answer is None:
            self.server.unknown.append(f"POST {path}")
            return self._json({"error": {"type": "not_found_error", "message": "not found"}}, 404)
        fault = self.server.fault()
        return self._fail(fault) if fault else answer(body)

    def _answer_of(self, path: str) -> Any:
        answers = {
            "/messages": self._messages,
            "/chat/completions": self._chat,
            "/responses": self._responses,
            "/embeddings": self._embeddings,
            ":generateContent": self._gemini,
            ":streamGenerateContent": self._gemini,
        }
        return next((answer for end, answer in answers.items() if path.endswith(end)), None)

    def _messages(self, body: dict[str, Any]) -> None:
        call = anthropic.charge(self.server.bill, body)
        if body.get("stream"):
            return self._events(anthropic.events(call, body), call)
        return self._json(anthropic.message(call, body), call=call)

    def _chat(self, body: dict[str, Any]) -> None:
        call = openai_chat.charge(self.server.bill, body)
        if body.get("stream"):
            data = [json.dumps(chunk) for chunk in openai_chat.chunks(call, body)]
            return self._stream((f"data: {one}\n\n" for one in [*data, "[DONE]"]), call)
        return self._json(openai_chat.completion(call, body), call=call)

    def _responses(self, body: dict[str, Any]) -> None:
        call = openai_responses.charge(self.server.bill, body)
        if body.get("stream"):
            return self._events(openai_responses.events(call, body), call)
        return self._json(openai_responses.response(call, body), call=call)

    def _embeddings(self, body: dict[str, Any]) -> None:
        call = openai_chat.charge_embedding(self.server.bill, body)
        self._json(openai_chat.embedding(call, body), call=call)

    def _gemini(self, body: dict[str, Any]) -> None:
        model = self.path.rpartition("/")[2].partition(":")[0]
        call = gemini.charge(self.server.bill, model)
        content = gemini.content(call, body)
        if ":streamGenerateContent" in self.path:
            return self._stream([f"data: {json.dumps(content)}\n\n"], call)
        return self._json(content, call=call)

    def _body(self) -> Any:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        return json.loads(raw or b"{}")

    def _fail(self, status: int) -> None:
        kind = "rate_limit_error" if status == 429 else "api_error"
        self._json({"type": "error", "error": {"type": kind, "message": "scripted"}}, status)

    def _json(self, value: Any, status: int = 200, call: Billed | None = None) -> None:
        self._send(json.dumps(value).encode(), "application/json", status, call)

    def _events(self, events: Iterable[tuple[str, dict[str, Any]]], call: Billed) -> None:
        """Named server-sent events, whose data repeat the name."""
        self._stream(
            (
                f"event: {name}\ndata: {json.dumps({'type': name, 'sequence_number': n, **data})}\n\n"
                for n, (name, data) in enumerate(events)
            ),
            call,
        )

    def _stream(self, parts: Iterable[str], call: Billed) -> None:
        self._send("".join(parts).encode(), "text/event-stream", 200, call)

    def _empty(self, status: int) -> None:
        self._send(b"", "text/plain", status, None)

    def _send(self, body: bytes, kind: str, status: int, call: Billed | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status >= 400:
            self.send_header("retry-after-ms", "1")
            self.send_header("Retry-After", "0")
        if call:
            self.send_header("request-id", call.request_id)
            self.send_header("x-request-id", call.request_id)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def serving(faults: dict[int, int] = FAULTS) -> Iterator[FakeApis]:
    server = FakeApis(faults)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
