"""The API page: every procedure in the registry, with its input, output, errors and examples."""

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
class ErrorCase:
    """When a call fails, and with which codes over tRPC and JSON-RPC."""

    key: str
    http: int
    number: int
    jsonrpc: int
    when: str


@dataclass(frozen=True)
class ProcedureDocs:
    """The documentation of a procedure. It is the same for everyone; the examples are not."""

    name: str
    kind: str
    help: SafeString
    fields: list[tuple[InputField, SafeString]]
    output: list[Line]
    errors: list[ErrorCase]


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
            (documented(name), examples.for_procedure(one, site)) for name, one in PROCEDURES.items()
        ],
        "trpc_batch": Example("tRPC, curl", examples.trpc_batch(queries, site)),
        "jsonrpc_batch": Example("JSON-RPC, curl", examples.jsonrpc_batch(queries, site)),
        "client": Example("TypeScript", examples.client(site, settings.RPC_MAX_BATCH)),
        "types": static(TYPES) if finders.find(TYPES) else "",
        "max_batch": settings.RPC_MAX_BATCH,
        "scopes": SCOPES.items(),
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "errors": _errors_of_any_call(bad_tokens_a_minute),
    }


@cache
def documented(name: str) -> ProcedureDocs:
    """Cached, because the registry doesn't change while the server runs."""
    procedure = PROCEDURES[name]
    input_ = procedure.input
    fields = input_fields(json_schema.read(input_.model_json_schema())) if input_ else []
    return ProcedureDocs(
        name=procedure.name,
        kind=procedure.kind,
        help=_with_code(" ".join(procedure.help.split())),
        fields=[(field, _with_code(field.description)) for field in fields],
        output=outline(json_schema.read(procedure.output.json_schema(mode="serialization"))),
        errors=_errors(procedure),
    )


def _with_code(text: str) -> SafeString:
    """HTML of the text, with `<code>` for what is in backticks."""
    parts = enumerate(re.split("`([^`]+)`", text))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if i % 2 else part,) for i, part in parts)
    )


def _errors(procedure: Procedure) -> list[ErrorCase]:
    cases = [_error_case(errors.UNAUTHORIZED, "There is neither a session nor a valid token.")]
    if procedure.input:
        cases.append(
            _error_case(errors.BAD_REQUEST, "A field is missing, invalid or unknown; the message names it.")
        )
    if procedure.input and "projectId" in procedure.input.model_fields:
        cases.append(
            _error_case(errors.NOT_FOUND, "The product doesn't exist, or you don't have access to it.")
        )
    if procedure.need in _FORBIDDEN:
        cases.append(_error_case(errors.FORBIDDEN, _FORBIDDEN[procedure.need]))
    return cases


def _error_case(code: ErrorCode, when: str, jsonrpc: int | None = None) -> ErrorCase:
    """`jsonrpc` is for errors that have a number of their own in the JSON-RPC specification."""
    return ErrorCase(code.key, code.http, code.number, jsonrpc or code.jsonrpc, when)


_FORBIDDEN: dict[Need, str] = {
    "read": "The token's scope is ingest.",
    "change": "You have only read access, the token's scope is not write, or a session sent no CSRF token.",
    "reserve": "You have only read access, the token's scope is read, or a session sent no CSRF token.",
}


def _errors_of_any_call(bad_tokens_a_minute: int) -> list[ErrorCase]:
    return [
        _error_case(errors.NOT_FOUND, "The procedure doesn't exist.", errors.JSONRPC_METHOD_NOT_FOUND),
        _error_case(errors.BAD_REQUEST, "The request body is not JSON.", errors.JSONRPC_PARSE_ERROR),
        _error_case(errors.BAD_REQUEST, "The batch has too many calls.", errors.JSONRPC_INVALID_REQUEST),
        _error_case(
            errors.METHOD_NOT_SUPPORTED,
            "The HTTP method is wrong. Use GET for tRPC queries, and POST for tRPC mutations and JSON-RPC.",
            errors.JSONRPC_INVALID_REQUEST,
        ),
        _error_case(
            errors.UNSUPPORTED_MEDIA_TYPE,
            "The Content-Type of a POST is not application/json.",
            errors.JSONRPC_INVALID_REQUEST,
        ),
        _error_case(errors.PAYLOAD_TOO_LARGE, "The request is too large.", errors.JSONRPC_INVALID_REQUEST),
        _error_case(
            errors.TOO_MANY_REQUESTS,
            f"More than {bad_tokens_a_minute} invalid tokens came from one address within a minute.",
        ),
        _error_case(errors.SERVICE_UNAVAILABLE, "The database is busy; try again."),
        _error_case(errors.INTERNAL_SERVER_ERROR, "Something went wrong on the server."),
    ]
