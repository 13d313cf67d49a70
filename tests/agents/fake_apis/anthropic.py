"""Anthropic's Messages API. A request that marks something as cacheable reads and writes a cache."""

import json
from collections.abc import Iterator
from typing import Any

from tests.agents.fake_apis.bill import Bill, Billed
from tests.agents.fake_apis.prompts import ANSWER, ordered, text_of

Event = tuple[str, dict[str, Any]]


def charge(bill: Bill, body: dict[str, Any]) -> Billed:
    text = json.dumps(body)
    marked = '"cache_control"' in text
    return bill.charge(
        body["model"], "msg_", reads=marked, writes=marked, writes_1h=marked and '"ttl": "1h"' in text
    )


def message(call: Billed, body: dict[str, Any]) -> dict[str, Any]:
    tool = ordered(text_of(body["messages"][-1].get("content")))
    block: dict[str, Any] = {"type": "text", "text": ANSWER}
    if tool:
        block = {
            "type": "tool_use",
            "id": f"toolu_{call.response_id[4:]}",
            "name": tool.name,
            "input": tool.arguments,
        }
    return {
        "id": call.response_id,
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": [block],
        "stop_reason": "tool_use" if tool else "end_turn",
        "stop_sequence": None,
        "usage": usage(call),
    }


def usage(call: Billed) -> dict[str, Any]:
    return {
        "input_tokens": call.input,
        "cache_read_input_tokens": call.cache_read,
        "cache_creation_input_tokens": call.cache_write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": call.cache_write - call.cache_write_1h,
            "ephemeral_1h_input_tokens": call.cache_write_1h,
        },
        "output_tokens": call.output,
        "service_tier": "standard",
    }


def events(call: Billed, body: dict[str, Any]) -> Iterator[Event]:
    """The stream. Its first usage has one token of output, its last all of them."""
    whole = message(call, body)
    [block] = whole["content"]
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield "message_start", {"message": start}
    if block["type"] == "text":
        first, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        first = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield "content_block_start", {"index": 0, "content_block": first}
    yield "content_block_delta", {"index": 0, "delta": delta}
    yield "content_block_stop", {"index": 0}
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    counts = {name: whole["usage"][name] for name in whole["usage"] if name.endswith("_tokens")}
    yield "message_delta", {"delta": stop, "usage": counts}
    yield "message_stop", {}
