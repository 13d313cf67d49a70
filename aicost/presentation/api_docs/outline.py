"""Types as the API page shows them: the fields of an input as a table, an output as a nested outline."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from aicost.api.json_schema import Array, Field, Literals, Object, Scalar, Type, Union

_LIMITS = {
    "exclusiveMinimum": "more than",
    "minimum": "at least",
    "exclusiveMaximum": "less than",
    "maximum": "at most",
}


@dataclass(frozen=True)
class InputField:
    name: str
    type: str
    required: bool
    description: str
    limits: str
    """Such as `more than 0, at most 1,000,000,000`, or ""."""


@dataclass(frozen=True)
class Line:
    text: str
    note: str = ""


def input_fields(type_: Type) -> list[InputField]:
    assert isinstance(type_, Object)
    return [
        InputField(field.name, _name(field.type), field.required, field.description, _limits(field))
        for field in type_.fields
    ]


def _limits(field: Field) -> str:
    return ", ".join(f"{_LIMITS[keyword]} {value:,}" for keyword, value in field.limits.items())


def outline(type_: Type) -> list[Line]:
    """One line per field; the fields of nested objects are indented."""
    return list(_lines(type_))


def _lines(type_: Type) -> Iterator[Line]:
    if isinstance(type_, Array):
        yield from _wrapped("[", list(_lines(type_.items)), "]")
    elif isinstance(type_, Object):
        yield Line("{")
        for field in type_.fields:
            yield from _field_lines(field)
        yield Line("}")
    elif isinstance(type_, Union) and isinstance(type_.options[0], Object):
        first, *others = type_.options
        yield from _wrapped("", list(_lines(first)), "".join(f" | {_name(option)}" for option in others))
    else:
        yield Line(_name(type_))


def _field_lines(field: Field) -> Iterator[Line]:
    first, *rest = _lines(field.type)
    yield Line(f"  {field.name}: {first.text}", field.description.replace("`", ""))
    yield from (replace(line, text=f"  {line.text}") for line in rest)


def _wrapped(before: str, lines: list[Line], after: str) -> list[Line]:
    lines[0] = replace(lines[0], text=before + lines[0].text)
    lines[-1] = replace(lines[-1], text=lines[-1].text + after)
    return lines


def _name(type_: Type) -> str:
    match type_:
        case Scalar(name):
            return name
        case Literals(values):
            return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in values)
        case Union(options):
            return " | ".join(map(_name, options))
        case Array():
            return "array"
        case Object():
            return "object"
