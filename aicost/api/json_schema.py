"""Read the JSON Schemas that pydantic makes into a tree of types, for documentation and TypeScript."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

_LIMITS = ("exclusiveMinimum", "minimum", "exclusiveMaximum", "maximum")


@dataclass(frozen=True)
class Scalar:
    name: str
    """As JSON Schema names it: `string`, `integer`, `number`, `boolean` or `null`."""


@dataclass(frozen=True)
class Literals:
    values: tuple[str | int, ...]


@dataclass(frozen=True)
class Array:
    items: "Type"


@dataclass(frozen=True)
class Union:
    options: tuple["Type", ...]


@dataclass(frozen=True)
class Object:
    name: str
    fields: tuple["Field", ...]


Type = Scalar | Literals | Array | Union | Object


@dataclass(frozen=True)
class Field:
    name: str
    type: Type
    required: bool
    description: str
    limits: Mapping[str, float]
    """By JSON Schema keyword, such as `minimum`."""


def read(schema: Schema, definitions: Mapping[str, Schema] | None = None) -> Type:
    """The type that a schema describes. References are looked up in `definitions`, else in its `$defs`."""
    known = schema.get("$defs", {}) if definitions is None else definitions
    if "$ref" in schema:
        return read(known[schema["$ref"].rpartition("/")[2]], known)
    if "anyOf" in schema:
        return Union(tuple(read(option, known) for option in schema["anyOf"]))
    if "enum" in schema:
        return Literals(tuple(schema["enum"]))
    if schema["type"] == "array":
        return Array(read(schema["items"], known))
    if "properties" in schema:
        return Object(schema["title"], _fields(schema, known))
    return Scalar(schema["type"])


def _fields(schema: Schema, definitions: Mapping[str, Schema]) -> tuple[Field, ...]:
    required = schema.get("required", [])
    return tuple(
        _field(name, field, name in required, definitions) for name, field in schema["properties"].items()
    )


def _field(name: str, schema: Schema, required: bool, definitions: Mapping[str, Schema]) -> Field:
    # Pydantic puts the description and limits of a nullable field into the option that is not null.
    facts = {key: value for part in [*schema.get("anyOf", []), schema] for key, value in part.items()}
    return Field(
        name,
        read(schema, definitions),
        required,
        facts.get("description", ""),
        {keyword: facts[keyword] for keyword in _LIMITS if keyword in facts},
    )
