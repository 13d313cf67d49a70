"""How much of the budget is reserved, and the policy for callers who ask before spending."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from aicost.formatting import html, text
from billing import periods
from billing.budgets import policies
from billing.ledger.reservations import Held
from billing.models import BudgetChange
from products.models import Project

_OTHER = {policies.DENY: policies.WARN, policies.WARN: policies.DENY}


def reserved(project: Project, held: Held | None) -> SafeString | str:
    """One sentence; "" if nothing is reserved."""
    if held is None or not held.count:
        return ""
    return format_html(
        "{} reserved by {}, {} at {}.",
        text.money(held.nanos),
        text.plural(held.count, "reservation"),
        "which ends" if held.count == 1 else "the last of which ends",
        html.moment(held.last_ends_at, periods.zone(project.time_zone)),
    )


def policy_confirmation(change: BudgetChange | None) -> str:
    """The message after a change of the policy. `change` is None if nothing changed."""
    if change is None:
        return "Nothing changed: this is already the policy."
    if change.policy == policies.WARN:
        return "Callers who ask before spending now only get a warning."
    return "Callers who ask before spending are now refused if the spending would exceed the limit."


def policy_change(change: BudgetChange) -> tuple[str, str]:
    """The old and the new policy. There are only two, so the new one implies the old one."""
    return _OTHER[change.policy], change.policy
