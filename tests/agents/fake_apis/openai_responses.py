"""OpenAI's Responses API."""

import json
from collections.abc import Iterator
from typing import Any

from tests.agents.fake_apis.bill import Bill, Billed
from tests.agents.fake_apis.openai_chat import CREATED, reasons
from tests.agents.fake_apis.prompts import ANSWER, ordered, text_of

Event = tuple[str, dict[str, Any]]


def charge(bill: Bill, body: dict[str, Any]) -> Billed:
    return bill.charge(body["model"], "resp_", reads=True, reasons=reasons(body["model"]))


def usage(call: Billed) -> dict[str, Any]:
    return {
        "input_tokens": call.all_input,
        "input_tokens_details": {"cached_tokens": call.cache_read, "cache_write_tokens": 0},
        "output_tokens": call.output,
        "output_tokens_details": {"reasoning_tokens": call.reasoning},
        "total_tokens": call.all_input + call.output,
    }


def item(call: Billed, body: dict[str, Any]) -> dict[str, Any]:
    asked = body["input"]
    tool = ordered(text_of(asked[-1] if isinstance(asked, list) else asked))
    number = call.response_id[-24:]
    if tool:
        return {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": f"call_{number}",
            "name": tool.name,
            "arguments": json.dumps(tool.arguments),
            "status": "completed",
        }
    text = {"type": "output_text", "text": ANSWER, "annotations": []}
    return {
        "type": "message",
        "id": f"msg_{number}",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }


def response(call: Billed, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": call.response_id,
        "object": "response",
        "created_at": CREATED,
        "status": "completed",
        "model": call.model,
        "output": [item(call, body)],
        "usage": usage(call),
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    }


def events(call: Billed, body: dict[str, Any]) -> Iterator[Event]:
    whole = response(call, body)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    [done] = whole["output"]
    named = {"item_id": done["id"], "output_index": 0}
    yield "response.created", {"response": begun}
    if done["type"] == "message":
        yield (
            "response.output_item.added",
            {"output_index": 0, "item": {**done, "content": [], "status": "in_progress"}},
        )
        [part] = done["content"]
        begun_part = {**named, "content_index": 0, "part": {**part, "text": ""}}
        yield "response.content_part.added", begun_part
        yield "response.output_text.delta", {**named, "content_index": 0, "delta": ANSWER, "logprobs": []}
        yield "response.output_text.done", {**named, "content_index": 0, "text": ANSWER, "logprobs": []}
        yield "response.content_part.done", {**begun_part, "part": part}
    else:
        yield "response.output_item.added", {"output_index": 0, "item": {**done, "arguments": ""}}
        yield "response.function_call_arguments.delta", {**named, "delta": done["arguments"]}
        yield "response.function_call_arguments.done", {**named, "arguments": done["arguments"]}
    yield "response.output_item.done", {"output_index": 0, "item": done}
    yield "response.completed", {"response": whole}
