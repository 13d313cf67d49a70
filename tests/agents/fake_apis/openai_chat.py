"""OpenAI's Chat Completions and embeddings. Every chat reads a cache; models named gpt-5… or o… reason."""

import json
from collections.abc import Iterator
from typing import Any

from tests.agents.fake_apis.bill import Bill, Billed
from tests.agents.fake_apis.prompts import ANSWER, ToolCall, ordered, text_of

CREATED = 1_780_000_000


def reasons(model: str) -> bool:
    return model.startswith(("gpt-5", "o"))


def charge(bill: Bill, body: dict[str, Any]) -> Billed:
    return bill.charge(body["model"], "chatcmpl-", reads=True, reasons=reasons(body["model"]))


def usage(call: Billed) -> dict[str, Any]:
    return {
        "prompt_tokens": call.all_input,
        "completion_tokens": call.output,
        "total_tokens": call.all_input + call.output,
        "prompt_tokens_details": {"cached_tokens": call.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": call.reasoning, "audio_tokens": 0},
    }


def order(body: dict[str, Any]) -> ToolCall | None:
    last = body["messages"][-1]
    return None if last["role"] == "tool" else ordered(text_of(last.get("content")))


def answer(call: Billed, body: dict[str, Any]) -> dict[str, Any]:
    tool = order(body)
    if not tool:
        return {"role": "assistant", "content": ANSWER}
    function = {"name": tool.name, "arguments": json.dumps(tool.arguments)}
    called = {"id": f"call_{call.response_id[-24:]}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [called]}


def envelope(call: Billed, kind: str) -> dict[str, Any]:
    return {"id": call.response_id, "object": kind, "created": CREATED, "model": call.model}


def completion(call: Billed, body: dict[str, Any]) -> dict[str, Any]:
    said = answer(call, body)
    reason = "tool_calls" if "tool_calls" in said else "stop"
    choice = {"index": 0, "message": said, "finish_reason": reason, "logprobs": None}
    return {**envelope(call, "chat.completion"), "choices": [choice], "usage": usage(call)}


def chunks(call: Billed, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The stream. Usage comes last, and only if it is asked for."""
    said = answer(call, body)
    reason = "tool_calls" if "tool_calls" in said else "stop"
    for n, tool in enumerate(said.get("tool_calls", [])):
        tool["index"] = n
    asked = (body.get("stream_options") or {}).get("include_usage")
    for delta, finish in ((said, None), ({}, reason)):
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        chunk = {**envelope(call, "chat.completion.chunk"), "choices": [choice]}
        yield {**chunk, "usage": None} if asked else chunk
    if asked:
        yield {**envelope(call, "chat.completion.chunk"), "choices": [], "usage": usage(call)}


def charge_embedding(bill: Bill, body: dict[str, Any]) -> Billed:
    return bill.charge(body["model"], "emb-", answers=False)


def embedding(call: Billed, body: dict[str, Any]) -> dict[str, Any]:
    vector: Any = [0.5, 0.25]
    if body.get("encoding_format") == "base64":
        vector = "AAAAPwAAgD4="  # the same as little-endian floats
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": call.model,
        "usage": {"prompt_tokens": call.input, "total_tokens": call.input},
    }
