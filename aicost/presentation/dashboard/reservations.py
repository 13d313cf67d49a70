"""What is reserved of the budget, and what callers who ask before spending are told."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from aicost.formatting import html, text
from billing import periods
from billing.budgets import policies
from billing.ledger.reservations import Held
from billing.models import BudgetChange
from products.models import Project

_NAMES = {policies.DENY: "deny", policies.WARN: "warn"}
_OTHER = {policies.DENY: policies.WARN, policies.WARN: policies.DENY}


def reserved(project: Project, held: Held | None) -> SafeString | str:
    """Empty if nothing is reserved."""
    if held is None or not held.count:
        return ""
    return format_html(
        "{} reserved by {}, {} at {}.",
        text.money(held.nanos),
        text.plural(held.count, "reservation"),
        "which ends" if held.count == 1 else "the last ends",
        html.moment(held.last_ends_at, periods.zone(project.time_zone)),
    )


def policy_confirmation(change: BudgetChange | None) -> str:
    """What the person who changed the policy reads; `change` is None if nothing changed."""
    if change is None:
        return "Nothing changed: that is the policy already."
    if change.policy == policies.WARN:
        return "Callers who ask before spending are now only warned."
    return "Callers who ask before spending are now denied what would pass the limit."


def policy_change(change: BudgetChange) -> tuple[str, str]:
    """From what, and to what: there are just two."""
    return _NAMES[_OTHER[change.policy]], _NAMES[change.policy]
