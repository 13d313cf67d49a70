#!/usr/bin/env bash
# OpenTelemetry Python's OTLP/HTTP exporter takes a redirect for a successful export.
#
# Expected: an exporter that posts to http:// and is redirected to https:// either follows the redirect or
#   reports that the export failed. Node's exporter (0.223.0) reports an error.
# Happens: it does neither. The spans are not sent again, `export` returns SUCCESS, and nothing is logged at
#   any level. The client treats every status from 200 to 399 as success and does not follow redirects.
#   Seen with opentelemetry-exporter-otlp-proto-http 1.45.2 on Python 3.11:
#     301 -> SUCCESS, requests: 1, messages logged: 0
#     302 -> SUCCESS, requests: 1, messages logged: 0
#     307 -> SUCCESS, requests: 1, messages logged: 0
#     308 -> SUCCESS, requests: 1, messages logged: 0
#     404 -> FAILURE, requests: 1, messages logged: 1
# Matters: a server that redirects plain HTTP to HTTPS, or a request without a token to a sign-in page, loses all
#   usage of such a sender, and the sender cannot notice. An endpoint for telemetry must answer with an error.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-exporter-otlp-proto-http==1.45.2 opentelemetry-sdk==1.45.2

"$folder/venv/bin/python" - <<'PY'
import http.server
import logging
import sys
import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

requests = []
messages = []


class Collector(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers /<status>/v1/traces with that status; a redirect leads to /200/v1/traces."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        requests.append(self.path)
        status = int(self.path.split("/")[1])
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/200/v1/traces")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
logger = logging.getLogger("opentelemetry")
logger.setLevel(logging.DEBUG)
logger.addHandler(Collector())

span = TracerProvider().get_tracer("example").start_span("chat")
span.end()
seen = {}
for status in (301, 302, 307, 308, 404):
    requests.clear()
    messages.clear()
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.server_port}/{status}/v1/traces")
    result = exporter.export([span])
    seen[status] = (result, len(requests), len(messages))
    print(f"{status} -> {result.name}, requests: {len(requests)}, messages logged: {len(messages)}")

expected = {status: (SpanExportResult.SUCCESS, 1, 0) for status in (301, 302, 307, 308)}
expected[404] = (SpanExportResult.FAILURE, 1, 1)
if seen != expected:
    sys.exit("The behaviour has changed.")
PY
