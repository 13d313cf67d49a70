"""JSON Schemas as people read them: the fields of an input, the nested outline of an output."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

Schema = dict[str, Any]

_LIMITS = {
    "exclusiveMinimum": "more than",
    "minimum": "at least",
    "exclusiveMaximum": "less than",
    "maximum": "at most",
}


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    required: bool
    description: str
    limits: str
    """`more than 0, at most 1,000,000,000`; "" without any."""


@dataclass(frozen=True)
class Line:
    text: str
    note: str = ""


def fields(schema: Schema) -> list[Field]:
    return [
        Field(
            name=name,
            type=_type(of),
            required=name in schema.get("required", []),
            description=_description(of),
            limits=", ".join(f"{words} {of[key]:,}" for key, words in _LIMITS.items() if key in of),
        )
        for name, of in schema["properties"].items()
    ]


def outline(schema: Schema) -> list[Line]:
    """A line for each field, those of objects within indented."""
    return list(_lines(schema, schema.get("$defs", {})))


def _lines(schema: Schema, named: dict[str, Schema]) -> Iterator[Line]:
    schema = _resolved(schema, named)
    if schema.get("type") == "array":
        first, *rest = _lines(schema["items"], named)
        yield from _wrapped("[", [first, *rest], "]")
    elif "properties" in schema:
        yield Line("{")
        for name, of in schema["properties"].items():
            yield from _field(name, of, named)
        yield Line("}")
    elif any("$ref" in one for one in schema.get("anyOf", [])):
        known, *others = schema["anyOf"]
        yield from _wrapped("", list(_lines(known, named)), "".join(f" | {_type(one)}" for one in others))
    else:
        yield Line(_type(schema))


def _field(name: str, schema: Schema, named: dict[str, Schema]) -> Iterator[Line]:
    first, *rest = _lines(schema, named)
    yield Line(f"  {name}: {first.text}", _description(schema).replace("`", ""))
    yield from (replace(line, text=f"  {line.text}") for line in rest)


def _wrapped(before: str, lines: list[Line], after: str) -> Iterator[Line]:
    lines[0] = replace(lines[0], text=before + lines[0].text)
    lines[-1] = replace(lines[-1], text=lines[-1].text + after)
    yield from lines


def _resolved(schema: Schema, named: dict[str, Schema]) -> Schema:
    return named[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _type(schema: Schema) -> str:
    if "anyOf" in schema:
        return " | ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in schema["enum"])
    return str(schema["type"])


def _description(schema: Schema) -> str:
    """A field that may be null has its description within."""
    candidates = [schema, *schema.get("anyOf", [])]
    return next((one["description"] for one in candidates if "description" in one), "")
