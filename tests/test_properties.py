"""Property-based tests of the ledger writer against an independent model, over random histories."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import structs

from billing import ledger, verification
from billing.events import price_factors
from billing.events.parsing import read
from billing.events.usage_event import Tokens, UsageEvent
from billing.ledger import corrections
from billing.ledger.calls.adjustments import sent_id
from billing.ledger.calls.batch import Nested
from billing.ledger.corrections import Unpriced
from billing.prices import price_list
from billing.prices.price_list import Price
from tests.factories import ProjectFactory, UserFactory
from tests.model import Model, Raw, content
from tests.stored import stored

# Shrinking a failing history takes minutes, so only `--long` does it.
QUICK = settings(
    phases=[Phase.explicit, Phase.generate],
    max_examples=25,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(
    QUICK,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    max_examples=200,
    stateful_step_count=40,
    derandomize=False,
)

ZONES = ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York"]
NOW = datetime(2026, 6, 1, tzinfo=UTC)
# Ends of months and years, a leap day and a day of 23 hours; instants lie on both sides of each boundary.
BOUNDARIES = [
    datetime(2026, 1, 31, 10),
    datetime(2026, 2, 1),
    datetime(2026, 2, 1, 11),
    datetime(2024, 2, 29),
    datetime(2025, 12, 31, 10),
    datetime(2026, 3, 8, 7),
]


def written(boundary: datetime, step: timedelta, offset: int) -> str:
    """The instant as written by a sender whose clock is `offset` hours from UTC."""
    return (boundary.replace(tzinfo=UTC) + step).astimezone(timezone(timedelta(hours=offset))).isoformat()


instants = st.builds(
    written,
    st.sampled_from(BOUNDARIES),
    st.sampled_from(
        [timedelta(microseconds=-1), timedelta(0), timedelta(microseconds=1), timedelta(hours=13)]
    ),
    st.sampled_from([0, 2, -7, 14]),
)
statuses = st.sampled_from(["running", "succeeded", "cancelled", "failed"])
counts = st.sampled_from([0, 1, 1000, 10**10])
costs = st.sampled_from(["0", "0.000000001", "0.0000000005", "0.0000000015", "1.50", "1.5", 12, "1000000"])

REPORTS = {
    "trigger": st.sampled_from(["push", "manual", "other", "Zeta"]),
    "runStatus": statuses,
    "runStartedAt": instants,
    "runFinishedAt": instants,
    "agentType": st.sampled_from(["implementation", "testing", "other", "Zed", "  Zed ", "ünter", "🤖"]),
    "jobStatus": statuses,
    "jobStartedAt": instants,
    "jobFinishedAt": instants,
}
RUNS = st.sampled_from(["r1", "r/2", "ʀ3", "r4\\'\""])
JOBS = st.sampled_from(["j1", "j2", "ev1"])
EVENT_IDS = st.sampled_from([f"ev{n}" for n in range(1, 9)] + ["Ev1", "ev 1", "🧾", "ev1+priced"])


FACTORS: dict[str, st.SearchStrategy[Any]] = {
    "serviceTier": st.sampled_from(["priority", "turbo"]),
    "speed": st.just("fast"),
    "webSearches": st.integers(1, 3),
}


def report(*required: str) -> st.SearchStrategy[Raw]:
    return st.fixed_dictionaries(
        {name: REPORTS[name] for name in required},
        optional={name: value for name, value in REPORTS.items() if name not in required},
    )


def merged(base: Raw, more: Raw) -> Raw:
    return {**more, **base}


deductions = st.builds(
    merged,
    st.fixed_dictionaries(
        {"eventId": EVENT_IDS, "occurredAt": instants, "runId": RUNS},
        optional={
            "jobId": JOBS,
            "kind": st.just("deduction"),
            "model": st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "no-such-model", "nor-such"]),
            "inputTokens": counts,
            "cacheReadTokens": counts,
            "outputTokens": counts,
            "costDollars": costs,
            **FACTORS,
        },
    ),
    report(),
)
CALL_IDS = st.lists(st.sampled_from(["req-1", "msg-1", "gw-1", "req-2", "Req-1"]), min_size=1, max_size=3)
CALLED_AT = [datetime(2026, 1, 31, 23, 59, 59), datetime(2026, 2, 1, 0, 0, 3), datetime(2026, 2, 1, 2)]
# Reports of few calls by several senders: copies, growing copies, ids that are used again. What a format
# says of the sender begins with an underscore; only a report that names its call keeps it.
call_reports = st.builds(
    merged,
    st.fixed_dictionaries(
        {
            "eventId": st.sampled_from([f"call{n}" for n in range(1, 9)]),
            "occurredAt": st.sampled_from(CALLED_AT).map(lambda at: f"{at.isoformat()}Z"),
            "runId": RUNS,
            "inputTokens": st.sampled_from([90, 100]),
            "outputTokens": st.sampled_from([1, 20, 21]),
        },
        optional={
            "jobId": JOBS,
            "callIds": CALL_IDS,
            "model": st.sampled_from(
                [
                    "gpt-4o",
                    "openai/gpt-4o-2024-08-06",
                    "claude-sonnet-4-5",
                    "claude-sonnet-4-5@20250929",
                    "nor-such",
                ]
            ),
            "cacheReadTokens": st.sampled_from([0, 10]),
            "cacheWriteTokens": st.sampled_from([0, 10]),
            "costDollars": st.sampled_from(["0.001", "0.002"]),
            **FACTORS,
            "_sender": st.sampled_from(["log", "span"]),
            "_gateway": st.sampled_from(["gw-1", "gw-2"]),
            "_lasted": st.sampled_from([3, 10]),
            "_trace": st.booleans(),
            "_part": st.sampled_from(["", "advisor1", "compaction1"]),
            "_covers": st.just("advisor"),
        },
    ),
    report(),
).map(lambda raw: raw if raw.get("callIds") else {key: raw[key] for key in raw if key[0] != "_"})
refunds = st.builds(
    merged,
    st.fixed_dictionaries(
        {
            "kind": st.just("refund"),
            "eventId": EVENT_IDS,
            "occurredAt": instants,
            "runId": RUNS,
            "jobId": JOBS,
            "costDollars": costs,
        }
    ),
    report(),
)
job_events = st.builds(
    merged,
    st.fixed_dictionaries({"kind": st.just("job"), "occurredAt": instants, "runId": RUNS, "jobId": JOBS}),
    report(),
)
incoming = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["purchase", "grant"]),
        "eventId": EVENT_IDS,
        "occurredAt": instants,
        "costDollars": costs,
    }
)
events = st.deferred(
    lambda: st.one_of(
        *(deductions, deductions, deductions, call_reports, call_reports, call_reports),
        *(refunds, job_events, job_events, incoming),
    )
)


def price(model: str, tokens: tuple[int, ...], at: datetime, reported: Raw) -> tuple[int, str] | None:
    factors = price_factors.normal(
        service_tier=reported.get("serviceTier", ""),
        speed=reported.get("speed", ""),
        web_searches=reported.get("webSearches", 0),
    )
    found = price_list.price(model, Tokens(*tokens), at, factors=factors)
    return (found.nanos, found.without) if found else None


def record(project: Any, raws: list[Raw], atomic: bool = False) -> list[str]:
    return [outcome.status for outcome in ledger.record(project, list(map(as_sent, raws)), atomic=atomic)]


def as_sent(raw: Raw) -> UsageEvent:
    """The event; names that begin with an underscore are what its format says of the sender."""
    fields = {name: value for name, value in raw.items() if not name.startswith("_")}
    event = read(fields, now=NOW, credits_per_dollar=100)
    sender, gateway_id = raw.get("_sender", ""), raw.get("_gateway", "")
    origin = {"sender": sender, "gateway_id": gateway_id, "run_is_trace": raw.get("_trace", False)}
    if raw.get("_lasted"):
        origin["call_started_at"] = event.occurred_at - timedelta(seconds=raw["_lasted"])
    return structs.replace(event, **origin, part=raw.get("_part", ""), covers_parts=raw.get("_covers", ""))


class History(RuleBasedStateMachine):
    """The senders of one project: some are late, some repeat events and some contradict themselves."""

    owner: Any

    @initialize(zone=st.sampled_from(ZONES))
    def begin(self, zone: str) -> None:
        self.project = ProjectFactory(owner=self.owner, time_zone=zone)
        self.model = Model(zone, price)
        self.sent: list[Raw] = []

    def send_to_both(self, raws: list[Raw], atomic: bool = False) -> None:
        expected = self.model.send(raws, atomic)
        assert record(self.project, raws, atomic) == expected
        self.sent += raws

    @rule(raws=st.lists(events, min_size=1, max_size=6))
    def send(self, raws: list[Raw]) -> None:
        self.send_to_both(raws)

    @rule(raws=st.lists(events, min_size=1, max_size=4))
    def send_all_or_nothing(self, raws: list[Raw]) -> None:
        self.send_to_both(raws, atomic=True)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.send_to_both(data.draw(st.lists(st.sampled_from(self.sent), min_size=1, max_size=8)))

    @precondition(lambda self: any("runId" in raw for raw in self.sent))
    @rule(data=st.data(), more=report())
    def report_more(self, data: st.DataObject, more: Raw) -> None:
        """Repeat an event with another report on its run and job."""
        raw = data.draw(st.sampled_from([raw for raw in self.sent if "runId" in raw]))
        self.send_to_both([{**{name: value for name, value in raw.items() if name not in REPORTS}, **more}])

    @precondition(lambda self: self.model.recorded)
    @rule(data=st.data(), at=instants, more=report())
    def refund_a_deduction(self, data: st.DataObject, at: str, more: Raw) -> None:
        spent = [raw for raw in self.model.recorded.values() if "runId" in raw]
        if spent:
            raw = data.draw(st.sampled_from(spent))
            job = {"runId": raw["runId"], "jobId": raw.get("jobId", raw["eventId"])}
            refund = {
                "kind": "refund",
                "eventId": f"back-{raw['eventId']}",
                "occurredAt": at,
                "costDollars": "0.5",
            }
            self.send_to_both([{**more, **job, **refund}])

    @precondition(lambda self: any("_of" not in raw for raw in self.model.recorded.values()))
    @rule(data=st.data(), at=instants, others=st.lists(events, max_size=2), atomic=st.booleans())
    def contradict(self, data: st.DataObject, at: str, others: list[Raw], atomic: bool) -> None:
        # The ledger names the corrections of calls itself, and a call that moves takes its own along.
        sent = [raw for raw in self.model.recorded.values() if not raw.get("_of", "").startswith("call")]
        raw = data.draw(st.sampled_from(sent))
        self.send_to_both([*others, {**raw, "occurredAt": at}], atomic)

    @rule(
        rate=st.sampled_from([0, 1, 7]), models=st.sampled_from([{""}, {"no-such-model"}, {"nor-such", ""}])
    )
    def price_unpriced(self, rate: int, models: set[str]) -> None:
        def found(model: str, tokens: tuple[int, ...], at: datetime, _: Raw) -> tuple[int, str] | None:
            return (rate * sum(tokens[:3]), "") if model in models else None

        def price(line: Unpriced) -> Price | None:
            priced = found(line.model, structs.astuple(line.tokens), line.occurred_at, {})
            return None if priced is None else Price(*priced)

        decisions = corrections.add_missing_costs(self.project, price)
        priced = {
            sent_id(decision.deduction.event_id) for decision in decisions if decision.nanos is not None
        }
        assert priced == self.model.price_missing(found)

    @precondition(lambda self: self.model.recorded)
    @rule(data=st.data())
    def nest(self, data: st.DataObject) -> None:
        """Find out that two deductions report one call, for the span of one encloses the other's."""
        spent = {raw["eventId"] for raw in self.model.accepted if raw.get("eventId", "").startswith("call")}
        if len(spent) > 1:
            pair = st.lists(st.sampled_from(sorted(spent)), min_size=2, max_size=2, unique=True)
            outer, inner = data.draw(pair)
            ledger.record(self.project, [], nested=[Nested(outer, inner)])
            self.model.nest(outer, inner)

    @invariant()
    def the_database_holds_what_the_model_says(self) -> None:
        if hasattr(self, "model"):
            assert stored(self.project) == self.model.state()

    def teardown(self) -> None:
        if hasattr(self, "project"):
            with verification.snapshot():
                assert list(verification.differences(self.project)) == []


