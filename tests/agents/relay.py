"""Stands between a set-up and the product, passes every request on and keeps a copy as evidence."""

import gzip
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HOP_BY_HOP = {"connection", "host", "content-length", "transfer-encoding", "date", "server"}


@dataclass(frozen=True)
class Sent:
    """One request of a set-up to the product, and the product's answer."""

    path: str
    kind: str
    body: bytes
    status: int
    answer: bytes

    def readable(self) -> dict[str, Any]:
        return {"path": self.path, "status": self.status, "answer": repr(self.answer), "body": self._body()}

    def _body(self) -> Any:
        if "protobuf" not in self.kind:
            return self.body.decode(errors="replace")
        if not self.path.endswith("/traces"):
            return f"{len(self.body)} bytes of protobuf"
        return MessageToDict(ExportTraceServiceRequest.FromString(self.body))


@dataclass
class Relay:
    url: str
    sent: list[Sent] = field(default_factory=list)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([one.readable() for one in self.sent], indent=1))


@contextmanager
def relaying(port: int) -> Iterator[Relay]:
    """Relay to the product's port on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # the library's name
            body = self._body()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            answer = response.read()
            connection.close()
            plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            kind = self.headers.get("Content-Type", "")
            relay.sent.append(Sent(self.path, kind, plain, response.status, answer))
            self._pass_on(response, answer)

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _pass_on(self, response: http.client.HTTPResponse, answer: bytes) -> None:
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    relay = Relay(f"http://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()
