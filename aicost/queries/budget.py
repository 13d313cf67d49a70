"""A product's limit over time."""

from billing.models import BudgetChange
from products.models import Project

BUDGET_CHANGES = 100


def budget_history(project: Project) -> list[BudgetChange]:
    """The newest changes of a project's limit, newest first."""
    return list(BudgetChange.objects.filter(project=project).select_related("changed_by")[:BUDGET_CHANGES])
