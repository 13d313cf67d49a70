"""Budget policies: whether a check before spending refuses what would exceed the limit, or only warns.

Usage that arrives is recorded under either policy.
"""

from typing import Any

from django.db import transaction
from django.utils import timezone

from billing import ledger
from billing.budgets import limits
from billing.models import BillingSetting, BudgetChange
from products import audit
from products.models import Project

KEY = "ai_budget_policy"
"""The billing setting whose value is the policy."""
DENY, WARN = BudgetChange.Policy.DENY.value, BudgetChange.Policy.WARN.value


def read(value: str | None) -> str:
    """The policy that a setting's text names. A limit binds unless somebody chose only to be warned."""
    return WARN if value == WARN else DENY


def policy_of(project: Project) -> str:
    rows = BillingSetting.objects.filter(project=project, key=KEY)
    return read(rows.values_list("value", flat=True).first())


@transaction.atomic
def set_policy(project: Project, policy: str, *, by: Any) -> BudgetChange | None:
    """Set the policy and record who did, in the budget's history. The limit stays as it is.

    Returns the history's new entry, or None if nothing changed. The caller has checked that `by` may do
    this and that the policy exists.
    """
    project = ledger.lock(project)
    if policy_of(project) == policy:
        return None
    BillingSetting.objects.update_or_create(project=project, key=KEY, defaults={"value": policy})
    project.renew_version()
    audit.record(audit.Kind.POLICY_CHANGED, by=by, project=project, detail=policy)
    limit = limits.limits_now([project]).get(project.pk)
    return BudgetChange.objects.create(
        project=project,
        changed_at=timezone.now(),
        changed_by=by,
        old_limit_nanos=limit,
        new_limit_nanos=limit,
        policy=policy,
    )
