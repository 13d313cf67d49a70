"""The procedures as a TypeScript declaration, for `createTRPCClient<AppRouter>`; made from the registry."""

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from aicost.api.procedures import PROCEDURES
from aicost.api.registry import Procedure

HEAD = """\
// Made by `manage.py export_types` from the server's own definitions; not to be edited.
//
//   import { createTRPCClient, httpBatchLink } from '@trpc/client';
//   import type { AppRouter } from '@aicost/types';
//
//   const client = createTRPCClient<AppRouter>({
//     links: [httpBatchLink({ url: 'https://…/api/trpc', headers: { authorization: 'Bearer …' } })],
//   });
//
// Needs the types of @trpc/server 11.4 or later, and nothing of it when it runs.
import type {
  TRPCBuiltRouter,
  TRPCDefaultErrorShape,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
} from '@trpc/server';

interface Root {
  ctx: object;
  meta: object;
  errorShape: TRPCDefaultErrorShape;
  transformer: false;
}
"""

_KINDS = {"query": "TRPCQueryProcedure", "mutation": "TRPCMutationProcedure"}
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_TAGS = ("exclusiveMinimum", "minimum", "exclusiveMaximum", "maximum")
"""What a type cannot say of a field, said in its comment."""


def declaration() -> str:
    """The whole of `app-router.d.ts`."""
    types, shapes = _schemas()
    interfaces = [_interface(name, shape) for name, shape in sorted(shapes.items())]
    return "\n".join([HEAD, *interfaces, _router(types)])


def _schemas() -> tuple[dict[Any, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The JSON Schema of each input and output, by name and mode, and of the models in them, by name."""
    adapters: list[tuple[str, Any, TypeAdapter[Any]]] = []
    for one in PROCEDURES.values():
        if one.input:
            adapters.append((one.name, "validation", TypeAdapter(one.input)))
        adapters.append((one.name, "serialization", one.output))
    types, shapes = TypeAdapter.json_schemas(adapters)
    return types, shapes["$defs"]


def _interface(name: str, shape: dict[str, Any]) -> str:
    required = shape.get("required", [])
    fields = [
        line
        for field, schema in shape["properties"].items()
        for line in (*_comment(schema), f"{field}{'' if field in required else '?'}: {_type(schema)};")
    ]
    return "\n".join([f"export interface {name} {{", *_indented(fields), "}", ""])


def _comment(schema: dict[str, Any]) -> list[str]:
    """What is described of the field, or of the one type that it has beside null."""
    told = {key: value for one in [*schema.get("anyOf", []), schema] for key, value in one.items()}
    said = [told["description"].replace("*/", "*\\/")] if "description" in told else []
    tags = [f"@{tag} {told[tag]:.15g}" for tag in _TAGS if tag in told]
    if tags:
        return ["/**", *(f" * {line}" for line in [*said, *tags]), " */"]
    return [f"/** {line} */" for line in said]


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(_literal, schema["enum"]))
    if schema["type"] == "array":
        return f"Array<{_type(schema['items'])}>"
    return _PLAIN[schema["type"]]


def _literal(value: str | int) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def _router(types: dict[Any, dict[str, Any]]) -> str:
    lines = [line for one in PROCEDURES.values() for line in _procedure(one, types)]
    [namespace] = {name.partition(".")[0] for name in PROCEDURES}
    inner = [f"{namespace}: {{", *_indented(lines), "};"]
    return "\n".join(["export type AppRouter = TRPCBuiltRouter<Root, {", *_indented(inner), "}>;", ""])


def _procedure(one: Procedure, types: dict[Any, dict[str, Any]]) -> Iterator[str]:
    taken = _type(types[one.name, "validation"]) if one.input else "void"
    given = _type(types[one.name, "serialization"])
    yield f"/** {' '.join(one.help.split())} */"
    yield f"{one.name.partition('.')[2]}: {_KINDS[one.kind]}<{{"
    yield from _indented([f"input: {taken};", f"output: {given};", "meta: object;"])
    yield "}>;"


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
