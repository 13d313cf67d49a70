"""The one JSON decoder of the product: the same rules for files, usage endpoints and procedures.

- A byte-order mark at the beginning is dropped. The text is UTF-8, nothing else is guessed.
- NaN and Infinity are refused. If an object repeats a name, the last value counts.
- An escaped surrogate without its pair is accepted, as JSON's grammar has it; checks of fields refuse it.
- Arrays and objects nest at most `MAX_DEPTH` deep, whatever the interpreter's own limit allows.
- Numbers with a fraction or an exponent become decimals exactly as written, or floats if asked for.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import msgspec

BOM = b"\xef\xbb\xbf"
MAX_DEPTH = 200
"""Real usage is at most 13 deep, and what protobuf allows, 100 nested messages, takes less in JSON."""


class InvalidJSON(ValueError):
    """The text is not JSON, or nested too deeply. Its message fits after "not valid JSON: "."""


def decode(text: bytes | str) -> Any:
    """Decode a JSON text, numbers with a fraction as `Decimal`. Raises `InvalidJSON`."""
    return _decode(_DECIMALS, text)


def decode_floats(text: bytes | str) -> Any:
    """Decode a JSON text, numbers with a fraction as `float`; 1e400 is infinite. Raises `InvalidJSON`."""
    return _decode(_FLOATS, text)


def _decode(decoder: msgspec.json.Decoder[Any], text: bytes | str) -> Any:
    text = text.removeprefix("\N{BOM}") if isinstance(text, str) else text.removeprefix(BOM)
    try:
        value = decoder.decode(text)
    except RecursionError:
        raise InvalidJSON(_TOO_DEEP) from None
    except msgspec.ValidationError:
        raise InvalidJSON("a whole number has too many digits") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        if not _has_surrogate(text):
            raise InvalidJSON(str(error)) from None
        value = _decode_with_surrogates(decoder, text)
    # Most texts are too short or have too few brackets to be too deep: only the others are searched.
    if len(text) > 2 * MAX_DEPTH and _brackets(text) > MAX_DEPTH and _is_too_deep(value):
        raise InvalidJSON(_TOO_DEEP)
    return value


_TOO_DEEP = "nested too deeply"


def _has_surrogate(text: bytes | str) -> bool:
    if isinstance(text, str):
        return "\\ud" in text or "\\uD" in text
    return b"\\ud" in text or b"\\uD" in text


def _decode_with_surrogates(decoder: msgspec.json.Decoder[Any], text: bytes | str) -> Any:
    """Decode what msgspec refuses only for an unpaired surrogate: some senders cut texts within a pair."""
    try:
        text = text if isinstance(text, str) else text.decode()
        return json.loads(text, parse_float=decoder.float_hook, parse_constant=_refuse)
    except RecursionError:
        raise InvalidJSON(_TOO_DEEP) from None
    except ValueError as error:  # a UnicodeDecodeError is one, too
        raise InvalidJSON(str(error)) from None


def _refuse(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is not JSON")


def _brackets(text: bytes | str) -> int:
    if isinstance(text, str):
        return text.count("{") + text.count("[")
    return text.count(b"{") + text.count(b"[")


_CONTAINERS = {dict, list}


def _is_too_deep(value: Any) -> bool:
    level = _non_empty_containers_in([value])
    for _ in range(MAX_DEPTH - 1):
        if not level:
            return False
        level = [inner for outer in level for inner in _non_empty_containers_in(outer)]
    return any(type(inner) in _CONTAINERS for outer in level for inner in _values_of(outer))


def _non_empty_containers_in(outer: Any) -> list[Any]:
    """Empty ones lead no deeper, and an array may hold millions of them."""
    values = _values_of(outer)
    if _CONTAINERS.isdisjoint(map(type, values)):  # as in most objects, and much faster than looking at each
        return []
    return [inner for inner in values if inner and type(inner) in _CONTAINERS]


def _values_of(outer: Any) -> Any:
    return outer.values() if type(outer) is dict else outer


def _decimal(text: str) -> Decimal:
    """A JSON number as written. What is beyond all decimals is infinite, which no field accepts."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


_DECIMALS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=_decimal)
_FLOATS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=float)
