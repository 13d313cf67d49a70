"""Export of a product's budget history: limits and policies."""

from aicost import queries
from aicost.exports.tabular import Table, instant
from billing import money
from products.models import Project

LIMIT_COLUMNS = ("changedAt", "changedBy", "oldLimit", "newLimit", "policy", "note")


def limits(project: Project) -> Table:
    """Every change of the limit or the policy, newest first. The total line has no sums."""
    rows = [
        (
            *(instant(change.changed_at), change.changed_by.get_username() if change.changed_by else None),
            *(_dollars(change.old_limit_nanos), _dollars(change.new_limit_nanos), change.policy, change.note),
        )
        for change in queries.every_budget_change(project)
    ]
    return Table("limits", LIMIT_COLUMNS, rows, ("total", *[None] * (len(LIMIT_COLUMNS) - 1)))


def _dollars(nanos: int | None) -> float | None:
    return None if nanos is None else money.dollars(nanos)
