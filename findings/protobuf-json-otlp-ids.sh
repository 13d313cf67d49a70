#!/usr/bin/env bash
# protobuf's JSON parser reads OTLP/JSON without an error, and gets every trace and span id wrong.
#
# Expected: OTLP is defined in protobuf, so `json_format` with the official message classes reads OTLP/JSON. If a
#   field were encoded in another way than protobuf's JSON, parsing would fail.
# Happens: OTLP/JSON writes ids in hex, protobuf's JSON writes bytes in base64, and ids of 32 and 16 hex digits are
#   valid base64. Parsing succeeds with ids of 24 and 12 bytes instead of 16 and 8. Writing the message as JSON
#   gives back the original text, so that a round-trip test passes too.
#   Seen with protobuf 7.36.2 and opentelemetry-proto 1.45.2 on Python 3.11:
#     trace id sent  5b8efff798038103d269b633813fc60c (16 bytes)
#     trace id read  e5bf1e7df7fbf7cd37f35d37776ebd6fadf7f35ddf73ad1c (24 bytes)
#     span id sent   eee19b7ec3c1b174 (8 bytes)
#     span id read   79e7b5f5bede7377356f5ef8 (12 bytes)
#     written as JSON again: equal to what was sent
# Matters: ids decide whether a call was recorded before. The same trace sent once as JSON and once as protobuf
#   would be two traces, each billed. Hex has to be converted before the parser sees it.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-proto==1.45.2 protobuf==7.36.2

"$folder/venv/bin/python" - <<'PY'
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TRACE_ID = "5b8efff798038103d269b633813fc60c"
SPAN_ID = "eee19b7ec3c1b174"
sent = {
    "resourceSpans": [
        {"scopeSpans": [{"spans": [{"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "chat"}]}]},
    ]
}
request = json_format.ParseDict(sent, ExportTraceServiceRequest())
span = request.resource_spans[0].scope_spans[0].spans[0]
for name, hex_digits, read in (("trace id", TRACE_ID, span.trace_id), ("span id", SPAN_ID, span.span_id)):
    print(f"{name + ' sent':<14} {hex_digits} ({len(hex_digits) // 2} bytes)")
    print(f"{name + ' read':<14} {read.hex()} ({len(read)} bytes)")
same_text = json_format.MessageToDict(request) == sent
print("written as JSON again:", "equal to what was sent" if same_text else "different")
if (len(span.trace_id), len(span.span_id), same_text) != (24, 12, True):
    sys.exit("The behaviour has changed.")
PY
