"""What a set of usage events amounts to, computed from the whole set each time, in plain Python.

An independent reading of the definition of usage events: it shares no code with the product, and
does everything the slow and obvious way.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

Raw = dict[str, Any]
"""An event as a sender puts it: camelCase, all of it sound."""

TOKENS = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens")
STRENGTH = ["running", "succeeded", "cancelled", "failed"]

Price = Callable[[str, tuple[int, ...], datetime], int | None]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def nanos(raw: Raw) -> int | None:
    """The stated cost."""
    if "costDollars" not in raw:
        return None
    return int((Decimal(str(raw["costDollars"])) * 10**9).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def job_of(raw: Raw) -> str | None:
    return raw.get("jobId") or raw["eventId"] if "runId" in raw else None


def content(raw: Raw) -> tuple[Any, ...]:
    """What is booked: two events with one id are the same if this is."""
    counts = [raw.get(name, 0) for name in TOKENS]
    return (
        *(raw.get("kind", "deduction"), instant(raw["occurredAt"]), raw.get("runId"), job_of(raw)),
        *(raw.get("model", ""), *counts, nanos(raw)),
    )


def first(values: Iterable[Any], pick: Callable[[list[Any]], Any]) -> Any:
    found = [value for value in values if value is not None]
    return pick(found) if found else None


def strongest(raws: list[Raw], name: str) -> str | None:
    return first((raw.get(name) for raw in raws), lambda told: max(told, key=STRENGTH.index))


def best_name(raws: list[Raw], name: str, default: str) -> str:
    told = {raw[name].strip() for raw in raws if raw.get(name)}
    return min(told - {"other"}, default="other" if told else default)


@dataclass
class Known:
    """What a list of events, all of one run or all of one job, tells of it."""

    reported_status: str | None
    told_start: datetime | None
    told_finish: datetime | None
    first: datetime | None
    last: datetime | None
    name: str

    @classmethod
    def of(cls, raws: list[Raw], what: str, name: str, default: str) -> "Known":
        happened = [
            instant(raw["occurredAt"]) for raw in raws if raw.get("kind", "deduction") in ("deduction", "job")
        ]
        return cls(
            reported_status=strongest(raws, f"{what}Status"),
            told_start=first(
                (instant(raw[f"{what}StartedAt"]) for raw in raws if f"{what}StartedAt" in raw), min
            ),
            told_finish=first(
                (instant(raw[f"{what}FinishedAt"]) for raw in raws if f"{what}FinishedAt" in raw), max
            ),
            first=min(happened, default=None),
            last=max(happened, default=None),
            name=best_name(raws, name, default),
        )

    def start(self) -> datetime | None:
        return self.told_start or self.first

    def finish(self, status: str) -> datetime | None:
        return None if status == "running" else self.told_finish or self.last


@dataclass
class Model:
    """A project: what is booked by event id, and everything that was heard."""

    zone: str
    price: Price
    booked: dict[str, Raw] = field(default_factory=dict)
    heard: list[Raw] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    """The costs that were booked later, by the id of their line."""

    def send(self, raws: list[Raw], atomic: bool = False) -> list[str]:
        """Take in a batch; what becomes of each event."""
        statuses, booked = self._judge(raws)
        if atomic and "conflict" in statuses:
            return [status if status == "conflict" else "withheld" for status in statuses]
        self.booked = booked
        for position, raw in enumerate(raws):
            if statuses[position] == "conflict":
                continue
            before = self._knowledge(raw)
            self.heard.append(raw)
            if raw.get("kind") == "job":
                statuses[position] = "duplicate" if self._knowledge(raw) == before else "recorded"
        return statuses

    def price_missing(self, price: Price) -> set[str]:
        """Book the missing costs that `price` knows; the ids of the deductions that are priced now."""
        priced = {}
        for event_id, raw in self.booked.items():
            cost = price(
                raw.get("model", ""), tuple(raw.get(n, 0) for n in TOKENS), instant(raw["occurredAt"])
            )
            if (
                self._is_unpriced(event_id)
                and cost is not None
                and self._line_of(event_id) not in self.booked
            ):
                priced[event_id] = cost
        for event_id, cost in priced.items():
            raw = self.booked[event_id]
            told = {name: raw[name] for name in ("occurredAt", "runId", "model") if name in raw}
            line = {**told, "eventId": self._line_of(event_id), "jobId": job_of(raw)}
            self.booked[line["eventId"]] = line
            self.missing[line["eventId"]] = cost
        return set(priced)

    @staticmethod
    def _line_of(event_id: str) -> str:
        return f"{event_id}+priced"

    def _is_unpriced(self, event_id: str) -> bool:
        unpriced = self._cost(self.booked[event_id])[1] == "unpriced"
        return unpriced and self._line_of(event_id) not in self.missing

    def _judge(self, raws: list[Raw]) -> tuple[list[str], dict[str, Raw]]:
        statuses, booked = [], dict(self.booked)
        for raw in raws:
            if raw.get("kind") == "job":
                statuses.append("told")
            elif raw["eventId"] not in booked:
                booked[raw["eventId"]] = raw
                statuses.append("recorded")
            else:
                same = content(booked[raw["eventId"]]) == content(raw)
                statuses.append("duplicate" if same else "conflict")
        return statuses, booked

    def _of_run(self, run: str) -> list[Raw]:
        return [raw for raw in self.heard if raw.get("runId") == run]

    def _of_job(self, run: str, job: str | None) -> list[Raw]:
        return [raw for raw in self._of_run(run) if job_of(raw) == job]

    def _knowledge(self, raw: Raw) -> Any:
        """All that is known of the run and the job that an event names."""
        if "runId" not in raw:
            return None
        run, job = self._of_run(raw["runId"]), self._of_job(raw["runId"], job_of(raw))
        return (
            *(bool(run), Known.of(run, "run", "trigger", "")),
            *(bool(job), Known.of(job, "job", "agentType", "other"), self._has_deduction(job)),
        )

    @staticmethod
    def _has_deduction(raws: list[Raw]) -> bool:
        return any(raw.get("kind", "deduction") == "deduction" for raw in raws)

    def _day(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(self.zone)).date()

    def jobs(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        table = {}
        for run, job in {(raw["runId"], job_of(raw)) for raw in self.heard if "runId" in raw}:
            raws = self._of_job(run, job)
            known, deduction = Known.of(raws, "job", "agentType", "other"), self._has_deduction(raws)
            status = known.reported_status or ("succeeded" if deduction else "running")
            finish = known.finish(status)
            table[run, job] = (
                *(status, known.start(), finish, known.name),
                *(finish and self._day(finish), deduction),
            )
        return table

    def runs(self) -> dict[str, tuple[Any, ...]]:
        jobs = self.jobs()
        table = {}
        for run in {run for run, _ in jobs}:
            known = Known.of(self._of_run(run), "run", "trigger", "api")
            statuses = [row[0] for (of, _), row in jobs.items() if of == run]
            running, failed = statuses.count("running"), statuses.count("failed")
            status = known.reported_status or ("running" if running else "failed" if failed else "succeeded")
            table[run] = (
                *(status, known.start(), known.finish(status), known.name),
                *(len(statuses), running, failed),
            )
        return table

    def _cost(self, raw: Raw) -> tuple[int, str]:
        stated = nanos(raw)
        if stated is not None:
            return stated, "reported"
        if raw.get("eventId") in self.missing:
            return self.missing[raw["eventId"]], "computed"
        counts = tuple(raw.get(name, 0) for name in TOKENS)
        computed = self.price(raw.get("model", ""), counts, instant(raw["occurredAt"]))
        return (0, "unpriced") if computed is None else (computed, "computed")

    def ledger(self) -> dict[str, tuple[Any, ...]]:
        table = {}
        for event_id, raw in self.booked.items():
            *booked, _ = content(raw)
            table[event_id] = (*booked, *self._cost(raw), self._day(instant(raw["occurredAt"])))
        return table

    def state(self) -> dict[str, dict[Any, Any]]:
        """Everything that a database should hold; `tests.stored` reads the same from one."""
        jobs = self.jobs()
        sums = Sums()
        for event_id, (kind, _, run, job, model, *counts, cost, _, day) in self.ledger().items():
            fresh, read, written, _, output = counts
            month = day.replace(day=1)
            if run is None:
                sums.add("credits", month, [cost, 0, 1] if kind == "purchase" else [0, cost, 1])
                continue
            spend = [-cost if kind == "refund" else cost, fresh + read + written, output, 1]
            status, _, _, agent, _, _ = jobs[run, job]
            unpriced = self._is_unpriced(event_id)
            wasted = [spend[0] if status == one else 0 for one in ("failed", "cancelled")]
            sums.add("by_agent_type", (month, agent), [*spend, int(unpriced), 0, 0, 0, *wasted])
            sums.add("by_month", month, [*spend, 0])
            sums.add("by_day", day, [*spend, 0])
            sums.add("by_day_and_agent_type", (day, agent), [*spend, 0])
            sums.add("by_run", (month, run), spend)
            if unpriced:
                sums.add("by_unpriced_model", (month, model), [1, fresh + read + written, output])
        for status, _, _, agent, day, _ in jobs.values():
            if day:
                ends = [int(status == one) for one in ("succeeded", "failed", "cancelled")]
                sums.add("by_agent_type", (day.replace(day=1), agent), [0, 0, 0, 0, 0, *ends, 0, 0])
                sums.add("by_month", day.replace(day=1), [0, 0, 0, 0, 1])
                sums.add("by_day", day, [0, 0, 0, 0, 1])
                sums.add("by_day_and_agent_type", (day, agent), [0, 0, 0, 0, 1])
        return {"ledger": self.ledger(), "runs": self.runs(), "jobs": jobs, **sums.tables}


class Sums:
    def __init__(self) -> None:
        names = (
            *("by_agent_type", "by_month", "by_day", "by_day_and_agent_type"),
            *("by_run", "credits", "by_unpriced_model"),
        )
        self.tables: dict[str, dict[Any, tuple[int, ...]]] = {name: {} for name in names}

    def add(self, table: str, key: Any, more: list[int]) -> None:
        present = self.tables[table].get(key, (0,) * len(more))
        self.tables[table][key] = tuple(a + b for a, b in zip(present, more, strict=True))
