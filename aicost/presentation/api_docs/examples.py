"""Example calls of the procedures, ready to copy and run against this server."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aicost.api.registry import Procedure

VALUES = {"days": 30, "limitDollars": 250, "estimateDollars": 1.5}
"""Values of the required fields in the examples, apart from the product's id."""

_BEARER = '-H "Authorization: Bearer $AICOST_TOKEN"'
_JSON = "-H 'Content-Type: application/json'"


@dataclass(frozen=True)
class Site:
    """The endpoints and the product that the examples use."""

    trpc: str
    jsonrpc: str
    project_id: str

    def input(self, procedure: Procedure) -> dict[str, Any]:
        known = {"projectId": self.project_id, **VALUES}
        fields = procedure.input.model_fields if procedure.input else {}
        return {name: known[name] for name, field in fields.items() if field.is_required()}


@dataclass(frozen=True)
class Example:
    title: str
    code: str


def for_procedure(procedure: Procedure, site: Site) -> list[Example]:
    return [
        Example("tRPC, curl", _trpc(procedure, site)),
        Example("JSON-RPC, curl", post(site.jsonrpc, _request(procedure, site, 1))),
        Example("TypeScript", _typescript(procedure, site)),
    ]


def trpc_batch(procedures: Sequence[Procedure], site: Site) -> str:
    inputs = {str(index): site.input(one) for index, one in enumerate(procedures) if one.input}
    paths = ",".join(one.name for one in procedures)
    return _get(f"{site.trpc}/{paths}?batch=1", inputs)


def jsonrpc_batch(procedures: Sequence[Procedure], site: Site) -> str:
    return post(site.jsonrpc, [_request(one, site, number) for number, one in enumerate(procedures, start=1)])


def client(site: Site, max_batch: int) -> str:
    return f"""\
import {{ createTRPCClient, httpBatchLink, TRPCClientError }} from '@trpc/client';
import type {{ AppRouter }} from './app-router';

const client = createTRPCClient<AppRouter>({{
  links: [
    httpBatchLink({{
      url: {_quoted(site.trpc)},
      headers: {{ authorization: `Bearer ${{process.env.AICOST_TOKEN}}` }},
      maxItems: {max_batch},
      maxURLLength: 4000,
    }}),
  ],
}});

function isApiError(error: unknown): error is TRPCClientError<AppRouter> {{
  return error instanceof TRPCClientError; // error.data?.code is 'NOT_FOUND', …
}}"""


def _trpc(procedure: Procedure, site: Site) -> str:
    address = f"{site.trpc}/{procedure.name}"
    if procedure.kind == "mutation":
        return post(address, site.input(procedure))
    return _get(address, site.input(procedure)) if procedure.input else _get(address)


def _typescript(procedure: Procedure, site: Site) -> str:
    verb = {"query": "query", "mutation": "mutate"}[procedure.kind]
    lines = [f"  {name}: {_quoted(value)},\n" for name, value in site.input(procedure).items()]
    argument = f"{{\n{''.join(lines)}}}" if lines else ""
    return f"const answer = await client.{procedure.name}.{verb}({argument});"


def _quoted(value: str | int) -> str:
    """A TypeScript literal. A string is in single quotes unless it needs escaping."""
    text = json.dumps(value)
    return f"'{value}'" if text == f'"{value}"' and "'" not in text else text


def _get(address: str, input_: Any = None) -> str:
    if input_ is None:
        return _command(f"curl {shlex.quote(address)}", _BEARER)
    query = shlex.quote(f"input={json.dumps(input_)}")
    return _command(f"curl -G {shlex.quote(address)}", _BEARER, f"--data-urlencode {query}")


def post(address: str, body: Any) -> str:
    text = json.dumps(body, indent=2).replace("\n", "\n  ")
    return _command(f"curl {shlex.quote(address)}", _BEARER, _JSON, f"-d {shlex.quote(text)}")


def _command(*parts: str) -> str:
    return " \\\n  ".join(parts)


def _request(procedure: Procedure, site: Site, number: int) -> dict[str, Any]:
    params = {"params": site.input(procedure)} if procedure.input else {}
    return {"jsonrpc": "2.0", "id": number, "method": procedure.name, **params}
