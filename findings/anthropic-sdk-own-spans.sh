#!/usr/bin/env bash
# The Anthropic SDK sends a GenAI span of its own as soon as the process has a tracer provider.
#
# Expected: a client library sends telemetry only if it is instrumented. With one instrumentation, one call is
#   one span.
# Happens: the SDK finds the global tracer provider and reports each call itself, without being asked. An
#   instrumentation beside it reports the call again. The SDK's span is then a child of OpenInference's. The two use
#   different attribute names, and only the SDK's has the id of the response. The environment variable
#   ANTHROPIC_OPEN_TELEMETRY=false stops the SDK's span.
#   Seen with anthropic 2.14.0 and openinference-instrumentation-anthropic 3.1.0 on Python 3.11:
#     SDK alone: 1 span for 1 call
#       com.anthropic.sdk.python: 1000 input tokens, response id msg_example
#     with OpenInference: 2 spans for 1 call
#       com.anthropic.sdk.python: 1000 input tokens, response id msg_example
#       openinference.instrumentation.anthropic: 1000 input tokens, no response id
#     with OpenInference and ANTHROPIC_OPEN_TELEMETRY=false: 1 span for 1 call
#       openinference.instrumentation.anthropic: 1000 input tokens, no response id
# Matters: a receiver that adds up all model calls of a trace bills such a call twice.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  anthropic==2.14.0 openinference-instrumentation-anthropic==3.1.0 opentelemetry-sdk==1.45.2

cat > "$folder/call.py" <<'PY'
import http.server
import json
import sys
import threading

import anthropic
from openinference.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

ANSWER = {
    "id": "msg_example",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-8",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1000, "output_tokens": 7},
}


class Model(http.server.BaseHTTPRequestHandler):
    """A fake of the Messages API."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
if "openinference" in sys.argv:
    AnthropicInstrumentor().instrument(tracer_provider=provider)
client = anthropic.Anthropic(api_key="example", base_url=f"http://127.0.0.1:{server.server_port}")
client.messages.create(
    model="claude-opus-4-8", max_tokens=100, messages=[{"role": "user", "content": "Hello"}]
)
finished = sorted(spans.get_finished_spans(), key=lambda span: span.instrumentation_scope.name)
print(f"{len(finished)} span{'s' if len(finished) > 1 else ''} for 1 call")
for span in finished:
    values = span.attributes
    tokens = values.get("gen_ai.usage.input_tokens", values.get("llm.token_count.prompt"))
    response = values.get("gen_ai.response.id")
    said = f"response id {response}" if response else "no response id"
    print(f"  {span.instrumentation_scope.name}: {tokens} input tokens, {said}")
PY

sdk='  com.anthropic.sdk.python: 1000 input tokens, response id msg_example'
other='  openinference.instrumentation.anthropic: 1000 input tokens, no response id'
status=0

expect() { # TITLE EXPECTED SEEN
  printf '%s: %s\n' "$1" "$3"
  [ "$2" = "$3" ] || status=1
}

seen=$(env -u ANTHROPIC_OPEN_TELEMETRY "$folder/venv/bin/python" "$folder/call.py")
expect "SDK alone" $'1 span for 1 call\n'"$sdk" "$seen"
seen=$(env -u ANTHROPIC_OPEN_TELEMETRY "$folder/venv/bin/python" "$folder/call.py" openinference)
expect "with OpenInference" $'2 spans for 1 call\n'"$sdk"$'\n'"$other" "$seen"
seen=$(ANTHROPIC_OPEN_TELEMETRY=false "$folder/venv/bin/python" "$folder/call.py" openinference)
expect "with OpenInference and ANTHROPIC_OPEN_TELEMETRY=false" $'1 span for 1 call\n'"$other" "$seen"
[ "$status" = 0 ] || echo "The behaviour has changed." >&2
exit "$status"
