"""What callers who ask before spending are told once the limit would be passed: no, or only how it stands.

Usage that arrives is recorded under either.
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
    """Of a setting's text. Who asks before spending wants to be stopped, and who sets a limit wants it
    kept: unless somebody chose to be warned only, the limit binds."""
    return WARN if value == WARN else DENY


def policy_of(project: Project) -> str:
    rows = BillingSetting.objects.filter(project=project, key=KEY)
    return read(rows.values_list("value", flat=True).first())


@transaction.atomic
def set_policy(project: Project, policy: str, *, by: Any) -> BudgetChange | None:
    """Set it and write down who did, in the history of the limit, which stays as it is.

    Answers the history's new entry, or None where that was the policy already. The caller has
    checked that `by` may do this, and that there is such a policy.
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
