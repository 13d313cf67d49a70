"""A reference model: what a set of usage events amounts to, recomputed from the whole set each time.

It is an independent implementation of the rules for usage events. It shares no code with the product, and
does everything in the slow and obvious way.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

Raw = dict[str, Any]
"""A valid event as a sender writes it, with camelCase names."""

TOKENS = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens")
STRENGTH = ["running", "succeeded", "cancelled", "failed"]

FAMILIES = {"openai/gpt-4o-2024-08-06": "gpt-4o", "claude-sonnet-4-5@20250929": "claude-sonnet-4-5"}
"""Other spellings of the models that the tests use."""

UNKNOWN = {"nor-such", "no-such-model"}
"""Names that no price list has: they may be aliases of any model."""

Booking = tuple[str, tuple[str, str | None], int]
"""The event id of a deduction that stands, the run and job that it is booked on, and nano-dollars."""

FACTORS = ("serviceTier", "speed", "webSearches")
"""The price factors that the tests report, none of them with a standard value."""

Price = Callable[[str, tuple[int, ...], datetime, Raw], tuple[int, str] | None]
"""Nano-dollars, and the factors that are not in them; what an event reports of factors is given."""


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def nanos(raw: Raw) -> int | None:
    """The stated cost."""
    if "costDollars" not in raw:
        return None
    return int((Decimal(str(raw["costDollars"])) * 10**9).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def factors(raw: Raw) -> Raw:
    return {name: raw[name] for name in FACTORS if name in raw}


def job_of(raw: Raw) -> str | None:
    return raw.get("jobId") or raw["eventId"] if "runId" in raw else None


def content(raw: Raw) -> tuple[Any, ...]:
    """What two events with one id must share to be the same event."""
    counts = [raw.get(name, 0) for name in TOKENS]
    return (
        *(raw.get("kind", "deduction"), instant(raw["occurredAt"]), raw.get("runId"), job_of(raw)),
        *(raw.get("model", ""), *counts, nanos(raw)),
    )


def totals(raw: Raw) -> tuple[int, int]:
    """Input, cached or not, and output."""
    return sum(raw.get(name, 0) for name in TOKENS[:3]), raw.get("outputTokens", 0)


def is_other_call(a: Raw, b: Raw, nested: bool = True) -> bool:
    """Whether two reports contradict each other, although they share an id of a call.

    A sender may report a call a second time only by a span within another one; `nested` says that one is.
    """
    gateways = {raw["_gateway"] for raw in (a, b) if raw.get("_gateway")}
    models = [raw["model"] for raw in (a, b) if raw.get("model")]
    families = {FAMILIES.get(model, model) for model in models if model not in UNKNOWN}
    apart = seconds_between(a, b)
    twice = bool(a.get("_sender")) and a.get("_sender") == b.get("_sender") and apart > 0
    disjoint = twice and not (nested and at_once(a, b))
    (in_a, out_a), (in_b, out_b) = totals(a), totals(b)
    shrinks = (in_a < in_b and out_a > out_b) or (in_a > in_b and out_a < out_b)
    differs = a.get("_part", "") == b.get("_part", "") and (len(families) > 1 or shrinks)
    return len(gateways) > 1 or apart > 3600 or disjoint or differs


def seconds_between(a: Raw, b: Raw) -> float:
    return abs((instant(a["occurredAt"]) - instant(b["occurredAt"])).total_seconds())


def at_once(a: Raw, b: Raw) -> bool:
    """Whether both say how long the call lasted, and the one that ended later lasted all the other's time."""
    later = max(a, b, key=lambda raw: instant(raw["occurredAt"]))
    known = all(raw.get("_lasted") and sum(totals(raw)) for raw in (a, b))
    return known and seconds_between(a, b) + (a if later is b else b)["_lasted"] <= later["_lasted"]


def first(values: Iterable[Any], pick: Callable[[list[Any]], Any]) -> Any:
    found = [value for value in values if value is not None]
    return pick(found) if found else None


