"""`POST /api/v1/usage`: a usage event, a JSON array of them, or NDJSON."""

from django.http import HttpRequest, HttpResponse

from aicost.intake import group_commit
from aicost.intake.batches import answer, rows_of
from aicost.intake.body import Refused, context, door
from aicost.views.metrics import count
from billing import ledger
from billing.sources.usage_events import read_row
from products.models import Project


@door
def usage(request: HttpRequest, project: Project) -> HttpResponse:
    atomic = _flag(request, "atomic")
    rows, told = rows_of(request), context()
    events = [read_row(row, told) for row in rows]
    outcomes = ledger.record(project, events, atomic=True) if atomic else group_commit.record(project, events)
    count("usage", outcomes)
    return answer(outcomes)


def _flag(request: HttpRequest, name: str) -> bool:
    text = request.GET.get(name, "false")
    if text not in ("true", "false"):
        raise Refused(400, f"{name} is true or false.")
    return text == "true"
