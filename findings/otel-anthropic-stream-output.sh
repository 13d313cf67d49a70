#!/usr/bin/env bash
# OpenLLMetry's Anthropic instrumentation counts one output token more if the response is streamed.
#
# Expected: the same call has the same number of output tokens, streamed or not. Anthropic's stream starts with a
#   first count in `message_start` and ends with the total in `message_delta`, which its documentation calls
#   cumulative.
# Happens: the instrumentation adds the two. A call billed with 7 output tokens is reported with 8. The Anthropic SDK
#   itself, from the same stream, says 7.
#   Seen with opentelemetry-instrumentation-anthropic 0.62.4 and anthropic 2.14.0 on Python 3.11:
#     billed: 7 output tokens, 1 of them named in message_start
#     not streamed: SDK 7, span 7
#     streamed:     SDK 7, span 8
# Matters: two reports of one call differ by the first count, so that equal counts cannot be the test for
#   "the same call". The response id has to be.
# Date: 2026-11-28. Needs: bash, python3 (3.10 or later) with venv.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  anthropic==2.14.0 opentelemetry-instrumentation-anthropic==0.62.4 opentelemetry-sdk==1.45.2

ANTHROPIC_OPEN_TELEMETRY=false TRACELOOP_TRACE_CONTENT=false "$folder/venv/bin/python" - <<'PY'
import http.server
import json
import sys
import threading

import anthropic
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

BILLED = 7
FIRST = 1


class Model(http.server.BaseHTTPRequestHandler):
    """A fake of the Messages API: ten tokens in, seven out."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"id": "msg_example", "type": "message", "role": "assistant", "model": request["model"]}
        if not request.get("stream"):
            message |= {"content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn"}
            message |= {"stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": BILLED}}
            return self.answer("application/json", json.dumps(message))
        message |= {"content": [], "stop_reason": None, "stop_sequence": None}
        message |= {"usage": {"input_tokens": 10, "output_tokens": FIRST}}
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        events = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": BILLED}},
            {"type": "message_stop"},
        ]
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return self.answer("text/event-stream", text)

    def answer(self, content_type, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
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
AnthropicInstrumentor().instrument(tracer_provider=provider)
client = anthropic.Anthropic(api_key="example", base_url=f"http://127.0.0.1:{server.server_port}")
call = {"model": "claude-opus-4-8", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


def reported_output():
    (span,) = spans.get_finished_spans()
    spans.clear()
    return span.attributes["gen_ai.usage.output_tokens"]


print(f"billed: {BILLED} output tokens, {FIRST} of them named in message_start")
plain = (client.messages.create(**call).usage.output_tokens, reported_output())
print(f"not streamed: SDK {plain[0]}, span {plain[1]}")
with client.messages.stream(**call) as stream:
    final = stream.get_final_message()
streamed = (final.usage.output_tokens, reported_output())
print(f"streamed:     SDK {streamed[0]}, span {streamed[1]}")
if (plain, streamed) != ((BILLED, BILLED), (BILLED, BILLED + FIRST)):
    sys.exit("The behaviour has changed.")
PY
