"""The API page: every procedure as the registry has it, with what it takes, gives and answers wrongly."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from aicost.api import errors, json_schema
from aicost.api.errors import ErrorCode
from aicost.api.procedures import PROCEDURES
from aicost.api.registry import Procedure
from aicost.presentation.api_docs import examples
from aicost.presentation.api_docs.examples import Example, Site
from aicost.presentation.api_docs.outline import InputField, Line, input_fields, outline
from products.access import Need
from products.forms import SCOPES
from products.models import Project

TYPES = "types/app-router.d.ts"


@dataclass(frozen=True)
class Mistake:
    """A way to fail, in both vocabularies."""

    key: str
    http: int
    number: int
    jsonrpc: int
    when: str


@dataclass(frozen=True)
class Documented:
    """What is the same for everybody who reads of a procedure."""

    name: str
    kind: str
    help: SafeString
    fields: list[tuple[InputField, SafeString]]
    output: list[Line]
    mistakes: list[Mistake]


def page(
    project: Project | None, site: Site, *, may_change: bool, bad_tokens_a_minute: int
) -> dict[str, Any]:
    """`project` is the product of the examples; None if the person has none."""
    queries = [one for one in PROCEDURES.values() if one.kind == "query"][:2]
    return {
        "here": "api",
        "site": site,
        "project": project,
        "may_change": may_change,
        "procedures": [
            (documented(name), examples.of_procedure(one, site)) for name, one in PROCEDURES.items()
        ],
        "trpc_batch": Example("tRPC, curl", examples.trpc_batch(queries, site)),
        "jsonrpc_batch": Example("JSON-RPC, curl", examples.jsonrpc_batch(queries, site)),
        "client": Example("TypeScript", examples.client(site, settings.RPC_MAX_BATCH)),
        "types": static(TYPES) if finders.find(TYPES) else "",
        "max_batch": settings.RPC_MAX_BATCH,
        "scopes": SCOPES.items(),
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "mistakes": _mistakes_of_any_call(bad_tokens_a_minute),
    }


@cache
def documented(name: str) -> Documented:
    """The registry stands still while the server runs."""
    one = PROCEDURES[name]
    fields = input_fields(json_schema.read(one.input.model_json_schema())) if one.input else []
    return Documented(
        name=one.name,
        kind=one.kind,
        help=_with_code(" ".join(one.help.split())),
        fields=[(field, _with_code(field.description)) for field in fields],
        output=outline(json_schema.read(one.output.json_schema(mode="serialization"))),
        mistakes=_mistakes(one),
    )


def _with_code(text: str) -> SafeString:
    """What stands between backticks as code."""
    parts = enumerate(re.split("`([^`]+)`", text))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if i % 2 else part,) for i, part in parts)
    )


def _mistakes(one: Procedure) -> list[Mistake]:
    found = [_mistake(errors.UNAUTHORIZED, "There is neither a session nor a valid token.")]
    if one.input:
        found.append(
            _mistake(errors.BAD_REQUEST, "A field is missing, wrong or unknown; the message names it.")
        )
    if one.input and "projectId" in one.input.model_fields:
        found.append(_mistake(errors.NOT_FOUND, "There is no such product, or it is not yours to see."))
    if one.need in _FORBIDDEN:
        found.append(_mistake(errors.FORBIDDEN, _FORBIDDEN[one.need]))
    return found


def _mistake(code: ErrorCode, when: str, jsonrpc: int | None = None) -> Mistake:
    """`jsonrpc` where its specification has a number of its own."""
    return Mistake(code.key, code.http, code.number, jsonrpc or code.jsonrpc, when)


_FORBIDDEN: dict[Need, str] = {
    "read": "The token's scope is ingest.",
    "change": "You may only read, the token's scope is not write, or a session sent no CSRF token.",
    "reserve": "You may only read, the token's scope is read, or a session sent no CSRF token.",
}


def _mistakes_of_any_call(bad_tokens_a_minute: int) -> list[Mistake]:
    return [
        _mistake(errors.NOT_FOUND, "There is no such procedure.", errors.JSONRPC_METHOD_NOT_FOUND),
        _mistake(errors.BAD_REQUEST, "What was sent is not JSON.", errors.JSONRPC_PARSE_ERROR),
        _mistake(errors.BAD_REQUEST, "A batch is too large.", errors.JSONRPC_INVALID_REQUEST),
        _mistake(
            errors.METHOD_NOT_SUPPORTED,
            "Queries of tRPC are GET, its mutations and JSON-RPC are POST.",
            errors.JSONRPC_INVALID_REQUEST,
        ),
        _mistake(
            errors.UNSUPPORTED_MEDIA_TYPE,
            "A POST is not of the type application/json.",
            errors.JSONRPC_INVALID_REQUEST,
        ),
        _mistake(errors.PAYLOAD_TOO_LARGE, "The request is too large.", errors.JSONRPC_INVALID_REQUEST),
        _mistake(
            errors.TOO_MANY_REQUESTS,
            f"More than {bad_tokens_a_minute} bad tokens came from one address within a minute.",
        ),
        _mistake(errors.SERVICE_UNAVAILABLE, "The database is busy; try again."),
        _mistake(errors.INTERNAL_SERVER_ERROR, "Something went wrong on the server."),
    ]
