"""`POST /api/v1/usage`: a usage event, a JSON array of them, or NDJSON."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse

from aicost.intake import group_commit
from aicost.intake.batches import outcomes_response, read_rows
from aicost.intake.body import RequestRefused
from aicost.intake.endpoint import parsing_context, usage_endpoint
from aicost.intake.metrics import count
from billing import intake_counts, ledger
from billing.events.usage_event import Rejection, UsageEvent
from billing.ledger import Outcome
from billing.sources.usage_events import read_row
from products.models import Project

NAME = "usage"


@usage_endpoint
def usage(request: HttpRequest, project: Project) -> HttpResponse:
    atomic = _flag(request, "atomic")
    rows, context = read_rows(request), parsing_context()
    events = [read_row(row, context) for row in rows]
    outcomes = _record_all(project, events) if atomic else group_commit.record(project, NAME, events)
    count(NAME, outcomes)
    return outcomes_response(outcomes)


def _record_all(project: Project, events: Sequence[UsageEvent | Rejection]) -> list[Outcome]:
    """Record all events, or none if one of them is refused."""

    def count_kinds(outcomes: Sequence[Outcome]) -> None:
        intake_counts.add(project, intake_counts.counts_of(NAME, events, outcomes))

    return ledger.record(project, events, atomic=True, then=count_kinds)


def _flag(request: HttpRequest, name: str) -> bool:
    text = request.GET.get(name, "false")
    if text not in ("true", "false"):
        raise RequestRefused(400, f"{name} must be true or false.")
    return text == "true"
