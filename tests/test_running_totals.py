"""Only the difference of a grown response is recorded, once, however its log is imported."""

from typing import Any

import pytest

from billing import verification
from billing.events.usage_event import Tokens
from billing.ledger.responses import running_totals
from billing.models import CreditTransaction
from tests.factories import event
from tests.prices import listed_nanos

pytestmark = pytest.mark.usefixtures("clock")

MODEL = "claude-sonnet-4-5-20250929"


def response(output: int, **given: Any) -> Any:
    defaults = {
        "eventId": "msg:req",
        "model": MODEL,
        "inputTokens": 100,
        "jobId": "main",
        "costDollars": None,
    }
    return event(**{**defaults, "outputTokens": output, **given})


def statuses(project: Any, *events: Any) -> list[str]:
    return [outcome.status for outcome in running_totals.record(project, events)]


def rows(project: Any) -> dict[str, tuple[int, int]]:
    found = CreditTransaction.objects.filter(project=project)
    return {row.event_id: (row.output_tokens, row.amount_nanos) for row in found}


def test_the_difference_is_recorded_under_an_id_of_its_own(project):
    assert statuses(project, response(10)) == ["recorded"]
    assert statuses(project, response(250)) == ["recorded"]
    assert rows(project) == {"msg:req": (10, 450_000), "msg:req+350": (240, 3_600_000)}
    assert statuses(project, response(400)) == ["recorded"]
    assert rows(project)["msg:req+500"] == (150, 2_250_000)
    assert not list(verification.differences(project))


def test_a_smaller_or_equal_copy_is_a_duplicate_in_any_run(project):
    statuses(project, response(10))
    statuses(project, response(250))
    before = rows(project)
    for copy in (response(250), response(3, runId="resumed"), response(10)):
        assert statuses(project, copy) == ["duplicate"]
    assert rows(project) == before


def test_growth_in_one_or_several_steps_has_the_same_total(project, other_project):
    for output in (10, 20, 250):
        statuses(project, response(output))
    statuses(other_project, response(250))

    def total(of: Any) -> tuple[int, ...]:
        return tuple(map(sum, zip(*rows(of).values(), strict=True)))

    assert total(project) == total(other_project)


def test_a_grown_copy_in_another_run_is_recorded_on_the_original_job(project):
    statuses(project, response(10))
    statuses(project, response(50, runId="resumed", jobId="other"))
    grown = CreditTransaction.objects.select_related("job__run").get(event_id="msg:req+150")
    assert (grown.job.run.run_id, grown.job.job_id) == ("run-1", "main")


def test_a_count_that_shrank_is_not_refunded(project):
    statuses(project, response(10))
    statuses(project, response(200, inputTokens=50))
    assert CreditTransaction.objects.get(event_id="msg:req+250").input_tokens == 0


def test_the_price_is_that_of_the_whole_call_less_what_was_recorded(project):
    """Above 200,000 input tokens this model charges more for every token of the call."""
    statuses(project, response(10, inputTokens=190_000))
    statuses(project, response(10, inputTokens=210_000))
    whole = response(10, inputTokens=210_000)
    assert sum(nanos for _, nanos in rows(project).values()) == listed_nanos(
        MODEL, Tokens(input=210_000, output=10), whole.occurred_at
    )
