"""A real mail server and a real receiver of webhooks, on this machine, that can go down and up again."""

import email
import email.policy
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from aiosmtpd.controller import Controller

HERE = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HERE, 0))
        return int(found.getsockname()[1])


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server with this handler; yields its URL."""
    server = ThreadingHTTPServer((HERE, 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{HERE}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class MailServer:
    """Keeps its port while it is down, so that it is found there after the next start."""

    def __init__(self) -> None:
        self.port = free_port()
        self.taken: list[tuple[str, EmailMessage]] = []
        self.refused: set[str] = set()
        self._controller: Controller | None = None

    def start(self) -> None:
        self._controller = Controller(self, hostname=HERE, port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
        self._controller = None

    @property
    def recipients(self) -> list[str]:
        return sorted(recipient for recipient, _ in self.taken)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return "550 5.1.1 no such mailbox here: secret words"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.taken += [(recipient, message) for recipient in envelope.rcpt_tos]
        return "250 OK"


@dataclass(frozen=True)
class Call:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Answers with the given statuses, and then with 200."""

    def __init__(self, secured: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.calls: list[Call] = []
        self.answers: list[int] = []
        self.location = ""
        self.answer_after: Event | None = None
        """If there is an event, answers wait until it is set."""
        self.called = Event()
        self._secured = secured
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._secured else 'http'}://{HERE}:{self.port}/hook?key=secret"

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.accept(self)

            def do_GET(self) -> None:  # what following a redirect would request
                receiver.accept(self)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer((HERE, self.port), Handler)
        if self._secured:
            self._server.socket = self._secured.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, daemon=True).start()

    def accept(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append(Call(request.path, headers, request.rfile.read(length)))
        self.called.set()
        if self.answer_after:
            self.answer_after.wait(60)
        request.send_response(self.answers.pop(0) if self.answers else 200)
        if self.location:
            request.send_header("Location", self.location)
        request.end_headers()
        request.wfile.write(b"the receiver's secret answer" * 1000)

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        self._server = None
