"""`POST /v1/traces`: OpenTelemetry traces in OTLP over HTTP, as protobuf or JSON."""

from collections.abc import Sequence
from functools import partial

from django.http import HttpRequest, HttpResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from aicost.intake import otlp_http
from aicost.intake.endpoint import parsing_context, usage_endpoint
from aicost.intake.metrics import count, count_not_understood
from billing import intake_counts
from billing.events.usage_event import Rejection
from billing.ledger import traces as billing_traces
from billing.ledger.outcomes import Outcome
from billing.sources import otlp
from billing.sources.otlp.unknown_usage import NotUnderstood
from products.models import Project

NAME = "traces"


@otlp_http.with_otlp_errors
@usage_endpoint
def traces(request: HttpRequest, project: Project) -> HttpResponse:
    """The status is 200 even if spans were rejected: after an error, exporters send all of them again."""
    message = otlp_http.read_request(request, ExportTraceServiceRequest)
    items = list(otlp.spans(message, parsing_context()))
    spans = [item for item in items if not isinstance(item, NotUnderstood)]
    otlp_http.refuse_too_many(
        sum(not isinstance(span, otlp.Found) or span.event is not None for span in spans)
    )
    not_understood = [item for item in items if isinstance(item, NotUnderstood)]
    outcomes = billing_traces.record(project, spans, then=partial(_count, project, spans, not_understood))
    count(NAME, (outcome for outcome in outcomes if outcome is not billing_traces.REMEMBERED))
    count_not_understood(NAME, (item.reason for item in not_understood))
    return otlp_http.answer(request, _response(outcomes, not_understood))


def _count(
    project: Project,
    spans: Sequence[otlp.Found | Rejection],
    not_understood: Sequence[NotUnderstood],
    outcomes: Sequence[Outcome],
) -> None:
    events = [span.event if isinstance(span, otlp.Found) else span for span in spans]
    intake_counts.add(project, otlp_http.counts_of(NAME, events, not_understood, outcomes))


def _response(
    outcomes: Sequence[Outcome], not_understood: Sequence[NotUnderstood]
) -> ExportTraceServiceResponse:
    response = ExportTraceServiceResponse()
    rejected = otlp_http.rejected(outcomes)
    if rejected or not_understood:
        # With no rejected spans, the message is a warning.
        response.partial_success.rejected_spans = len(rejected)
        reasons = [*otlp_http.reasons(rejected), *otlp_http.kinds_of(not_understood)]
        response.partial_success.error_message = "; ".join(reasons)
    return response
