"""`POST /v1/logs`: OpenTelemetry log records in OTLP over HTTP. Those of model calls are recorded."""

from collections.abc import Sequence
from functools import partial

from django.http import HttpRequest, HttpResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from aicost.intake import otlp_http
from aicost.intake.endpoint import parsing_context, usage_endpoint
from aicost.intake.metrics import count
from billing import intake_counts, ledger
from billing.events.usage_event import Rejection, UsageEvent
from billing.ledger import Outcome
from billing.sources.otlp import log_records
from products.models import Project

NAME = "logs"


@otlp_http.with_otlp_errors
@usage_endpoint
def logs(request: HttpRequest, project: Project) -> HttpResponse:
    """The status is 200 even if records were rejected: after an error, exporters send all of them again."""
    message = otlp_http.read_request(request, ExportLogsServiceRequest)
    events = list(log_records.events(message, parsing_context()))
    otlp_http.refuse_too_many(len(events))
    outcomes = ledger.record(project, events, then=partial(_count, project, events))
    count(NAME, outcomes)
    response = ExportLogsServiceResponse()
    if rejected := otlp_http.rejected(outcomes):
        response.partial_success.rejected_log_records = len(rejected)
        response.partial_success.error_message = "; ".join(otlp_http.reasons(rejected))
    return otlp_http.answer(request, response)


def _count(project: Project, events: Sequence[UsageEvent | Rejection], outcomes: Sequence[Outcome]) -> None:
    intake_counts.add(project, otlp_http.counts_of(NAME, events, outcomes))
