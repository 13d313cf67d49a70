"""The registry of procedures. Every transport, the API page and the TypeScript types are made from it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from django.core.exceptions import ValidationError
from pydantic import TypeAdapter
from pydantic import ValidationError as InvalidInput

from aicost.api import schemas
from products.access import Caller, Need
from products.printable import printable

Kind = Literal["query", "mutation"]
UNDEFINED = object()
"""No input was sent, as opposed to `null`."""


@dataclass(frozen=True)
class Procedure:
    name: str
    kind: Kind
    input: type[schemas.Input] | None
    """None if the procedure takes no input; it then ignores what is sent."""
    output: TypeAdapter[Any]
    function: Callable[..., Any]
    need: Need
    """The right that `function` requires, for the documentation. The function checks it itself."""

    @property
    def help(self) -> str:
        return inspect.getdoc(self.function) or ""

    def call(self, caller: Caller, raw: object = UNDEFINED) -> Any:
        """Validate the input and run the procedure. Returns plain JSON values; raises Django's exceptions."""
        if self.input is None:
            return self._as_json(self.function(caller))
        return self._as_json(self.function(caller, self.validate(raw)))

    def validate(self, raw: object) -> schemas.Input:
        """Raises `ValidationError`, which names the first wrong field."""
        assert self.input
        if not isinstance(raw, dict):
            raise ValidationError("input: must be an object with the field projectId")
        try:
            return self.input.model_validate(raw)
        except InvalidInput as error:
            raise ValidationError(_reason(error)) from None

    def _as_json(self, output: Any) -> Any:
        return self.output.dump_python(output, mode="json")


def _reason(invalid: InvalidInput) -> str:
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    field = printable(".".join(map(str, first["loc"])) or "input")
    if first["type"] == "extra_forbidden":
        return f"{field}: is not a field of this procedure's input"
    return f"{field}: {first['msg'].removeprefix('Value error, ')}"


PROCEDURES: dict[str, Procedure] = {}
"""By path, in the order of the documentation."""


_USUAL_NEED: dict[Kind, Need] = {"query": "read", "mutation": "change"}


def procedure(kind: Kind, need: Need | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as `aiCost.` plus its name in camelCase.

    A parameter named `params` declares the input, the return annotation the output.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        head, *rest = function.__name__.split("_")
        name = f"aiCost.{head}{''.join(word.capitalize() for word in rest)}"
        hints = inspect.get_annotations(function, eval_str=True)
        output = TypeAdapter(hints["return"])
        PROCEDURES[name] = Procedure(
            name, kind, hints.get("params"), output, function, need or _USUAL_NEED[kind]
        )
        return function

    return register
