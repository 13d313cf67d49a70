"""Small marks that templates repeat. Their text comes ready from `presentation`."""

from functools import lru_cache

from django import template
from django.utils.safestring import SafeString, mark_safe
from lucide.templatetags.lucide import lucide

register = template.Library()


@register.simple_tag
def icon(name: str, size: int = 16) -> SafeString:
    """An icon beside words that say the same: hidden from screen readers, and not focusable."""
    return _icon(str(name), size)


@lru_cache(maxsize=128)
def _icon(name: str, size: int) -> SafeString:
    return mark_safe(lucide(name, size=size, **{"class": f"icon icon-{name}", "aria_hidden": "true"}))  # noqa: S308
