"""Senders that never stop: each generates its own batches, and repeats one until it is acknowledged.

Like a careful client, a sender counts a batch as acknowledged only when it has the response.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from threading import Event
from typing import Any

from tests.faults.client import Answer, post
from tests.faults.server import PATIENCE, Server
from tests.model import Raw

GIVES_UP = 10
"""Every tenth batch is sent only once, whatever the response."""
AGENTS = ("testing", "research", "Zed", "other", None)
STATUSES = (None, None, "running", "succeeded", "failed")


def batch(sender: int, number: int) -> list[Raw]:
    """The same numbers always give the same batch. Senders share runs, jobs and days."""
    rng = random.Random(sender * 1_000_003 + number)
    return [_event(rng, f"s{sender}-b{number}-{n}", number) for n in range(rng.randint(1, 12))]


def _event(rng: random.Random, event_id: str, number: int) -> Raw:
    kind = rng.choice(["deduction"] * 6 + ["refund", "purchase", "grant"])
    raw: Raw = {"kind": kind, "eventId": event_id, "occurredAt": _instant(rng)}
    if kind in ("deduction", "refund"):
        raw |= {"runId": f"r{number // 100}-{rng.randrange(3)}", "jobId": f"j{rng.randrange(5)}"}
        raw |= _reports(rng)
    if kind == "deduction":
        raw |= {"model": "no-such-model", "inputTokens": rng.randrange(5000), "outputTokens": 7}
    if kind != "deduction" or rng.random() < 0.8:
        raw["costDollars"] = f"0.{rng.randrange(1, 10**9):09}"
    if kind == "deduction" and rng.random() < 0.4:
        raw |= _report_of_a_call(rng, number)
    return raw


def _report_of_a_call(rng: random.Random, number: int) -> Raw:
    """One of several reports of a call, by this sender and others. Some know more, and some grow."""
    call = f"{number // 4}-{rng.randrange(6)}"
    ids = rng.sample([f"request-{call}", f"response-{call}", f"gateway-{call}"], rng.randint(1, 2))
    day = 1 + number % 28
    return {
        "callIds": ids,
        "occurredAt": f"2024-02-{day - day % 4 + 1:02}T23:59:{rng.randrange(60):02}Z",
        "inputTokens": rng.choice([100, 100, 110]),
        "cacheReadTokens": rng.choice([0, 10]),
        "outputTokens": rng.choice([7, 7, 8]),
    }


def _instant(rng: random.Random) -> str:
    """In three past months with a leap day."""
    return f"2024-0{rng.randint(2, 4)}-{rng.randint(1, 29):02}T{rng.randrange(24):02}:00:00.000001Z"


def _reports(rng: random.Random) -> Raw:
    reports = {
        "agentType": rng.choice(AGENTS),
        "jobStatus": rng.choice(STATUSES),
        "runStatus": rng.choice(STATUSES),
        "trigger": rng.choice(["push", "manual", None]),
    }
    return {name: value for name, value in reports.items() if value is not None}


@dataclass
class Journal:
    """What was sent to each project, and which of it was acknowledged."""

    sent: dict[int, list[list[Raw]]] = field(default_factory=dict)
    acknowledged: dict[int, list[str]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    """The results of all attempts."""
    surprises: list[str] = field(default_factory=list)
    """Responses that no sender should get."""

    def count(self, answer: Answer | OSError | HTTPException) -> bool:
        """Count an answer; return whether it acknowledges the batch."""
        if not isinstance(answer, Answer):
            self.answers["no answer"] += 1
            return False
        self.answers[str(answer.status)] += 1
        if answer.status == 200 and set(answer.statuses) <= {"recorded", "duplicate"}:
            return True
        if not answer.busy:
            self.surprises.append(f"{answer.status} {answer.text[:500]!r}")
        return False

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"sent": self.sent, "acknowledged": self.acknowledged}))


class Load:
    """Senders in threads of their own. The servers may disappear at any moment."""

    def __init__(self, servers: list[Server], tokens: dict[int, str], pause: float = 0) -> None:
        self.servers = servers
        self.tokens = tokens
        self.pause = pause
        self.journal = Journal()
        self.over = Event()
        self.senders: list[Future[None]] = []
        for project in tokens:
            self.journal.sent[project] = []
            self.journal.acknowledged[project] = []

    def send_on(self, sender: int) -> None:
        project = list(self.tokens)[sender % len(self.tokens)]
        number = 0
        while not self.over.is_set():
            number += 1
            raws = batch(sender, number)
            self.journal.sent[project].append(raws)
            if self._deliver(project, raws, tries=1 if number % GIVES_UP == 0 else 100_000):
                self.journal.acknowledged[project] += [raw["eventId"] for raw in raws]
            self.over.wait(self.pause)

    def _deliver(self, project: int, raws: list[Raw], tries: int) -> bool:
        deadline = time.monotonic() + PATIENCE
        for attempt in range(tries):
            server = self.servers[attempt % len(self.servers)]
            if self.journal.count(_attempt(server, self.tokens[project], raws)):
                return True
            assert time.monotonic() < deadline, self.journal.answers
            self.over.wait(0.1)
        return False

    def wait_for(self, more: int, answer: str = "200") -> None:
        """Wait until `more` batches have got this answer, so that a fault hits busy senders."""
        wanted = self.journal.answers[answer] + more
        deadline = time.monotonic() + PATIENCE
        while self.journal.answers[answer] < wanted:
            for sender in self.senders:
                if sender.done():
                    sender.result()
            assert time.monotonic() < deadline, self.journal.answers
            time.sleep(0.005)


def _attempt(server: Server, token: str, raws: list[Raw]) -> Answer | OSError | HTTPException:
    try:
        return post(server, token, raws)
    except (OSError, HTTPException) as error:
        return error


@contextmanager
def load(servers: list[Server], tokens: dict[int, str], senders: int, pause: float = 0) -> Iterator[Load]:
    """Senders run during the block; at its end each has its last batch acknowledged, or gives it up."""
    running = Load(servers, tokens, pause)
    with ThreadPoolExecutor(senders) as pool:
        running.senders = [pool.submit(running.send_on, sender) for sender in range(senders)]
        try:
            yield running
        finally:
            running.over.set()
    for sender in running.senders:
        sender.result()


def summary(journal: Journal, report: dict[str, Any], faults: dict[str, int]) -> str:
    """One line about the injected faults and their effects."""
    injected = ", ".join(f"{count} × {name}" for name, count in faults.items())
    answers = ", ".join(f"{count} × {name}" for name, count in sorted(journal.answers.items()))
    return (
        f"{injected}; answers {answers}; {report['acknowledged']} events acknowledged, "
        f"{len(report['lost'])} lost, {len(report['doubled'])} doubled"
    )
