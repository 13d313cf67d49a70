"""`POST /api/v1/usage`: a usage event, a JSON array of them, or NDJSON."""

from django.http import HttpRequest, HttpResponse

from aicost.intake import group_commit
from aicost.intake.batches import outcomes_response, read_rows
from aicost.intake.body import RequestRefused
from aicost.intake.endpoint import parsing_context, usage_endpoint
from aicost.intake.metrics import count
from billing import ledger
from billing.sources.usage_events import read_row
from products.models import Project


@usage_endpoint
def usage(request: HttpRequest, project: Project) -> HttpResponse:
    atomic = _flag(request, "atomic")
    rows, context = read_rows(request), parsing_context()
    events = [read_row(row, context) for row in rows]
    outcomes = ledger.record(project, events, atomic=True) if atomic else group_commit.record(project, events)
    count("usage", outcomes)
    return outcomes_response(outcomes)


def _flag(request: HttpRequest, name: str) -> bool:
    text = request.GET.get(name, "false")
    if text not in ("true", "false"):
        raise RequestRefused(400, f"{name} must be true or false.")
    return text == "true"
