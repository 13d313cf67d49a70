"""One call of a procedure by one request, whatever the transport."""

import json
import logging
from functools import cached_property
from typing import Any, NoReturn

from django.http import HttpRequest

from aicost.callers import caller_of, require_csrf
from aicost.procedures import UNDEFINED, Procedure
from aicost.rpc.errors import FORBIDDEN, NOT_FOUND, UNAUTHORIZED, failure
from billing.events import shown
from products.access import Caller

log = logging.getLogger("aicost.access")

MAX_DEPTH = 100
"""Of nested JSON. No input of a procedure is deeper than 1; Python's own limit is less predictable."""


class Request:
    """Who calls is found out once, and only when a procedure needs it."""

    def __init__(self, http: HttpRequest) -> None:
        self.http = http

    @cached_property
    def caller(self) -> Caller:
        return caller_of(self.http)

    def run(self, procedure: Procedure, raw: object = UNDEFINED) -> Any:
        """The procedure's answer as plain JSON values. Raises `Failure`."""
        try:
            if procedure.kind == "mutation":
                require_csrf(self.http, self.caller)
            return procedure.call(self.caller, raw)
        except Exception as error:
            told = failure(error)
            if told.code in (UNAUTHORIZED, FORBIDDEN, NOT_FOUND):
                who = self.__dict__.get("caller", "nobody")
                log.warning("%s denied %s: %s", procedure.name, who, shown(told.message, 200))
            raise told from error


def parse_json(text: bytes | str) -> Any:
    """Raises `ValueError` for what is no JSON (NaN is none) in UTF-8, or is nested without sense."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check_depth(value)
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise ValueError("nested too deeply")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