def strongest(raws: list[Raw], name: str) -> str | None:
    return first((raw.get(name) for raw in raws), lambda reported: max(reported, key=STRENGTH.index))


def best_name(raws: list[Raw], name: str, default: str) -> str:
    names = {raw[name].strip() for raw in raws if raw.get(name)}
    return min(names - {"other"}, default="other" if names else default)


@dataclass
class State:
    """The state of one run or one job, from all its events."""

    reported_status: str | None
    reported_start: datetime | None
    reported_finish: datetime | None
    first: datetime | None
    last: datetime | None
    name: str

    @classmethod
    def of(cls, raws: list[Raw], what: str, name: str, default: str) -> "State":
        happened = [
            instant(raw["occurredAt"]) for raw in raws if raw.get("kind", "deduction") in ("deduction", "job")
        ]
        return cls(
            reported_status=strongest(raws, f"{what}Status"),
            reported_start=first(
                (instant(raw[f"{what}StartedAt"]) for raw in raws if f"{what}StartedAt" in raw), min
            ),
            reported_finish=first(
                (instant(raw[f"{what}FinishedAt"]) for raw in raws if f"{what}FinishedAt" in raw), max
            ),
            first=min(happened, default=None),
            last=max(happened, default=None),
            name=best_name(raws, name, default),
        )

    def start(self) -> datetime | None:
        return self.reported_start or self.first

    def finish(self, status: str) -> datetime | None:
        return None if status == "running" else self.reported_finish or self.last


