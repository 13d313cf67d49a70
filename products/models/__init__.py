"""Projects, their members and tokens, what ran in them, and the audit log."""

from products.models.audit import AuditEntry
from products.models.projects import (
    AgentType,
    Membership,
    Project,
    ProjectQuerySet,
    new_version,
    validate_time_zone,
)
from products.models.runs import SENDER_ID_LENGTH, SUPERSEDED, AgentJob, PipelineRun
from products.models.tokens import ApiToken, TokenQuerySet
from products.statuses import Status

__all__ = [
    "SENDER_ID_LENGTH",
    "SUPERSEDED",
    "AgentJob",
    "AgentType",
    "ApiToken",
    "AuditEntry",
    "Membership",
    "PipelineRun",
    "Project",
    "ProjectQuerySet",
    "Status",
    "TokenQuerySet",
    "new_version",
    "validate_time_zone",
]
