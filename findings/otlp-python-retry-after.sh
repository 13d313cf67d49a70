#!/usr/bin/env bash
# OpenTelemetry Python's OTLP/HTTP exporter drops a batch at once if Retry-After is not shorter than its timeout.
#
# Expected: a busy server that answers 503 with `Retry-After: 10` gets the batch again ten seconds later, or at
#   least as soon as without the header. A longer pause should not be worse than no advice at all.
# Happens: the same answer without the header is retried after about a second. With `Retry-After: 10` the exporter
#   drops the batch immediately, because the pause would pass its own deadline: 10 seconds for all attempts
#   together, which is the default timeout.
#   Seen with opentelemetry-exporter-otlp-proto-http 1.45.2 on Python 3.11:
#     503, no Retry-After    -> SUCCESS, requests: 2
#     503, Retry-After: 2    -> SUCCESS, requests: 2
#     503, Retry-After: 10   -> FAILURE, requests: 1, dropped within a second
#     503, Retry-After: 60   -> FAILURE, requests: 1, dropped within a second
#     429, Retry-After: 60   -> FAILURE, requests: 1, dropped within a second
# Matters: the usual `Retry-After: 60` of a rate limit or of maintenance loses the usage that it means to delay. A
#   server that wants the batch again has to ask for a pause of a few seconds.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-exporter-otlp-proto-http==1.45.2 opentelemetry-sdk==1.45.2

env -u OTEL_EXPORTER_OTLP_TIMEOUT -u OTEL_EXPORTER_OTLP_TRACES_TIMEOUT "$folder/venv/bin/python" - <<'PY'
import http.server
import logging
import sys
import threading
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider

logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
logging.getLogger("opentelemetry").propagate = False
requests = []
first_answer = {}


class Receiver(http.server.BaseHTTPRequestHandler):
    """Is busy for the first request and takes the next one."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        requests.append(self.path)
        self.send_response(first_answer["status"] if len(requests) == 1 else 200)
        if len(requests) == 1 and first_answer["retry_after"]:
            self.send_header("Retry-After", first_answer["retry_after"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
span = TracerProvider().get_tracer("example").start_span("chat")
span.end()
seen = []
for status, retry_after in ((503, None), (503, "2"), (503, "10"), (503, "60"), (429, "60")):
    requests.clear()
    first_answer.update(status=status, retry_after=retry_after)
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/traces")
    start = time.monotonic()
    result = exporter.export([span])
    at_once = time.monotonic() - start < 1
    dropped = result.name == "FAILURE" and at_once
    seen.append((status, retry_after, result.name, len(requests), dropped))
    header = f"Retry-After: {retry_after}" if retry_after else "no Retry-After"
    note = ", dropped within a second" if dropped else ""
    print(f"{status}, {header:<15} -> {result.name}, requests: {len(requests)}{note}")

expected = [
    (503, None, "SUCCESS", 2, False),
    (503, "2", "SUCCESS", 2, False),
    (503, "10", "FAILURE", 1, True),
    (503, "60", "FAILURE", 1, True),
    (429, "60", "FAILURE", 1, True),
]
if seen != expected:
    sys.exit("The behaviour has changed.")
PY
