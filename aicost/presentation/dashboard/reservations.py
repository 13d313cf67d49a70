"""What is reserved of the budget, and what callers who ask before spending are told."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from aicost.formatting import html
from aicost.formatting import text as formats
from billing import periods
from billing.budgets import policies
from billing.ledger import reservations
from billing.models import BudgetChange
from products.models import Project

_NAMES = {policies.DENY: "deny", policies.WARN: "warn"}
_OTHER = {policies.DENY: policies.WARN, policies.WARN: policies.DENY}


def reserved(project: Project) -> SafeString | str:
    """Empty where nothing is."""
    held = reservations.held(project)
    if not held.count:
        return ""
    one = held.count == 1
    return format_html(
        "{} reserved by {}, {} at {}.",
        formats.money(held.nanos),
        "1 reservation" if one else f"{formats.count(held.count)} reservations",
        "which ends" if one else "the last ends",
        html.moment(held.last_ends_at, periods.zone(project.time_zone)),
    )


def told_of_policy(change: BudgetChange | None) -> str:
    """What the person who asked for a change of it reads."""
    if change is None:
        return "Nothing changed: that is the policy already."
    if change.policy == policies.WARN:
        return "Callers who ask before spending are now only warned."
    return "Callers who ask before spending are now denied what would pass the limit."


def policy_change(change: BudgetChange) -> tuple[str, str]:
    """From what, and to what: there are just two."""
    return _NAMES[_OTHER[change.policy]], _NAMES[change.policy]
