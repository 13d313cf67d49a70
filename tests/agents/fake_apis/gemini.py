"""Gemini's generateContent. Thoughts are counted apart from the candidates, and billed as output."""

from typing import Any

from tests.agents.fake_apis.bill import Bill, Billed
from tests.agents.fake_apis.prompts import ANSWER, ordered, text_of


def charge(bill: Bill, model: str) -> Billed:
    return bill.charge(model, "gemini", reads=True, reasons=True)


def content(call: Billed, body: dict[str, Any]) -> dict[str, Any]:
    tool = ordered(text_of(body["contents"][-1]))
    part: dict[str, Any] = {"text": ANSWER}
    if tool:
        part = {"functionCall": {"name": tool.name, "args": tool.arguments}}
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0},
        ],
        "usageMetadata": {
            "promptTokenCount": call.all_input,
            "cachedContentTokenCount": call.cache_read,
            "candidatesTokenCount": call.output - call.reasoning,
            "thoughtsTokenCount": call.reasoning,
            "totalTokenCount": call.all_input + call.output,
        },
        "modelVersion": call.model,
        "responseId": call.response_id,
    }