def run_histories(profile: settings) -> None:
    History.owner = UserFactory()
    run_state_machine_as_test(History, settings=profile)


@pytest.mark.django_db
def test_any_history_leaves_what_the_model_says() -> None:
    run_histories(QUICK)


@pytest.mark.long
@pytest.mark.django_db
def test_any_long_history_leaves_what_the_model_says() -> None:
    run_histories(LONG)


def without_conflicts(raws: list[Raw]) -> list[Raw]:
    """The events whose content agrees with the first event under their id."""
    first: dict[str, Raw] = {}
    return [
        raw
        for raw in raws
        if raw.get("kind") == "job" or content(first.setdefault(raw["eventId"], raw)) == content(raw)
    ]


def in_batches(data: st.DataObject, raws: list[Raw]) -> list[list[Raw]]:
    batches: list[list[Raw]] = [[]]
    for raw, cut in zip(
        raws, data.draw(st.lists(st.booleans(), min_size=len(raws), max_size=len(raws))), strict=True
    ):
        batches[-1].append(raw)
        if cut:
            batches.append([])
    return [batch for batch in batches if batch]


def check_any_order(profile: settings) -> None:
    owner = UserFactory()

    @settings(profile)
    @given(raws=st.lists(events, min_size=2, max_size=12).map(without_conflicts), data=st.data())
    def check(raws: list[Raw], data: st.DataObject) -> None:
        zone = data.draw(st.sampled_from(ZONES))
        one, other = ProjectFactory(owner=owner, time_zone=zone), ProjectFactory(owner=owner, time_zone=zone)
        record(one, raws)
        repeated = data.draw(
            st.permutations([*raws, *data.draw(st.lists(st.sampled_from(raws), max_size=5))])
        )
        for batch in in_batches(data, repeated):
            record(other, batch)
        assert stored(other) == stored(one)

    check()


@pytest.mark.django_db
def test_the_same_events_in_any_order_batches_and_repetition_give_the_same_figures() -> None:
    check_any_order(settings(QUICK, max_examples=60))


@pytest.mark.long
@pytest.mark.django_db
def test_the_same_events_give_the_same_figures_at_length() -> None:
    check_any_order(settings(LONG, max_examples=600))
