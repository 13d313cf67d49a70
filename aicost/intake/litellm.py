"""`POST /api/v1/litellm`: what the generic API callback of a LiteLLM proxy or SDK sends.

One `StandardLoggingPayload`, an array of them, or one a line; the callback calls all three
`application/json`.
"""

from django.http import HttpRequest, HttpResponse

from aicost.intake import group_commit
from aicost.intake.batches import answer, rows_of
from aicost.intake.body import context, door
from aicost.views.metrics import count
from billing.sources.litellm import read_record
from products.models import Project


@door
def litellm_callback(request: HttpRequest, project: Project) -> HttpResponse:
    records = rows_of(request, lines_as_json=True)
    told = context()
    outcomes = group_commit.record(project, [read_record(record, told) for record in records])
    count("litellm", outcomes)
    return answer(outcomes)
