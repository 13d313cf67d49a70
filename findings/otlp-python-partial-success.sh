#!/usr/bin/env bash
# OpenTelemetry Python's OTLP/HTTP exporter does not read the answer that says how many spans were rejected.
#
# Expected: if the server answers 200 with `partial_success` (all spans rejected, with a reason), the exporter
#   logs a warning with the reason. Node's exporter (0.223.0) does.
# Happens: `export` returns SUCCESS, `force_flush` returns True, and nothing is logged at any level.
#   Seen with opentelemetry-exporter-otlp-proto-http 1.45.2 on Python 3.11:
#     rejected 1 of 1 ("the end is before the start") -> SUCCESS, force_flush: True, messages logged: 0
# Matters: `partial_success` is the only place in OTLP for "these spans are not recorded". Senders in Python never
#   see it, so the receiver has to show rejected spans to its own users.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-exporter-otlp-proto-http==1.45.2 opentelemetry-sdk==1.45.2

env -u OTEL_SDK_DISABLED "$folder/venv/bin/python" - <<'PY'
import http.server
import logging
import sys
import threading

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

REASON = "the end is before the start"
messages = []
results = []
answered = []


class Collector(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = 1
        answer.partial_success.error_message = REASON
        body = answer.SerializeToString()
        answered.append(body)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Exporter(OTLPSpanExporter):
    def export(self, spans):
        results.append(super().export(spans).name)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
logger = logging.getLogger("opentelemetry")
logger.setLevel(logging.DEBUG)
logger.addHandler(Collector())

provider = TracerProvider()
exporter = Exporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/traces")
provider.add_span_processor(SimpleSpanProcessor(exporter))
provider.get_tracer("example").start_span("chat").end()
flushed = provider.force_flush()
print(f'rejected 1 of 1 ("{REASON}") -> {results[0]}, force_flush: {flushed}, messages logged: {len(messages)}')
if (results, flushed, messages, len(answered)) != (["SUCCESS"], True, [], 1):
    sys.exit("The behaviour has changed.")
PY
