"""What a procedure is: name, kind, what it takes and gives, and a function. Every transport reads these."""

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
"""No input was sent, which is not the same as `null`."""


@dataclass(frozen=True)
class Procedure:
    name: str
    kind: Kind
    input: type[schemas.Input] | None
    """None: it takes no input, and ignores what is sent."""
    output: TypeAdapter[Any]
    function: Callable[..., Any]
    need: Need
    """What its function asks of the caller, for those who document it."""

    @property
    def help(self) -> str:
        return inspect.getdoc(self.function) or ""

    def call(self, caller: Caller, raw: object = UNDEFINED) -> Any:
        """Validate the input, run, and answer plain JSON values. Raises Django's exceptions."""
        if self.input is None:
            return self._plain(self.function(caller))
        return self._plain(self.function(caller, self.read(raw)))

    def read(self, raw: object) -> schemas.Input:
        """Raises `ValidationError` naming the first wrong field."""
        assert self.input
        if not isinstance(raw, dict):
            raise ValidationError("input: must be an object with the field projectId")
        try:
            return self.input.model_validate(raw)
        except InvalidInput as error:
            raise ValidationError(_reason(error)) from None

    def _plain(self, answer: Any) -> Any:
        return self.output.dump_python(answer, mode="json")


def _reason(invalid: InvalidInput) -> str:
    first = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    field = printable(".".join(map(str, first["loc"])) or "input")
    if first["type"] == "extra_forbidden":
        return f"{field}: is no field of this procedure's input"
    return f"{field}: {first['msg'].removeprefix('Value error, ')}"


PROCEDURES: dict[str, Procedure] = {}
"""By their path, in the order in which they are documented."""


_USUAL_NEED: dict[Kind, Need] = {"query": "read", "mutation": "change"}


def procedure(kind: Kind, need: Need | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function under `aiCost.` and its name in camelCase; answers the function."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        head, *rest = function.__name__.split("_")
        name = f"aiCost.{head}{''.join(word.capitalize() for word in rest)}"
        hints = inspect.get_annotations(function, eval_str=True)
        output = TypeAdapter(hints["return"])
        PROCEDURES[name] = Procedure(
            name, kind, hints.get("given"), output, function, need or _USUAL_NEED[kind]
        )
        return function

    return register
