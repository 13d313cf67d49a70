"""Texts that carry their exact value: `<data>` and `<time>` elements."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.html import format_html
from django.utils.safestring import SafeString

from aicost.formatting import text as formats


def tokens(number: int) -> SafeString:
    """A compact count; the full one is its value and its tooltip."""
    return format_html(
        '<data value="{}" title="{} tokens">{}</data>', number, formats.count(number), formats.compact(number)
    )


def money(nanos: int, text: str = "") -> SafeString:
    """`text` where it is to be written otherwise, with its sign for example."""
    exact = formats.exact_dollars(nanos)
    return format_html('<data value="{}">{}</data>', exact, text or formats.money(nanos))


def moment(value: datetime | None, zone: ZoneInfo) -> SafeString | str:
    """An instant in the billing zone; a dash where none is known."""
    if value is None:
        return formats.NONE
    return format_html('<time datetime="{}">{}</time>', formats.utc(value), formats.instant(value, zone))
