"""Splitting a change in cost by its causes. The parts always add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.decomposition import Parts, Work, split

pytestmark = pytest.mark.once

counts = st.one_of(st.just(0), st.integers(0, 1_000))
works = st.builds(
    Work,
    jobs=counts,
    tokens=st.one_of(st.just(0), st.integers(0, 10**12)),
    cost=st.one_of(st.just(0), st.integers(-(10**12), 10**15)),
)


def test_twice_the_jobs_at_the_same_tokens_and_price_is_due_to_jobs() -> None:
    assert split(Work(10, 1_000, 500), Work(20, 2_000, 1_000)) == Parts(jobs=500)


def test_twice_the_tokens_per_job_is_due_to_tokens() -> None:
    assert split(Work(10, 1_000, 500), Work(10, 2_000, 1_000)) == Parts(tokens_per_job=500)


def test_twice_the_price_is_due_to_price() -> None:
    assert split(Work(10, 1_000, 500), Work(10, 1_000, 1_000)) == Parts(price_per_token=500)


def test_joint_effects_are_shared_equally() -> None:
    # All three factors doubled: 8 times the cost, and each has the same share of the change.
    assert split(Work(3, 3, 3_000), Work(6, 12, 24_000)) == Parts(7_000, 7_000, 7_000)


def test_a_new_or_vanished_agent_type_is_due_to_jobs() -> None:
    assert split(Work(), Work(2, 10, 100)) == Parts(jobs=100)
    assert split(Work(2, 10, 100), Work()) == Parts(jobs=-100)


def test_a_cost_without_tokens_is_a_price_per_job() -> None:
    assert split(Work(2, 0, 100), Work(4, 0, 200)) == Parts(jobs=100)
    assert split(Work(2, 0, 100), Work(2, 50, 300)) == Parts(price_per_token=200)


def test_jobs_without_cost_before_had_no_tokens_per_job() -> None:
    assert split(Work(2, 0, 0), Work(2, 100, 300)) == Parts(tokens_per_job=300)


def test_work_without_finished_jobs_counts_as_one_job() -> None:
    assert split(Work(1, 100, 300), Work(0, 100, 300)) == Parts()
    assert split(Work(0, 100, 300), Work(2, 200, 600)) == Parts(jobs=300)


@given(works, works)
def test_the_parts_add_up_exactly_to_the_change(before: Work, after: Work) -> None:
    assert split(before, after).whole == after.cost - before.cost


@given(works)
def test_without_a_change_there_are_no_parts(work: Work) -> None:
    assert split(work, work) == Parts()


@given(works, works)
def test_swapping_the_periods_swaps_the_signs(before: Work, after: Work) -> None:
    there, back = split(before, after), split(after, before)
    slack = max(abs(before.cost), abs(after.cost)) // 10**12 + 2  # for floating-point errors
    assert abs(there.jobs + back.jobs) <= slack
    assert abs(there.tokens_per_job + back.tokens_per_job) <= slack


def test_totals() -> None:
    assert Parts.total([]) == Parts()
    assert Work.total([]) == Work()
    assert Work.total([Work(1, 2, 3), Work(10, 20, 30)]) == Work(11, 22, 33)
