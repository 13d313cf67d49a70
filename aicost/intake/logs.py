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
from aicost.intake.metrics import count, count_not_understood
from billing import intake_counts, ledger
from billing.events.usage_event import Rejection, UsageEvent
from billing.ledger import Outcome
from billing.sources.otlp import log_records
from billing.sources.otlp.unknown_usage import NotUnderstood
from products.models import Project

NAME = "logs"


@otlp_http.with_otlp_errors
@usage_endpoint
def logs(request: HttpRequest, project: Project) -> HttpResponse:
    """The status is 200 even if records were rejected: after an error, exporters send all of them again."""
    message = otlp_http.read_request(request, ExportLogsServiceRequest)
    items = list(log_records.events(message, parsing_context()))
    events = [item for item in items if not isinstance(item, NotUnderstood)]
    not_understood = [item for item in items if isinstance(item, NotUnderstood)]
    otlp_http.refuse_too_many(len(events))
    outcomes = ledger.record(project, events, then=partial(_count, project, events, not_understood))
    count(NAME, outcomes)
    count_not_understood(NAME, (item.reason for item in not_understood))
    response = ExportLogsServiceResponse()
    rejected = otlp_http.rejected(outcomes)
    if rejected or not_understood:
        # With no rejected records, the message is a warning.
        response.partial_success.rejected_log_records = len(rejected)
        reasons = [*otlp_http.reasons(rejected), *otlp_http.kinds_of(not_understood)]
        response.partial_success.error_message = "; ".join(reasons)
    return otlp_http.answer(request, response)


def _count(
    project: Project,
    events: Sequence[UsageEvent | Rejection],
    not_understood: Sequence[NotUnderstood],
    outcomes: Sequence[Outcome],
) -> None:
    intake_counts.add(project, otlp_http.counts_of(NAME, events, not_understood, outcomes))
