"""Runs and jobs according to the logs: sessions, subagents, their types and how they ended."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from billing.events import usage_event
from billing.sources.claude_code.agents import (
    agent_that_ended,
    notification_of,
    results_of,
    status_of,
)
from billing.sources.claude_code.records import LogSource, Spot
from billing.sources.foreign_ids import foreign_id
from billing.sources.json_lines import MAIN, Record, text_of
from products.statuses import RUNNING, SUCCEEDED

_Key = tuple[str, str]
"""Session and agent; the agent is "" for the session's own."""


class Span(msgspec.Struct):
    """From the first record to the last."""

    first: Spot
    last: datetime

    def include(self, spot: Spot) -> None:
        self.first = min(self.first, spot)
        self.last = max(self.last, spot.at)


class Job(Span):
    calls: set[tuple[datetime, str]] = msgspec.field(default_factory=set)
    """(instant, tool use) of the calls that started the job, according to its records."""
    statuses: set[str] = msgspec.field(default_factory=set)
    reported_type: tuple[datetime, str] | None = None
    """(instant, type) according to the earliest response that names it."""
    has_records: bool = False
    """Whether it is known from records of its own, not only from its result."""


class Jobs:
    def __init__(self) -> None:
        self._sessions: dict[str, Span] = {}
        self._jobs: dict[_Key, Job] = {}
        self._asked_types: dict[str, str] = {}
        """The type of subagent that each call asked for, by the call's tool use id; "" if it named none."""
        self._described: dict[_Key, tuple[str, str]] = {}
        """(type, tool use) in the agent's meta.json."""
        self._ends: defaultdict[_Key, set[str]] = defaultdict(set)
        """How agents ended according to notifications and journals."""
        self._answers: defaultdict[str, set[tuple[_Key, str]]] = defaultdict(set)
        """The results of subagents' own tool calls, which may be calls of agents, by tool use id: the agent
        if the result names it, and the status."""
        self._fields: dict[_Key, Record] = {}

    def add_session(self, spot: Spot) -> None:
        self._sessions.setdefault(spot.session, Span(spot, spot.at)).include(spot)

    def add(self, spot: Spot, *calls: Any) -> Job:
        """Return the job of the agent that the spot names, updated with its time and calls."""
        job = self._jobs.setdefault((spot.session, spot.agent), Job(spot, spot.at))
        job.include(spot)
        job.calls.update((spot.at, call) for call in calls if isinstance(call, str))
        return job

    def read_record(self, spot: Spot, record: Record, blocks: list[Record]) -> None:
        """Read what a record of the agent that the spot names says about it and about others."""
        job = self.add(spot)
        job.has_records = True
        named = record.get("attributionAgent")
        if isinstance(named, str) and named.strip():
            job.reported_type = min(job.reported_type or (spot.at, named), (spot.at, named))
        self._read_calls(blocks)
        result = record.get("toolUseResult")
        if isinstance(result, dict):
            self._read_result(spot, result, blocks)
        elif result is None and spot.agent:
            self._read_answers(spot, blocks)

    def read_notification(self, session: str, record: Record) -> None:
        notified = notification_of(record)
        if notified:
            task, status = notified
            self._ends[session, task].add(status)

    def read_journal(self, source: LogSource, line: Record) -> None:
        agent = agent_that_ended(line)
        if agent:
            self._ends[source.session_of(line), agent].add(SUCCEEDED)

    def read_description(self, source: LogSource, description: Record) -> None:
        """Read a subagent's meta.json. Its `finished` says nothing: failed agents have it, too."""
        found = text_of(description, "agentType").strip(), text_of(description, "toolUseId")
        key = source.session, source.agent
        self._described[key] = max(self._described.get(key, found), found)

    def _read_calls(self, blocks: list[Record]) -> None:
        for block in blocks:
            if block.get("type") == "tool_use" and block.get("name") in ("Task", "Agent"):
                call, asked = block.get("id"), block.get("input")
                agent_type = asked.get("subagent_type") if isinstance(asked, dict) else None
                if isinstance(call, str):
                    named = agent_type if isinstance(agent_type, str) and agent_type.strip() else ""
                    self._asked_types[call] = max(self._asked_types.get(call, named), named)

    def _read_result(self, spot: Spot, result: Record, blocks: list[Record]) -> None:
        """Read the result of a subagent that the session's own agent received."""
        agent = text_of(result, "agentId")
        if agent:
            calls = [block.get("tool_use_id") for block in blocks]
            job = self.add(msgspec.structs.replace(spot, agent=agent, is_main=False), *calls)
            job.statuses.add(status_of(result.get("status")))

    def _read_answers(self, spot: Spot, blocks: list[Record]) -> None:
        for call, agent, status in results_of(blocks):
            self._answers[call].add(((spot.session, agent), status))

    def settle(self) -> None:
        """Once everything is read: give each session its main job, and drop what forks copied of others."""
        for session, span in self._sessions.items():
            self._jobs.setdefault((session, ""), Job(span.first, span.last))
        at_work = {agent for (_, agent), job in self._jobs.items() if job.has_records}
        self._jobs = {
            key: job
            for key, job in sorted(self._jobs.items())
            if job.has_records or not key[1] or key[1] not in at_work
        }
        for call in self._answers.keys() & self._asked_types.keys():
            for key, status in self._answers[call]:
                self._ends[key].add(status)
        self._fields = {key: self._run_and_job(key, job) for key, job in self._jobs.items()}

    def fields(self, session: str, agent: str) -> Record:
        """The fields of an event that name the run and job. After `settle`."""
        return self._fields[session, agent]

    def rows(self) -> Iterator[tuple[Spot, Record]]:
        """Yield the job events as values by field name. After `settle`."""
        for key, job in self._jobs.items():
            yield job.first, self._row(key, job)

    def _row(self, key: _Key, job: Job) -> Record:
        span = self._sessions[key[0]]
        return {
            "kind": usage_event.JOB,
            "occurredAt": job.first.at,
            **self._fields[key],
            "runStartedAt": span.first.at,
            "runFinishedAt": span.last,
            "jobStatus": self._status(key, job),
            "jobStartedAt": job.first.at,
            "jobFinishedAt": job.last,
        }

    def _run_and_job(self, key: _Key, job: Job) -> Record:
        session, agent = key
        return {
            "runId": foreign_id(session, usage_event.ID_LENGTH),
            "trigger": "manual",
            "jobId": foreign_id(agent or MAIN, usage_event.ID_LENGTH),
            "agentType": self._type(key, job),
        }

    def _type(self, key: _Key, job: Job) -> str:
        if not key[1]:
            return MAIN
        if key[1].startswith("acompact-"):
            return "compact"
        described, call = self._description(key)
        if job.reported_type or described:
            return job.reported_type[1] if job.reported_type else described
        calls = [*(call for _, call in sorted(job.calls)), call]
        return next(filter(None, (self._asked_types.get(call) for call in calls)), "unknown")

    def _status(self, key: _Key, job: Job) -> str:
        """Of several ends, the one that wins in the ledger. Without any, the agent may still be running."""
        if not key[1]:
            return SUCCEEDED
        _, call = self._description(key)
        answers = {status for _, status in self._answers.get(call, ())}
        reported = job.statuses | self._ends.get(key, set()) | answers
        return max(reported, key=usage_event.STATUSES.index, default=RUNNING)

    def _description(self, key: _Key) -> tuple[str, str]:
        """(type, tool use) of the agent's meta.json, if there is one."""
        return self._described.get(key) or self._described.get(("", key[1]), ("", ""))
