"""Before spending: what is allowed, what is reserved, and when it ends."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client

from billing.budgets import checks as budget_checks
from billing.budgets import limits, policies
from billing.ledger import reservations
from billing.models import BudgetReservation
from billing.rollups import updates
from products import tokens
from products.models import ApiToken, Project
from tests import citus
from tests.calls import OK, Json, Result, call
from tests.conftest import NOW
from tests.factories import ProjectFactory, event, fields, send, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

DOLLAR = 10**9


def nanos(dollars: str) -> int:
    return int(Decimal(dollars) * DOLLAR)


def spend(project: Project, dollars: str) -> None:
    """Negative dollars are a refund for a job of the month before."""
    if Decimal(dollars) >= 0:
        usage(project, costDollars=dollars)
    else:
        usage(project, kind="refund", costDollars=dollars.removeprefix("-"))


def reserve(project: Project, dollars: str, **more: Any) -> budget_checks.BudgetCheck:
    return budget_checks.reserve(project, nanos(dollars), by=project.owner, **more)


def reserved_by_id(project: Project) -> dict[str, int]:
    """What counts against the budget now, by id."""
    rows = reservations.active().filter(project=project)
    return dict(rows.values_list("reservation_id", "estimate_nanos"))


@pytest.fixture
def limited(project: Project) -> Project:
    """A product with a limit of ten dollars."""
    limits.set_limit(project, Decimal(10), by=project.owner)
    return project


@pytest.fixture(params=["trpc", "jsonrpc"])
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ask(owner: Any, project: Project, transport: str) -> Any:
    """Calls a procedure on the project with a token of the owner's; returns the answer."""

    def asked(name: str, given: Any = None, scope: str = "write", of: Project = project) -> Result:
        narrowed = project if scope == "ingest" else None
        _, text = tokens.issue(owner, scope=scope, project=narrowed)
        client = Client(headers={"Authorization": f"Bearer {text}"})
        more = given if isinstance(given, Json) else json.dumps(given or {})
        start = f'{{"projectId": "{of.pk}"' + (", " if more != "{}" else "")
        return call(client, transport, f"aiCost.{name}", Json(start + more[1:]))

    return asked


# ---- What is allowed


BOUNDS: list[tuple[str, str, str, bool]] = [
    # spent, reserved, estimate
    ("0", "0", "10", True),
    ("0", "0", "10.000000001", False),
    ("4", "3", "3", True),
    ("4", "3", "3.000000001", False),
    ("9.999999999", "0", "0.000000001", True),
    ("9.999999999", "0", "0.000000002", False),
    ("10", "0", "0.000000001", False),
    ("10.000000001", "0", "0.000000001", False),
    ("25", "0", "1", False),
    ("-1", "0", "11", True),
    ("-1", "0", "11.000000001", False),
]


@pytest.mark.parametrize(("spent", "reserved", "estimate", "allowed"), BOUNDS)
def test_an_estimate_is_allowed_to_the_last_nano_dollar(
    limited: Project, spent: str, reserved: str, estimate: str, allowed: bool
) -> None:
    if Decimal(reserved):
        assert reserve(limited, reserved).allowed
    spend(limited, spent)
    before = reserved_by_id(limited)
    assert budget_checks.check(limited, nanos(estimate)).allowed == allowed
    assert reserved_by_id(limited) == before, "a check reserves nothing"
    answer = reserve(limited, estimate)
    assert answer.allowed == allowed
    assert bool(answer.reservation) == allowed
    assert sum(reserved_by_id(limited).values()) == nanos(reserved) + (nanos(estimate) if allowed else 0)


@pytest.mark.parametrize(
    ("spent", "reserved", "allowed"),
    [("0", "10", True), ("9.999999999", "0", True), ("10", "0", False), ("9.5", "0.5", True)],
)
def test_without_an_estimate_the_check_is_whether_the_limit_is_kept(
    limited: Project, spent: str, reserved: str, allowed: bool
) -> None:
    if Decimal(reserved):
        assert reserve(limited, reserved).allowed
    spend(limited, spent)
    assert budget_checks.check(limited).allowed == allowed


