"""Formatted values as `<data>` and `<time>` elements, which also contain the exact value."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.html import format_html
from django.utils.safestring import SafeString

from aicost.formatting import text


def tokens(number: int) -> SafeString:
    """A compact count, with the full count as its value and tooltip."""
    return format_html(
        '<data value="{}" title="{} tokens">{}</data>', number, text.count(number), text.compact(number)
    )


def money(nanos: int, label: str = "") -> SafeString:
    """The amount, or `label` in its place, for example the amount with a sign."""
    exact = text.exact_dollars(nanos)
    return format_html('<data value="{}">{}</data>', exact, label or text.money(nanos))


def moment(value: datetime | None, zone: ZoneInfo) -> SafeString | str:
    """An instant in the given time zone, or a dash for None."""
    if value is None:
        return text.NONE
    return format_html('<time datetime="{}">{}</time>', text.utc(value), text.instant(value, zone))