@dataclass
class Model:
    """A project: the recorded transactions by event id, and all accepted events."""

    zone: str
    price: Price
    recorded: dict[str, Raw] = field(default_factory=dict)
    accepted: list[Raw] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    """The costs that were added later, by the id of the correction."""
    repriced: dict[str, int] = field(default_factory=dict)
    """Those of parts of calls, by their event ids: these are booked anew."""
    nested: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of deductions that report one call: the span of the first encloses the other's."""

    def send(self, raws: list[Raw], atomic: bool = False) -> list[str]:
        """Record a batch; return the status of each event."""
        statuses, recorded = self._judge(raws)
        if atomic and "conflict" in statuses:
            return [status if status == "conflict" else "withheld" for status in statuses]
        self.recorded = recorded
        number_before = len(self.accepted)
        for position, raw in enumerate(raws):
            if statuses[position] == "conflict":
                continue
            before = self._state_of(raw)
            self.accepted.append(raw)
            if raw.get("kind") == "job":
                statuses[position] = "duplicate" if self._state_of(raw) == before else "recorded"
        return self._judge_calls(raws, statuses, number_before)

    def _judge_calls(self, raws: list[Raw], statuses: list[str], number_before: int) -> list[str]:
        """A report of a call is a duplicate if it does not change what is booked."""
        all_accepted, statuses = self.accepted, list(statuses)
        taken = number_before
        for position, raw in enumerate(raws):
            if statuses[position] == "conflict":
                continue
            taken += 1
            if raw.get("callIds"):
                before = self._bookings(all_accepted[: taken - 1])
                after = self._bookings(all_accepted[:taken])
                statuses[position] = "duplicate" if before == after else "recorded"
        return statuses

    def nest(self, outer: str, inner: str) -> None:
        self.nested.add((outer, inner))

    def calls(self, accepted: list[Raw] | None = None) -> list[list[str]]:
        """The event ids of each call's reports; calls with one report, that names no id, too."""
        accepted = self.accepted if accepted is None else accepted
        ids: dict[str, set[str]] = {}
        for raw in accepted:
            if raw.get("kind", "deduction") == "deduction":
                ids.setdefault(raw["eventId"], set()).update(raw.get("callIds", ()))
        sharing: dict[str, list[str]] = {}
        for event_id, call_ids in ids.items():
            for call_id in call_ids:
                sharing.setdefault(call_id, []).append(event_id)
        pairs = {pair for pair in self.nested if ids.keys() >= set(pair)}
        for events in sharing.values():
            for a, b in combinations(events, 2):
                if not is_other_call(self.recorded[a], self.recorded[b]):
                    pairs.add((a, b))
        linked = {event_id: frozenset({event_id}) for event_id in ids}
        for a, b in pairs:
            joined = linked[a] | linked[b]
            linked |= dict.fromkeys(joined, joined)
        return [call for group in set(linked.values()) for call in self._split(group)]

    def _split(self, linked: frozenset[str]) -> list[list[str]]:
        """Linked reports by call: the two closest calls become one until what is left contradicts."""
        calls = [[event_id] for event_id in sorted(linked)]
        while True:
            close = [
                (min(distances), i, j)
                for (i, a), (j, b) in combinations(enumerate(calls), 2)
                if all(distances := [self._distance(one, other) for one in a for other in b])
            ]
            if not close:
                return calls
            _, i, j = min(close)
            calls[i] = sorted(calls[i] + calls.pop(j))

    def _distance(self, a: str, b: str) -> tuple[Any, ...]:
        """() if they contradict each other."""
        first, second = self.recorded[a], self.recorded[b]
        nested = any(inner in (a, b) for outer, inner in self.nested)
        if is_other_call(first, second, nested):
            return ()
        return totals(first) != totals(second), seconds_between(first, second), *sorted((a, b))

    def _bookings(self, accepted: list[Raw]) -> set[Booking]:
        return {booking for call in self.calls(accepted) for booking in self._bookings_of(call)}

    def _bookings_of(self, call: list[str]) -> list[Booking]:
        """Which of a call's reports stand, one for each part, where they are booked, and for how much."""
        parts = {self.recorded[event_id].get("_part", "") for event_id in call}
        standing = {
            part: min(
                (event_id for event_id in call if self.recorded[event_id].get("_part", "") == part),
                key=self._standing_order,
            )
            for part in parts
        }
        whole = [event_id for event_id in call if not self.recorded[event_id].get("_part")]
        at = self.recorded[min(whole or call, key=self._place_order)]
        costs = {
            part: self._cost(self.recorded[event_id], corrected=False)[0]
            for part, event_id in standing.items()
        }
        return [
            (event_id, (at["runId"], job_of(at)), self._without_parts(event_id, costs, costs[part]))
            for part, event_id in standing.items()
        ]

    def _without_parts(self, event_id: str, costs: dict[str, int], cost: int) -> int:
        raw = self.recorded[event_id]
        covered = raw.get("_covers")
        if not covered or raw.get("costDollars") is None:  # only what a sender states can include parts
            return cost
        return max(cost - sum(of_part for part, of_part in costs.items() if covered in part), 0)

    def _standing_order(self, event_id: str) -> tuple[Any, ...]:
        raw = self.recorded[event_id]
        known = sum(raw.get(name, 0) > 0 for name in TOKENS[1:4]) + len(factors(raw))
        source = ["reported", "computed", "unpriced"].index(self._cost(raw, corrected=False)[1])
        return source, -known, -sum(totals(raw)), event_id

    def _place_order(self, event_id: str) -> tuple[Any, ...]:
        raw = self.recorded[event_id]
        agent = best_name(self._of_job(raw["runId"], job_of(raw)), "agentType", "other")
        inner = any(event_id == other for _, other in self.nested)
        return inner, agent == "other", bool(raw.get("_trace")), self._standing_order(event_id)

    def reported(self) -> set[str]:
        """The deductions that name their call, or whose spans do."""
        named = {raw["eventId"] for raw in self.accepted if raw.get("callIds")}
        return named | {event_id for pair in self.nested for event_id in pair}

    def price_missing(self, price: Price) -> set[str]:
        """Add the missing costs that `price` knows; return the ids of the deductions priced now."""
        priced = {}
        standing = self._standing()
        for event_id, raw in self.recorded.items():
            if event_id not in standing:
                continue
            counts = tuple(raw.get(n, 0) for n in TOKENS)
            found = price(raw.get("model", ""), counts, instant(raw["occurredAt"]), {})
            cost = found[0] if found else None
            if (
                self._is_unpriced(event_id)
                and cost is not None
                and self._line_of(event_id) not in self.recorded
            ):
                priced[event_id] = cost
        for event_id, cost in priced.items():
            raw = self.recorded[event_id]
            if raw.get("_part"):
                self.repriced[event_id] = cost
                continue
            shared = {name: raw[name] for name in ("occurredAt", "runId", "model") if name in raw}
            line = {**shared, "eventId": self._line_of(event_id), "jobId": job_of(raw), "_of": event_id}
            self.recorded[line["eventId"]] = line
            self.missing[line["eventId"]] = cost
        return set(priced)

    @staticmethod
    def _line_of(event_id: str) -> str:
        return f"{event_id}+priced"

    def _is_unpriced(self, event_id: str) -> bool:
        unpriced = self._cost(self.recorded[event_id])[1] == "unpriced"
        return unpriced and self._line_of(event_id) not in self.missing

    def _judge(self, raws: list[Raw]) -> tuple[list[str], dict[str, Raw]]:
        statuses, recorded = [], dict(self.recorded)
        for raw in raws:
            if raw.get("kind") == "job":
                statuses.append("job")
            elif raw["eventId"] not in recorded:
                recorded[raw["eventId"]] = raw
                statuses.append("recorded")
            else:
                same = content(recorded[raw["eventId"]]) == content(raw)
                statuses.append("duplicate" if same else "conflict")
        return statuses, recorded

    def _of_run(self, run: str) -> list[Raw]:
        return [raw for raw in self.accepted if raw.get("runId") == run]

    def _of_job(self, run: str, job: str | None) -> list[Raw]:
        return [raw for raw in self._of_run(run) if job_of(raw) == job]

    def _state_of(self, raw: Raw) -> Any:
        """The states of the run and the job that an event names."""
        if "runId" not in raw:
            return None
        run, job = self._of_run(raw["runId"]), self._of_job(raw["runId"], job_of(raw))
        return (
            *(bool(run), State.of(run, "run", "trigger", "")),
            *(bool(job), State.of(job, "job", "agentType", "other")),
        )

    def _standing(self) -> dict[str, tuple[tuple[str, str | None], int]]:
        """Where each deduction that stands is booked, and for how much."""
        return {event_id: (place, cost) for event_id, place, cost in self._bookings(self.accepted)}

    def _day(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.zone)).date()

    def jobs(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        table = {}
        with_deduction = {place for place, _ in self._standing().values()}
        reported = self.reported()
        for run, job in {(raw["runId"], job_of(raw)) for raw in self.accepted if "runId" in raw}:
            raws = self._of_job(run, job)
            known, deduction = State.of(raws, "job", "agentType", "other"), (run, job) in with_deduction
            report = any(
                raw.get("kind", "deduction") == "deduction" and raw["eventId"] in reported for raw in raws
            )
            status = known.reported_status or ("succeeded" if deduction or report else "running")
            finish = known.finish(status) if deduction or not report else None
            table[run, job] = (
                *(status, known.start(), finish, known.name),
                *(finish and self._day(finish), deduction, report),
            )
        return table

    def runs(self) -> dict[str, tuple[Any, ...]]:
        jobs = self.jobs()
        table = {}
        for run in {run for run, _ in jobs}:
            known = State.of(self._of_run(run), "run", "trigger", "api")
            statuses = [row[0] for (of, _), row in jobs.items() if of == run and (row[5] or not row[6])]
            running, failed = statuses.count("running"), statuses.count("failed")
            status = known.reported_status or ("running" if running else "failed" if failed else "succeeded")
            table[run] = (
                *(status, known.start(), known.finish(status), known.name),
                *(len(statuses), running, failed),
            )
        return table

    def _cost(self, raw: Raw, corrected: bool = True) -> tuple[int, str]:
        stated = nanos(raw)
        if stated is not None:
            return stated, "reported"
        if raw.get("eventId") in self.repriced:
            return self.repriced[raw["eventId"]], "computed"
        if corrected and raw.get("eventId") in self.missing:
            return self.missing[raw["eventId"]], "computed"
        counts = tuple(raw.get(name, 0) for name in TOKENS)
        computed = self.price(raw.get("model", ""), counts, instant(raw["occurredAt"]), factors(raw))
        return (0, "unpriced") if computed is None else (computed[0], "computed")

    def _without(self, raw: Raw) -> str:
        """The factors that are missing from a computed cost."""
        if self._cost(raw)[1] != "computed" or raw.get("eventId") in {*self.missing, *self.repriced}:
            return ""
        counts = tuple(raw.get(name, 0) for name in TOKENS)
        computed = self.price(raw.get("model", ""), counts, instant(raw["occurredAt"]), factors(raw))
        return computed[1] if computed else ""

    def ledger(self) -> dict[str, tuple[Any, ...]]:
        table = {}
        standing = self._standing()
        for event_id, raw in self.recorded.items():
            of = raw.get("_of", event_id)
            if of not in standing and raw.get("kind", "deduction") == "deduction":
                continue
            kind, at, run, job, *rest, _ = content(raw)
            (run, job), booked = standing.get(of, ((run, job), 0))
            cost, source = self._cost(raw)
            cost = booked if event_id in standing and source == "reported" else cost
            row = (kind, at, run, job, *rest, cost, source, self._day(instant(raw["occurredAt"])))
            table[event_id] = row
        return table

    def state(self) -> dict[str, dict[Any, Any]]:
        """Everything that the database should hold, in the shape in which `tests.stored` reads it."""
        jobs = self.jobs()
        sums = Sums()
        for event_id, (kind, _, run, job, model, *counts, cost, _, day) in self.ledger().items():
            fresh, read, written, _, output = counts
            month = day.replace(day=1)
            if run is None:
                sums.add("credits", month, [cost, 0, 1] if kind == "purchase" else [0, cost, 1])
                continue
            spend = [-cost if kind == "refund" else cost, fresh + read + written, output, 1]
            status, _, _, agent, *_ = jobs[run, job]
            unpriced = self._is_unpriced(event_id)
            wasted = [spend[0] if status == end else 0 for end in ("failed", "cancelled")]
            sums.add("by_agent_type", (month, agent), [*spend, int(unpriced), 0, 0, 0, *wasted])
            sums.add("by_month", month, [*spend, 0])
            sums.add("by_day", day, [*spend, 0])
            sums.add("by_day_and_agent_type", (day, agent), [*spend, 0])
            sums.add("by_run", (month, run), spend)
            if unpriced:
                sums.add("by_unpriced_model", (month, model), [1, fresh + read + written, output])
            without = self._without(self.recorded[event_id]) if kind == "deduction" else ""
            if without:
                sums.add("by_missing_factor", (month, model, without), [1])
        for status, _, _, agent, day, *_ in jobs.values():
            if day:
                ends = [int(status == end) for end in ("succeeded", "failed", "cancelled")]
                sums.add("by_agent_type", (day.replace(day=1), agent), [0, 0, 0, 0, 0, *ends, 0, 0])
                sums.add("by_month", day.replace(day=1), [0, 0, 0, 0, 1])
                sums.add("by_day", day, [0, 0, 0, 0, 1])
                sums.add("by_day_and_agent_type", (day, agent), [0, 0, 0, 0, 1])
        return {"ledger": self.ledger(), "runs": self.runs(), "jobs": jobs, **sums.tables}


class Sums:
    def __init__(self) -> None:
        names = (
            *("by_agent_type", "by_month", "by_day", "by_day_and_agent_type"),
            *("by_run", "credits", "by_unpriced_model", "by_missing_factor"),
        )
        self.tables: dict[str, dict[Any, tuple[int, ...]]] = {name: {} for name in names}

    def add(self, table: str, key: Any, more: list[int]) -> None:
        present = self.tables[table].get(key, (0,) * len(more))
        self.tables[table][key] = tuple(a + b for a, b in zip(present, more, strict=True))