def test_usage_may_exceed_what_was_reserved_and_then_nothing_is_allowed(limited: Project) -> None:
    reserve(limited, "6")
    spend(limited, "5")
    assert not budget_checks.check(limited).allowed
    assert budget_checks.check(limited).budget.reserved_nanos == 6 * DOLLAR


def test_without_a_limit_everything_is_allowed_and_reserved(project: Project) -> None:
    spend(project, "1000")
    answer = reserve(project, "1000000")
    assert (answer.allowed, answer.budget.limit_nanos, answer.budget.remaining_nanos) == (
        True,
        None,
        None,
    )
    limits.set_limit(project, Decimal(2000), by=project.owner)
    assert not budget_checks.check(project, 1).allowed, "what was reserved counts under the new limit"


def test_if_the_policy_only_warns_everything_is_allowed_and_the_state_says_so(limited: Project) -> None:
    policies.set_policy(limited, "warn", by=limited.owner)
    spend(limited, "12")
    answer = reserve(limited, "7")
    assert answer.allowed
    budget = answer.budget
    assert (budget.state, budget.reserved_nanos, budget.remaining_nanos) == (
        "red",
        7 * DOLLAR,
        -2 * DOLLAR,
    )
    policies.set_policy(limited, "deny", by=limited.owner)
    assert not reserve(limited, "7").allowed


def test_limit_policy_spend_and_reservations_are_the_products(
    limited: Project, other_project: Project
) -> None:
    spend(other_project, "9")
    reserve(other_project, "9")
    policies.set_policy(other_project, "warn", by=other_project.owner)
    assert reserve(limited, "10").allowed
    assert not reserve(limited, "1").allowed


def test_sums_of_reservations_stay_within_64_bits(project: Project) -> None:
    most = 10**15
    BudgetReservation.objects.bulk_create(
        BudgetReservation(
            project=project,
            reservation_id=f"r{number}",
            estimate_nanos=most,
            made_at=NOW,
            expires_at=NOW + timedelta(minutes=15),
        )
        for number in range(1000)
    )
    with pytest.raises(ValidationError, match="1,000,000,000 dollars"):
        budget_checks.reserve(project, 1, by=project.owner)
    assert budget_checks.reserve(project, most, by=project.owner, reservation_id="r7").allowed


def test_the_figures_are_read_in_one_statement(limited: Project, django_assert_num_queries: Any) -> None:
    """Usage that ends a reservation meanwhile is then counted exactly once."""
    with django_assert_num_queries(1):
        budget_checks.check(limited, 1)
    # a savepoint and its end, the lock, the figures, the expired, the new, the version of the cached pages;
    # on a cluster, one more statement sets how long to wait for the lock
    with django_assert_num_queries(7 + citus.in_use()):
        reserve(limited, "1")


# ---- The answers to callers


BUDGET = {"allowed": True, "budgetLimit": 10, "spent": 0, "reserved": 0, "remaining": 10, "state": "green"}


def test_the_answer_contains_the_budget(ask: Any, limited: Project) -> None:
    assert ask("checkBudget").data == BUDGET
    spend(limited, "8.25")
    assert ask("checkBudget", {"estimateDollars": 1.75}).data == {
        **BUDGET,
        "spent": 8.25,
        "remaining": 1.75,
        "state": "yellow",
    }
    reserved = ask("reserveBudget", {"estimateDollars": 1.5}).data
    assert reserved.pop("reservationId")
    assert reserved == {
        **BUDGET,
        "spent": 8.25,
        "reserved": 1.5,
        "remaining": 1.75,
        "state": "yellow",
        "expiresAt": "2026-03-17T12:15:00Z",
    }
    denied = ask("reserveBudget", {"estimateDollars": 0.5}).data
    assert (denied["allowed"], denied["reservationId"], denied["expiresAt"]) == (False, None, None)
    assert denied["reserved"] == 1.5


def test_without_a_limit_there_are_nulls(ask: Any, project: Project) -> None:
    nulls = {"budgetLimit": None, "remaining": None, "state": None}
    assert ask("checkBudget").data == {**BUDGET, **nulls}


def test_reserved_is_at_most_what_remains_in_every_answer(ask: Any, limited: Project) -> None:
    spend(limited, "2.5")
    answers = [ask("reserveBudget", {"estimateDollars": 1}).data for _ in range(10)]
    assert [one["allowed"] for one in answers] == [True] * 7 + [False] * 3
    assert all(one["reserved"] <= one["remaining"] == 7.5 for one in answers)
    assert len({one["reservationId"] for one in answers}) == 8


