"""Every sender's JSON is decoded by the same rules, whatever brings it in."""

from decimal import Decimal
from typing import Any

import pytest

from billing.json_decoding import MAX_DEPTH, InvalidJSON, decode, decode_floats

pytestmark = pytest.mark.once

DECODERS = pytest.mark.parametrize("decoder", [decode, decode_floats])
AS = pytest.mark.parametrize("as_", [str, str.encode], ids=["text", "bytes"])


def nested(depth: int, inside: str = "") -> str:
    """Arrays and objects in turn; `inside` is the innermost value."""
    text = inside
    for level in range(depth):
        text = f'{{"x": {text or 1}}}' if level % 2 else f"[{text}]"
    return text


@AS
@DECODERS
def test_a_byte_order_mark_at_the_beginning_is_dropped(decoder: Any, as_: Any) -> None:
    assert decoder(as_('\N{BOM}{"x": 1}')) == {"x": 1}


@AS
@DECODERS
@pytest.mark.parametrize("text", ["\N{BOM}\N{BOM}1", " \N{BOM}1", "1\N{BOM}", "[\N{BOM}]", "\N{BOM}"])
def test_a_byte_order_mark_elsewhere_is_an_error(decoder: Any, as_: Any, text: str) -> None:
    with pytest.raises(InvalidJSON, match=r"malformed|truncated"):
        decoder(as_(text))


@DECODERS
def test_a_byte_order_mark_within_a_text_is_part_of_it(decoder: Any) -> None:
    assert decoder('"\N{BOM}x"') == "\N{BOM}x"


@AS
@DECODERS
@pytest.mark.parametrize("inside", ["", '"' + "[" * 500 + '"'])
def test_values_nest_up_to_the_limit(decoder: Any, as_: Any, inside: str) -> None:
    decoder(as_(nested(MAX_DEPTH, inside)))
    with pytest.raises(InvalidJSON, match=r"^nested too deeply$"):
        decoder(as_(nested(MAX_DEPTH + 1, inside)))


@AS
@DECODERS
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 3000 + "]" * 3000])
def test_what_exceeds_the_interpreters_own_limit_is_too_deep_as_well(
    decoder: Any, as_: Any, text: str
) -> None:
    with pytest.raises(InvalidJSON, match=r"^nested too deeply$"):
        decoder(as_(text))


@DECODERS
def test_many_brackets_side_by_side_are_not_deep(decoder: Any) -> None:
    assert decoder("[" + "[{}]," * 10_000 + '"[[["]')[-1] == "[[["


@DECODERS
@pytest.mark.parametrize(
    "text",
    [
        *(b"NaN", b"-Infinity", b'{"x": NaN}', b"", b" ", b"{", b"[1,]", b"{} {}", b"01", b"9" * 5000),
        *(b'"\xff"', b"\xff", "{}".encode("utf-16"), "{}".encode("utf-32")),
        *('"\ud800"', b'"a\nb"', b'"\0"', b'["\\ud800", NaN]', b'"\\ud8"', b'["\\ud800", "\xff"]'),
    ],
)
def test_what_is_not_json_is_refused(decoder: Any, text: Any) -> None:
    with pytest.raises(InvalidJSON) as error:
        decoder(text)
    assert str(error.value)
    assert "\n" not in str(error.value)


@AS
@DECODERS
@pytest.mark.parametrize("escape", ["\\ud800", "\\uD83D", "\\udc00\\ud800"])
def test_an_escaped_surrogate_without_its_pair_is_accepted(decoder: Any, as_: Any, escape: str) -> None:
    found = decoder(as_(f'\N{BOM}{{"x": ["{escape}", 0.5]}}'))
    assert found == {"x": [escape.encode().decode("unicode_escape"), decoder("0.5")]}
    with pytest.raises(InvalidJSON, match=r"^nested too deeply$"):
        decoder(as_(nested(MAX_DEPTH + 1, f'"{escape}"')))


@DECODERS
def test_a_number_with_thousands_of_digits_is_refused(decoder: Any) -> None:
    with pytest.raises(InvalidJSON, match=r"^a whole number has too many digits$"):
        decoder(f'{{"x": [{"9" * 5000}]}}')


@DECODERS
def test_of_a_repeated_name_the_last_value_counts(decoder: Any) -> None:
    assert decoder('{"x": 1, "x": 2}') == {"x": 2}


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827"), 0.1),
        ("1.0", Decimal("1.0"), 1.0),
        ("1E5", Decimal("1E+5"), 100_000.0),
        ("1e400", Decimal("1E+400"), float("inf")),
        ("1e99999999999999999999", Decimal("Infinity"), float("inf")),
        ("-0.0", Decimal("-0.0"), -0.0),
    ],
)
def test_fractions_become_exact_decimals_or_floats(text: str, decimal: Decimal, number: float) -> None:
    assert (repr(decode(text)), repr(decode_floats(text))) == (repr(decimal), repr(number))


@DECODERS
@pytest.mark.parametrize("number", [0, -1, 2**63, 10**400])
def test_whole_numbers_of_any_size_stay_whole(decoder: Any, number: int) -> None:
    found = decoder(str(number))
    assert (type(found), found) == (int, number)
