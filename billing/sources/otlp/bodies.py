"""The body of an OTLP request, in protobuf or JSON, as the message that it carries."""

import base64
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from billing.json_decoding import InvalidJSON, decode_floats
from billing.sources.otlp import log_records
from billing.sources.otlp.read_attributes import READ
from billing.sources.otlp.unknown_usage import looks_like_usage
from products.printable import printable


class Malformed(ValueError):
    """A body that is not an OTLP request."""


Request = TypeVar("Request", ExportTraceServiceRequest, ExportLogsServiceRequest)


def from_protobuf(body: bytes, kind: type[Request]) -> Request:
    """Raises `Malformed`."""
    try:
        return kind.FromString(body)
    except DecodeError:
        raise Malformed(f"The body is not an {kind.DESCRIPTOR.name} in protobuf.") from None


def from_json(body: bytes, kind: type[Request]) -> Request:
    """Decode OTLP's JSON mapping: that of protobuf, except that ids are hex. Raises `Malformed`."""
    try:
        value = decode_floats(body)
        if not isinstance(value, dict):
            raise Malformed("The body is not a JSON object.")
        for record in _records(value):
            _prepare(record)
        return ParseDict(value, kind(), ignore_unknown_fields=True)
    except InvalidJSON as error:
        raise Malformed(f"The body is not valid JSON: {error}") from None
    except UnicodeError as error:  # protobuf takes no unpaired surrogate
        raise Malformed(f"The body is not valid Unicode: {printable(str(error))}") from None
    except RecursionError:  # protobuf's parser takes several frames for each level
        raise Malformed("The body is nested too deeply.") from None
    except ParseError as error:
        raise Malformed(
            f"The body is not an {kind.DESCRIPTOR.name} in JSON: {printable(str(error), 300)}"
        ) from None


_LEVELS = (("resourceSpans", "scopeSpans", "spans"), ("resourceLogs", "scopeLogs", "logRecords"))


def _records(value: Any) -> Iterator[dict[str, Any]]:
    """The spans or log records of a request."""
    for resources, scopes, records in _LEVELS:
        for resource in _objects(value, resources):
            for scope in _objects(resource, scopes):
                yield from _objects(scope, records)


def _objects(value: Any, name: str) -> list[dict[str, Any]]:
    """The objects in a list; anything else is left for protobuf's parser to refuse."""
    inner = value.get(name) if isinstance(value, dict) else None
    return [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []


_HEX = re.compile(r"([0-9a-fA-F]{2})*")


def _prepare(record: dict[str, Any]) -> None:
    """Encode ids as protobuf's own mapping has them, and remove what is never read."""
    record.pop("links", None)
    record.pop("events", None)
    if isinstance(record.get("attributes"), list):
        record["attributes"] = [one for one in record["attributes"] if _is_read(one)]
    for name in ("traceId", "spanId", "parentSpanId"):
        text = record.get(name)
        if isinstance(text, str):
            raw = bytes.fromhex(text) if _HEX.fullmatch(text) else b"?"  # of a wrong length
            record[name] = base64.b64encode(raw).decode()


def _is_read(attribute: Any) -> bool:
    """Whatever is not an attribute stays, for protobuf's parser to refuse."""
    key = attribute.get("key") if isinstance(attribute, dict) else None
    return not isinstance(key, str) or key in READ or key in log_records.READ or looks_like_usage(key)