@pytest.mark.parametrize("written", ["0.1", "0.29", "1e-9", "0.30000000000000004", "1000000", "1e3", "5.10"])
def test_an_estimate_is_reserved_exactly_as_it_is_written(ask: Any, project: Project, written: str) -> None:
    assert ask("reserveBudget", Json(f'{{"estimateDollars": {written}}}')).code == OK
    assert list(reserved_by_id(project).values()) == [round(Decimal(written) * DOLLAR)]


BAD_ESTIMATES = (
    *("-1", "-0.000000001", '"NaN"', "1e400", "-1e400", "true", "false", '"10"', '""', "1" + "0" * 15),
    *("1000000.01", "9" * 400, "null", "[]", "[1]", "{}", '{"dollars": 1}'),
)


@pytest.mark.parametrize("name", ["checkBudget", "reserveBudget"])
def test_a_bad_estimate_is_refused_by_name_and_nothing_is_stored(
    ask: Any, project: Project, name: str
) -> None:
    too_little = ("0", "-0.0", "1e-10", "5e-324") if name == "reserveBudget" else ()
    for wrong in (*BAD_ESTIMATES, *too_little):
        answer = ask(name, Json(f'{{"estimateDollars": {wrong}}}'))
        assert answer.code == "BAD_REQUEST", (wrong, answer)
        assert answer.message.startswith("estimateDollars: "), (wrong, answer)
    assert not BudgetReservation.objects.exists()


@pytest.mark.parametrize("name", ["checkBudget", "reserveBudget"])
def test_what_is_not_a_json_number_is_refused(ask: Any, project: Project, name: str) -> None:
    for wrong in ("NaN", "Infinity", "-Infinity", "9" * 5000):
        answer = ask(name, Json(f'{{"estimateDollars": {wrong}}}'))
        assert answer.code in ("BAD_REQUEST", "PARSE_ERROR"), (wrong, answer)
    assert not BudgetReservation.objects.exists()


@pytest.mark.parametrize("estimate", ["0", "-0.0", "1e-10", "5e-324"])
def test_a_check_of_nothing_is_a_check(ask: Any, limited: Project, estimate: str) -> None:
    assert ask("checkBudget", Json(f'{{"estimateDollars": {estimate}}}')).data == BUDGET


def test_an_estimate_is_needed_to_reserve(ask: Any, project: Project) -> None:
    answer = ask("reserveBudget")
    assert (answer.code, answer.message) == ("BAD_REQUEST", "estimateDollars: Field required")


@pytest.mark.parametrize("name", ["checkBudget", "reserveBudget"])
@pytest.mark.parametrize("field", ["limitDollars", "estimate", "month", "holdMinutes", "__proto__"])
def test_another_field_is_refused_by_name(ask: Any, project: Project, name: str, field: str) -> None:
    error = ask(name, {"estimateDollars": 1, field: 1})
    assert error.code == "BAD_REQUEST"
    assert error.message.startswith(f"{field}: is not a field")
    assert not BudgetReservation.objects.exists()


BAD_IDS = (
    '""',
    "null",
    "7",
    "true",
    "[]",
    '"a\\u0000"',
    '"a\\nb"',
    '"\\u0085"',
    '"\\ud800"',
    f'"{"x" * 201}"',
)


@pytest.mark.parametrize("wrong", BAD_IDS)
def test_a_bad_reservation_id_is_refused_by_name(ask: Any, project: Project, wrong: str) -> None:
    answer = ask("reserveBudget", Json(f'{{"estimateDollars": 1, "reservationId": {wrong}}}'))
    assert answer.code == "BAD_REQUEST", answer
    assert answer.message.startswith("reservationId: "), answer
    assert not BudgetReservation.objects.exists()


@pytest.mark.parametrize("good", ["x" * 200, "ü/日本 🙂", " ", "' OR 1=1", "{}", "\u202e"])
def test_a_reservation_id_is_any_text_of_the_caller(ask: Any, project: Project, good: str) -> None:
    answer = ask("reserveBudget", {"estimateDollars": 1, "reservationId": good})
    assert answer.data["reservationId"] == good
    assert send(project, event(reservationId=good)) == ["recorded"]
    assert reserved_by_id(project) == {}


