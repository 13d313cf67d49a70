"""The usage event as the ledger records it, and the field names and limits of what senders send. Pure."""

from datetime import UTC, datetime, timedelta

import msgspec
from django.db import models

from billing.events.price_factors import NO_FACTORS, PriceFactors
from products.statuses import Status

ID_LENGTH = 200
TEXT_LENGTH = 200
TRIGGER_LENGTH = 100
CALL_ID_LENGTH = 512
MAX_CALL_IDS = 4
MAX_TOKENS = 10**12
MAX_DOLLARS = 1_000_000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(hours=24)
"""How far in the future an instant may lie."""


class Kind(models.TextChoices):
    """The kinds of credit transactions. No sender sends a reversal: by it the ledger takes a line back."""

    DEDUCTION = "deduction"
    REFUND = "refund"
    PURCHASE = "purchase"
    GRANT = "grant"
    REVERSAL = "reversal"


# Plain strings for code that runs once an event: reading an enumeration's member takes longer.
DEDUCTION, REFUND, PURCHASE, GRANT, REVERSAL = Kind.values
JOB = "job"
"""The kind of an event that reports on a job and its run, and records no transaction."""
KINDS = (DEDUCTION, REFUND, PURCHASE, GRANT, JOB)
"""The kinds that senders send."""
STATUSES = tuple(Status.values)
"""Weakest first: of several reported ones, the last in this order holds."""

TOKEN_FIELDS = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens")
FACTOR_FIELDS = (
    *("speed", "serviceTier", "region", "batch"),
    *("webSearches", "webFetches", "audioInputTokens", "audioOutputTokens"),
)
COUNT_FIELDS = (*TOKEN_FIELDS, "webSearches", "webFetches", "audioInputTokens", "audioOutputTokens")
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
    *FACTOR_FIELDS,
    "costDollars",
    "credits",
    "reservationId",
    "callIds",
)


class EventError(Exception):
    """An invalid event: which field is wrong, and why, in words for its sender."""

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


def combine(a: Tokens, b: Tokens, sign: int) -> Tokens:
    """a ± b, but no count below zero: a later copy may have a smaller count of one kind."""
    counts = [
        max(x + sign * y, 0)
        for x, y in zip(msgspec.structs.astuple(a), msgspec.structs.astuple(b), strict=True)
    ]
    counts[3] = min(counts[3], counts[2])  # 1-hour writes remain a part of the writes
    return Tokens(*counts)


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """A valid event in normal form. Instants are UTC; "" and None mean "not reported"."""

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
    factors: PriceFactors = NO_FACTORS
    """What changes the price of these tokens. Not part of `content`: earlier versions did not read it."""
    stated_nanos: int | None = None
    """The cost that the sender stated; None if it has to be computed."""
    reservation_id: str = ""
    """The budget reservation made for this usage; recording the usage ends it."""
    already_recorded: Tokens = NO_TOKENS
    """Tokens of the same model call that are in the ledger already. The cost of this event is the
    price of the whole call less the price of these."""
    call_ids: tuple[str, ...] = ()
    """Ids of the model call that a deduction pays for: a provider's request or response id, a gateway's call
    id. Reports that share one are of the same call, unless they contradict each other."""
    gateway_id: str = ""
    """The one of `call_ids` that a gateway gave. Reports with different ones are of different calls."""
    sender: str = ""
    """The format or instrumentation that reports the call; "" for a plain usage event. A sender reports a
    call at one instant only: if it uses an id again at another instant, it has reused the id."""
    part: str = ""
    """The part of the call that this deduction pays for, if it is billed beside the rest: an advisor's answer
    within a response, such as `advisor1`."""
    covers_parts: str = ""
    """The kind of parts, as `advisor`, whose cost `stated_nanos` includes."""
    opening: Tokens | None = None
    """What the first copy of a response in an agent's log says, from which `tokens` have grown."""
    earlier_ids: tuple[str, ...] = ()
    """Event ids under which the same deduction was recorded by earlier versions of this product, or with
    smaller counts."""
    earlier_run_id: str = ""
    """The run that earlier versions recorded the same job under."""
    run_is_trace: bool = False
    """Whether `run_id` is a trace, which stands in for a session or conversation that is not reported."""
    call_started_at: datetime | None = None
    """When the call of a deduction started; `occurred_at` is then when it ended. Both are equal if the report
    gives one instant only, anywhere between the two."""
    resource: str = ""
    """A digest of what the call's telemetry says of the process that made it; "" if it says nothing."""
    is_agents_own: bool = False
    """Whether an agent itself reports the call, as one of the session that `run_id` is."""

    @property
    def content(self) -> tuple[object, ...]:
        named = (self.kind, self.occurred_at, self.run_id, self.job_id, self.model)
        return content(*named, self.tokens, self.stated_nanos)


def content(
    kind: str, occurred_at: datetime, run: str, job: str, model: str, t: Tokens, stated_nanos: int | None
) -> tuple[object, ...]:
    """What two events with one id must share to be the same event.

    Reports on the run and job, and a computed cost, are not part of it.
    """
    counts = (t.input, t.cache_read, t.cache_write, t.cache_write_1h, t.output)
    return (kind, occurred_at, run, job, model, *counts, stated_nanos)


class Rejection(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Input that is not a valid usage event: where it was found, which field is wrong, and why."""

    reason: str
    field: str = ""
    event_id: str = ""
    origin: str = ""
    """`file:line` for files, empty for requests."""
    sender: str = ""
    """As in `UsageEvent`, if it is known."""
