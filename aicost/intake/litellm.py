"""`POST /api/v1/litellm`: the generic API callback of a LiteLLM proxy or SDK.

It sends a `StandardLoggingPayload`, an array of them, or one per line, all as `application/json`.
"""

from django.http import HttpRequest, HttpResponse

from aicost.intake import group_commit
from aicost.intake.batches import outcomes_response, read_rows
from aicost.intake.endpoint import parsing_context, usage_endpoint
from aicost.intake.metrics import count
from billing.sources.litellm import NAME, read_record
from products.models import Project


@usage_endpoint
def litellm_callback(request: HttpRequest, project: Project) -> HttpResponse:
    records = read_rows(request, lines_as_json=True)
    context = parsing_context()
    outcomes = group_commit.record(project, NAME, [read_record(record, context) for record in records])
    count(NAME, outcomes)
    return outcomes_response(outcomes)