# ---- Permissions


@pytest.mark.parametrize(
    ("scope", "checks", "reserves"),
    [("read", OK, "FORBIDDEN"), ("write", OK, OK), ("ingest", OK, OK)],
)
def test_each_scope_allows_what_it_says(
    ask: Any, project: Project, scope: str, checks: str, reserves: str
) -> None:
    assert ask("checkBudget", scope=scope).code == checks
    assert ask("reserveBudget", {"estimateDollars": 1}, scope=scope).code == reserves
    assert len(reserved_by_id(project)) == (reserves == OK)


def test_an_ingest_token_sees_no_other_product(ask: Any, project: Project, owner: Any) -> None:
    second = ProjectFactory(owner=owner)
    for name, given in (("checkBudget", {}), ("reserveBudget", {"estimateDollars": 1})):
        answer = ask(name, given, scope="ingest", of=second)
        assert (answer.code, answer.message) == ("NOT_FOUND", "No such product.")
    assert not BudgetReservation.objects.exists()


def test_viewers_check_and_reserve_nothing(project: Project, viewer: Any, transport: str) -> None:
    _, text = tokens.issue(viewer, scope="write")
    client = Client(headers={"Authorization": f"Bearer {text}"})
    given = {"projectId": str(project.pk)}
    assert call(client, transport, "aiCost.checkBudget", given).code == OK
    answer = call(client, transport, "aiCost.reserveBudget", {**given, "estimateDollars": 1})
    assert answer.code == "FORBIDDEN"
    assert reserved_by_id(project) == {}


def test_the_user_who_reserved_is_stored(ask: Any, project: Project, owner: Any) -> None:
    ask("reserveBudget", {"estimateDollars": 1}, scope="ingest")
    assert BudgetReservation.objects.get().made_by == owner


