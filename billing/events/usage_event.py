"""Usage events in the form that the ledger books, and the words in which senders tell them."""

from datetime import UTC, datetime, timedelta

import msgspec

ID_LENGTH = 200
TEXT_LENGTH = 200
TRIGGER_LENGTH = 100
MAX_TOKENS = 10**12
MAX_DOLLARS = 1_000_000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(hours=24)

DEDUCTION, REFUND, PURCHASE, GRANT, JOB = "deduction", "refund", "purchase", "grant", "job"
KINDS = (DEDUCTION, REFUND, PURCHASE, GRANT, JOB)
STATUSES = ("running", "succeeded", "cancelled", "failed")
"""In the order in which one of two that were told wins: the later over the earlier."""

TOKEN_FIELDS = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens")
RUN_AND_JOB_FIELDS = (
    *("runId", "trigger", "runStatus", "runStartedAt", "runFinishedAt"),
    *("jobId", "agentType", "jobStatus", "jobStartedAt", "jobFinishedAt"),
)
FIELDS = (
    "eventId",
    "kind",
    "occurredAt",
    *RUN_AND_JOB_FIELDS,
    "model",
    *TOKEN_FIELDS,
    "costDollars",
    "credits",
    "reservationId",
)


class EventError(Exception):
    """An event that can't be booked: which field, and why, in words for the sender."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """Token counts of one model call. `cache_write_1h` is a part of `cache_write`; `input` is uncached."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0

    @property
    def all_input(self) -> int:
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        return self.all_input + self.output


NO_TOKENS = Tokens()


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """An event in the form that is booked. Instants are UTC; "" and None mean "not told"."""

    kind: str
    occurred_at: datetime
    event_id: str = ""
    run_id: str = ""
    trigger: str = ""
    run_status: str = ""
    run_started_at: datetime | None = None
    run_finished_at: datetime | None = None
    job_id: str = ""
    agent_type: str = ""
    job_status: str = ""
    job_started_at: datetime | None = None
    job_finished_at: datetime | None = None
    model: str = ""
    tokens: Tokens = NO_TOKENS
    stated_nanos: int | None = None
    """The cost that the sender stated; None where it is to be computed."""
    reservation_id: str = ""
    """What was reserved for this usage, and ends with it."""
    booked_before: Tokens = NO_TOKENS
    """Counts of the same model call that stand in the ledger already: the price is that of the
    whole call less that of these."""

    @property
    def content(self) -> tuple[object, ...]:
        told = (self.kind, self.occurred_at, self.run_id, self.job_id, self.model)
        return content(*told, self.tokens, self.stated_nanos)


def content(
    kind: str, occurred_at: datetime, run: str, job: str, model: str, t: Tokens, stated_nanos: int | None
) -> tuple[object, ...]:
    """What makes two events with one id the same: what is booked, not what is told or computed."""
    counts = (t.input, t.cache_read, t.cache_write, t.cache_write_1h, t.output)
    return (kind, occurred_at, run, job, model, *counts, stated_nanos)


class Rejection(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Something a sender sent that is no usage event: where it stood, which field, and why."""

    reason: str
    field: str = ""
    event_id: str = ""
    origin: str = ""
    """`file:line` for files, empty for requests."""
