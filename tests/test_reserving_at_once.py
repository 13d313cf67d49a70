"""Concurrent callers never reserve more than remains."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from aicost.api.procedures import PROCEDURES
from billing.budgets import checks, limits
from billing.ledger import reservations
from billing.models import BudgetReservation
from products.access import Caller
from products.models import Project
from tests.factories import ProjectFactory, event, send, usage
from tests.faults.server import own_database
from tests.test_concurrency import PATIENCE, at_once, check_sound, senders

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[1]
CALLERS, TIMES = 16, 3
DOLLAR = 10**9


@pytest.fixture
def limited() -> Project:
    """A product with a limit of forty dollars, of which seven are spent."""
    project = ProjectFactory()
    limits.set_limit(project, Decimal(40), by=project.owner)
    usage(project, costDollars="7", occurredAt=timezone.now().isoformat())
    return project


def check_answers(project: Project, answers: list[dict[str, Any]]) -> None:
    """Forty-eight callers asked for a dollar each and thirty-three remained: exactly these are reserved."""
    allowed = [one for one in answers if one["allowed"]]
    assert (len(answers), len(allowed)) == (CALLERS * TIMES, 33)
    assert all(one["reserved"] <= one["remaining"] == 33 for one in answers)
    reserved = BudgetReservation.objects.filter(project=project)
    assert set(reserved.values_list("reservation_id", "estimate_nanos")) == {
        (one["reservationId"], DOLLAR) for one in allowed
    }
    assert checks.check(project).budget.reserved_nanos == 33 * DOLLAR


def test_threads_never_reserve_more_than_remains(limited: Project) -> None:
    given = {"projectId": str(limited.pk), "estimateDollars": 1}

    def ask() -> list[dict[str, Any]]:
        reserve = PROCEDURES["aiCost.reserveBudget"]
        return [reserve.call(Caller(limited.owner), given) for _ in range(TIMES)]

    check_answers(limited, [one for answers in at_once(*[ask] * CALLERS) for one in answers])


def test_processes_never_reserve_more_than_remains(limited: Project) -> None:
    arguments = map(str, (limited.pk, limited.owner_id, CALLERS, TIMES))
    done = subprocess.run(
        [sys.executable, "-m", "tests.reserving", *arguments],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE_URL": own_database()},
        stdout=subprocess.PIPE,
        timeout=PATIENCE * 2,
        check=True,
    )
    check_answers(limited, json.loads(done.stdout))


def test_one_id_reserved_by_all_at_once_is_reserved_once(limited: Project) -> None:
    def ask() -> checks.BudgetCheck:
        return checks.reserve(limited, 20 * DOLLAR, by=limited.owner, reservation_id="mine")

    answers = at_once(*[ask] * CALLERS)
    assert all(one.allowed for one in answers)
    assert reservations.held(limited).nanos == 20 * DOLLAR
    assert reservations.held(limited).count == 1


def test_callers_who_spend_what_they_reserved_meet_the_limit_exactly(limited: Project) -> None:
    """Reserved becomes spent in one transaction: it is never both, and never neither."""

    def work() -> None:
        while (answer := checks.reserve(limited, DOLLAR, by=limited.owner)).allowed:
            assert answer.reservation
            given = {"reservationId": answer.reservation.reservation_id, "costDollars": "1"}
            usage = event(eventId=given["reservationId"], occurredAt=timezone.now().isoformat(), **given)
            assert send(limited, usage) == ["recorded"]

    def watch() -> list[int]:
        budgets = [checks.check(limited).budget for _ in range(100)]
        return [one.spent_nanos + one.reserved_nanos for one in budgets]

    committed = at_once(watch, *[work] * (senders() - 1))[0]
    assert max(committed) <= 40 * DOLLAR
    assert committed == sorted(committed)
    budget = checks.check(limited).budget
    assert (budget.spent_nanos, budget.reserved_nanos) == (40 * DOLLAR, 0)
    check_sound(limited)