def test_an_archived_product_takes_neither_reservations_nor_usage(ask: Any, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(archived_at=NOW)
    error = ask("reserveBudget", {"estimateDollars": 1}, scope="ingest")
    assert (error.code, error.message) == ("FORBIDDEN", "This product is archived and accepts no usage.")
    assert ask("checkBudget", scope="ingest").code == OK


# ---- Expiring


def test_a_reservation_holds_for_fifteen_minutes_and_no_longer(limited: Project, clock: Any) -> None:
    answer = reserve(limited, "10")
    assert answer.reservation
    assert answer.reservation.expires_at == NOW + timedelta(minutes=15)
    clock.shift(timedelta(minutes=15) - timedelta(microseconds=1))
    assert not budget_checks.check(limited, 1).allowed
    clock.shift(timedelta(microseconds=1))
    assert budget_checks.check(limited, 10 * DOLLAR).allowed
    assert reserved_by_id(limited) == {}


def test_expired_reservations_are_removed_by_the_next_writer(
    limited: Project, other_project: Project, clock: Any
) -> None:
    reserve(limited, "1", reservation_id="old")
    reserve(other_project, "1", reservation_id="theirs")
    clock.shift(timedelta(minutes=15))

    def stored() -> set[str]:
        return set(BudgetReservation.objects.values_list("reservation_id", flat=True))

    budget_checks.check(limited)
    assert stored() == {"old", "theirs"}, "a query changes nothing"
    reserve(limited, "1", reservation_id="new")
    assert stored() == {"new", "theirs"}
    reserve(limited, "1", reservation_id="used")
    clock.shift(timedelta(minutes=15))
    usage(limited, reservationId="used")
    assert stored() == {"theirs"}


def test_a_reservation_counts_in_the_current_month_of_each_check(owner: Any, clock: Any) -> None:
    project = ProjectFactory(owner=owner, time_zone="Asia/Tokyo")  # its April begins at 15:00 UTC
    limits.set_limit(project, Decimal(10), by=owner)
    clock.move_to(datetime.fromisoformat("2026-03-31T14:55:00Z"))
    usage(project, costDollars="6", occurredAt="2026-03-31T14:54:00Z")
    assert reserve(project, "4").allowed
    assert not budget_checks.check(project, 1).allowed
    clock.move_to(datetime.fromisoformat("2026-03-31T15:00:00Z"))
    budget = budget_checks.check(project).budget
    assert (budget.spent_nanos, budget.reserved_nanos) == (0, 4 * DOLLAR)
    assert budget_checks.check(project, 6 * DOLLAR).allowed
    assert not budget_checks.check(project, 6 * DOLLAR + 1).allowed


# ---- Ending with its usage


def test_usage_ends_its_reservation_and_counts_as_spent(limited: Project) -> None:
    reserve(limited, "6", reservation_id="r1")
    reserve(limited, "1", reservation_id="r2")
    assert send(limited, event(reservationId="r1", costDollars="2.5")) == ["recorded"]
    budget = budget_checks.check(limited).budget
    assert (budget.spent_nanos, budget.reserved_nanos) == (nanos("2.5"), DOLLAR)
    assert reserved_by_id(limited) == {"r2": DOLLAR}


def test_a_duplicate_ends_it_too(project: Project) -> None:
    """The first sending may have come before the reservation, or not have named it."""
    send(project, event(eventId="e1"))
    reserve(project, "1", reservation_id="r1")
    assert send(project, event(eventId="e1", reservationId="r1")) == ["duplicate"]
    assert reserved_by_id(project) == {}


def test_the_first_of_several_events_ends_it(project: Project) -> None:
    reserve(project, "5", reservation_id="r1")
    pieces = [event(reservationId="r1", costDollars="0.5") for _ in range(3)]
    assert send(project, pieces[0]) == ["recorded"]
    assert reserved_by_id(project) == {}
    assert send(project, *pieces[1:]) == ["recorded", "recorded"]


@pytest.mark.parametrize(
    ("reported", "ends"),
    [
        ({"jobStatus": "failed"}, True),
        ({"jobStatus": "cancelled"}, True),
        ({"jobStatus": "succeeded"}, True),
        ({"jobStatus": "running"}, False),
        ({}, False),
    ],
)
def test_a_finished_job_ends_it(project: Project, reported: dict[str, str], ends: bool) -> None:
    reserve(project, "5", reservation_id="r1")
    for _ in range(2):  # and again as a duplicate
        send(project, event(kind="job", reservationId="r1", **reported))
        assert (reserved_by_id(project) == {}) == ends


def test_an_event_that_is_not_recorded_ends_nothing(project: Project) -> None:
    reserve(project, "1", reservation_id="r1")
    send(project, event(eventId="e1", costDollars="1"))
    assert send(project, event(eventId="e1", costDollars="2", reservationId="r1")) == ["conflict"]
    absurd = event(costDollars=None, model="gpt-4", inputTokens=10**12, reservationId="r1")
    assert send(project, absurd) == ["rejected"]
    good = event(reservationId="r1")
    assert send(project, good, absurd, atomic=True) == ["withheld", "rejected"]
    assert reserved_by_id(project) == {"r1": DOLLAR}
    assert send(project, good, absurd) == ["recorded", "rejected"]
    assert reserved_by_id(project) == {}


def test_a_batch_that_is_rolled_back_ends_nothing(project: Project, monkeypatch: Any) -> None:
    reserve(project, "1", reservation_id="r1")

    def fail(*_: Any) -> None:
        raise RuntimeError("after the reservation ended")

    with monkeypatch.context() as broken:
        broken.setattr(updates, "add", fail)
        with pytest.raises(RuntimeError):
            send(project, event(reservationId="r1"))
    assert reserved_by_id(project) == {"r1": DOLLAR}


def test_reservations_of_another_product_with_the_same_id_stay(
    project: Project, other_project: Project
) -> None:
    for each in (project, other_project):
        reserve(each, "1", reservation_id="r1")
    usage(project, reservationId="r1")
    assert (reserved_by_id(project), reserved_by_id(other_project)) == ({}, {"r1": DOLLAR})


def test_thousands_of_reservations_end_with_one_batch(project: Project) -> None:
    for number in range(3):
        reserve(project, "1", reservation_id=f"r{number}")
    batch = [event(reservationId=f"r{number}") for number in range(1_500)]
    assert set(send(project, *batch)) == {"recorded"}
    assert reserved_by_id(project) == {}


def test_a_batch_without_reservations_runs_no_query_for_them(
    project: Project, django_assert_max_num_queries: Any
) -> None:
    reserve(project, "1", reservation_id="r1")
    with django_assert_max_num_queries(40) as asked:
        send(project, event())
        send(project, event(kind="job", reservationId="r1", jobStatus="running"))
    assert not [one["sql"] for one in asked if "budgetreservation" in one["sql"]]


def test_usage_over_http_ends_it_and_refused_usage_does_not(
    client: Client, project: Project, owner: Any
) -> None:
    _, text = tokens.issue(owner, project=project, scope="ingest")
    reserve(project, "1", reservation_id="r1")

    def post(**given: Any) -> str:
        body = json.dumps(fields(reservationId="r1", **given))
        headers = {"Authorization": f"Bearer {text}"}
        answer = client.post("/api/v1/usage", body, "application/json", headers=headers)
        return answer.json()["results"][0]["status"]

    assert post(inputTokens=-1) == "rejected"
    assert reserved_by_id(project) == {"r1": DOLLAR}
    assert post(inputTokens=1) == "recorded"
    assert reserved_by_id(project) == {}


def test_a_column_of_a_csv_ends_it_as_well(project: Project, tmp_path: Any) -> None:
    reserve(project, "1", reservation_id="r1")
    reserve(project, "1", reservation_id="r2")
    path = tmp_path / "usage.csv"
    rows = ["eventId,occurredAt,runId,costDollars,reservationId", "a,2026-03-17T12:00:00Z,run,1,r1"]
    path.write_text("\n".join([*rows, "b,2026-03-17T12:00:00Z,run,1,"]))
    call_command("import_usage", str(path), project=project.pk, stdout=StringIO())
    assert reserved_by_id(project) == {"r2": DOLLAR}


# ---- Reserving again


def test_reserving_again_under_the_same_id_reserves_once(ask: Any, limited: Project) -> None:
    given = {"estimateDollars": 6, "reservationId": "mine"}
    first = ask("reserveBudget", given)
    assert first.data["reservationId"] == "mine"
    assert ask("reserveBudget", given) == first
    assert reserved_by_id(limited) == {"mine": 6 * DOLLAR}


def test_reserving_again_replaces_the_estimate_and_restarts_the_time(limited: Project, clock: Any) -> None:
    reserve(limited, "6", reservation_id="mine")
    clock.shift(timedelta(minutes=10))
    answer = reserve(limited, "10", reservation_id="mine")
    assert answer.allowed
    assert answer.budget.reserved_nanos == 10 * DOLLAR
    [stored] = BudgetReservation.objects.all()
    assert (stored.made_at, stored.expires_at) == (NOW + timedelta(minutes=10), NOW + timedelta(minutes=25))


def test_the_old_reservation_stays_if_the_new_estimate_is_not_allowed(limited: Project, clock: Any) -> None:
    reserve(limited, "6", reservation_id="mine")
    reserve(limited, "3", reservation_id="other")
    clock.shift(timedelta(minutes=10))
    answer = reserve(limited, "7.000000001", reservation_id="mine")
    assert (answer.allowed, answer.reservation, answer.budget.reserved_nanos) == (False, None, 9 * DOLLAR)
    assert reserved_by_id(limited) == {"mine": 6 * DOLLAR, "other": 3 * DOLLAR}
    clock.shift(timedelta(minutes=5))
    assert reserved_by_id(limited) == {}, "nor does it last longer"


def test_an_id_that_ended_can_be_used_again(limited: Project, clock: Any) -> None:
    reserve(limited, "6", reservation_id="mine")
    clock.shift(timedelta(minutes=15))
    assert reserve(limited, "10", reservation_id="mine").allowed
    assert reserved_by_id(limited) == {"mine": 10 * DOLLAR}


def test_generated_ids_cannot_be_guessed(project: Project) -> None:
    made = {reserve(project, "1").reservation.reservation_id for _ in range(20)}
    assert len(made) == 20
    assert all(len(one) >= 20 for one in made)


def test_a_deleted_token_leaves_what_it_reserved(ask: Any, project: Project) -> None:
    ask("reserveBudget", {"estimateDollars": 1}, scope="ingest")
    tokens.revoke(ApiToken.objects.get())
    assert len(reserved_by_id(project)) == 1
