"""What Claude Code's logs come to depends on no order of imports, nor on which logs are imported together."""

import json
import random
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F, Sum
from msgspec import structs

from billing import verification
from billing.imports.importer import import_paths
from billing.ledger.responses import running_totals
from billing.models import CreditTransaction
from products.models import Project
from tests.factories import event, send
from tests.test_claude_code import OPUS, at, reply

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

ASIDE = "one/subagents/agent-aside_q-1.jsonl"
_TOKENS = F("input_tokens") + F("cache_read_tokens") + F("cache_write_tokens") + F("output_tokens")

Files = dict[str, list[Any]]


def imported(folder: Path, project: Project, *imports: Files) -> Project:
    """The project, with each set of files imported by itself."""
    for number, files in enumerate(imports):
        root = folder / f"{project.pk}-{number}"
        for name, records in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            named = [{"sessionId": path.stem, **record} for record in records]
            path.write_text("".join(json.dumps(record) + "\n" for record in named))
        assert not import_paths(project, [root]).failed
    with verification.snapshot():
        assert not list(verification.differences(project))
    return project


def figures(project: Project) -> tuple[int, int, int]:
    """Calls, tokens and cost."""
    lines = CreditTransaction.objects.deductions().filter(project=project)
    sums = lines.aggregate(tokens=Sum(_TOKENS, default=0), nanos=Sum("amount_nanos", default=0))
    return len(lines), sums["tokens"], sums["nanos"]


def places(project: Project) -> set[tuple[str, str]]:
    lines = CreditTransaction.objects.deductions().filter(project=project)
    return set(lines.values_list("job__run__run_id", "job__job_id"))


HOURS_LATER = {"timestamp": "2026-01-10T13:00:00.000Z"}
FIRST, LAST = reply(1, output=5, request=None), reply(2, output=63)
MAIN = {("one", "main")}

SAME: dict[str, tuple[Files, int, set[tuple[str, str]]]] = {
    "a fork of a response whose request id is in its last copy only": (
        {"one.jsonl": [FIRST, LAST], "two.jsonl": [FIRST, LAST]},
        73,
        {("one", "main"), ("two", "main")},
    ),
    "a fork with a first copy that has no request id": (
        {"one.jsonl": [FIRST, LAST], "two.jsonl": [FIRST]},
        73,
        MAIN,
    ),
    "a fork with the first copy only, without request ids": (
        {"one.jsonl": [FIRST, reply(2, output=60, request=None)], "two.jsonl": [FIRST]},
        70,
        {("one", "main"), ("two", "main")},
    ),
    "a copy without a request id at another instant of the session": (
        {"one.jsonl": [LAST], "one/subagents/agent-a1.jsonl": [FIRST]},
        73,
        {("one", "main"), ("one", "a1")},
    ),
    "copies without request ids at two instants of the session": (
        {"one.jsonl": [FIRST], "one/subagents/agent-a1.jsonl": [reply(3, output=8, request=None)]},
        18,
        {("one", "main"), ("one", "a1")},
    ),
    "a side question that replays a response": (
        {"one.jsonl": [reply(1)], ASIDE: [reply(50, request="r8")]},
        15,
        MAIN,
    ),
    "side questions that replay a response before it is complete, and after": (
        {
            "one.jsonl": [reply(1, output=30)],
            ASIDE: [reply(50, output=7, request="r8")],
            "one/subagents/agent-aside_q-2.jsonl": [reply(60, output=40, request="r9")],
        },
        50,
        MAIN,
    ),
}
"""Files that tell of one response: its tokens, and the jobs that may pay for it by the order of imports."""


@pytest.mark.parametrize("case", SAME)
def test_one_response_is_one_call_in_any_order_of_imports(owner, tmp_path, case):
    files, total, jobs = SAME[case]
    orders = [[dict([file]) for file in order] for order in permutations(files.items())]
    for number, imports in enumerate([[files], *orders]):
        project = Project.objects.create(name=f"p{number}", owner=owner)
        for _ in range(2):
            imported(tmp_path, project, *imports)
            assert figures(project)[:2] == (1, total)
            assert places(project) <= jobs
        imported(tmp_path, project, files)
        assert figures(project)[:2] == (1, total)


def test_a_side_question_asked_twice_makes_no_two_responses_one(project, tmp_path):
    """The message id was used again, for an equal question."""
    aside = {ASIDE: [reply(50, request="r8")]}
    imported(tmp_path, project, aside, {"one.jsonl": [reply(1)]}, {"two.jsonl": [reply(9, request="r2")]})
    assert figures(project)[:2] == (2, 30)


def test_a_copy_without_a_request_id_makes_no_two_requests_one(project, tmp_path):
    requests = {"one.jsonl": [FIRST, reply(4, output=20), reply(5, output=30, request="r2")]}
    imported(tmp_path, project, {"one.jsonl": [FIRST]}, requests)
    assert figures(project)[:2] == (3, 15 + 30 + 40)


def test_a_later_copy_with_less_input_replaces_the_one_before(project, tmp_path):
    early, late = reply(1, output=1), reply(3, output=500)
    early["message"]["usage"]["input_tokens"] = 40
    imports = [{"one.jsonl": [early]}, {"one.jsonl": [early, late]}]
    for _ in range(2):
        imported(tmp_path, project, *imports)
        assert figures(project)[:2] == (1, 510)


def test_a_message_id_used_again_names_its_calls_however_they_are_imported(project, other_project, tmp_path):
    one, two = {"one.jsonl": [FIRST]}, {"two.jsonl": [{**FIRST, **HOURS_LATER}]}
    for of, imports in ((project, [one, two]), (other_project, [{**one, **two}])):
        imported(tmp_path, of, *imports)
        telemetry = event(
            eventId="span", callIds=["m1"], occurredAt=at(1), model=OPUS, inputTokens=10, outputTokens=5
        )
        send(of, telemetry)
        assert figures(of)[:2] == (2, 30)


def test_responses_at_one_instant_keep_the_ids_of_their_sessions(project, tmp_path):
    files = {f"{name}.jsonl": [reply(1, output=n, request=None)] for n, name in enumerate("abc", 1)}
    imported(tmp_path, project, files, *[{name: files[name]} for name in files])
    assert figures(project)[:2] == (3, 30 + 1 + 2 + 3)


@pytest.mark.parametrize("imports", [["ab"], ["a", "ab"], ["b", "ab"], ["a", "b", "ab"], ["b", "a", "ab"]])
def test_responses_at_one_instant_with_other_counts_are_each_recorded_once(project, tmp_path, imports):
    files = {name: {f"{name}.jsonl": [reply(1, output=n, request=None)]} for name, n in (("a", 2), ("b", 3))}
    both = files["a"] | files["b"]
    imported(tmp_path, project, *[both if names == "ab" else files[names] for names in imports])
    assert figures(project)[:2] == (2, 20 + 2 + 3)


def test_responses_at_one_instant_that_share_no_history_are_told_apart(project, tmp_path):
    """The second one begins with more than the first has come to, or has less of one count."""
    more, less = reply(1, output=3, request=None), reply(1, output=9, request=None)
    less["message"]["usage"]["input_tokens"] = 1
    one = {"a.jsonl": [reply(1, output=2, request=None)]}
    imported(tmp_path, project, one, {"b.jsonl": [more]}, {"c.jsonl": [less]})
    assert figures(project)[:2] == (3, 12 + 13 + 10)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_fork_of_a_growing_response_without_a_request_id_is_one_response(project, tmp_path, order):
    early, late = reply(1, output=2, request=None), reply(2, output=3, request=None)
    files = [{"fork.jsonl": [early]}, {"one.jsonl": [early, late]}, {"again.jsonl": [early, late]}]
    imported(tmp_path, project, *[files[number] for number in order])
    assert figures(project)[:2] == (1, 13)


def test_a_response_that_shares_its_message_id_and_instant_grows_once(project, tmp_path):
    early, late = reply(1, output=3, request=None), reply(2, output=9, request=None)
    one = {"a.jsonl": [reply(1, output=2, request=None)]}
    imported(tmp_path, project, {"b.jsonl": [early]}, {**one, "b.jsonl": [early, late]}, one)
    assert figures(project)[:2] == (2, 12 + 19)


def test_lines_of_a_message_id_used_again_that_named_no_call_are_not_recorded_again(project, tmp_path):
    """Earlier versions gave no call id to responses whose message id was used again in the same import."""
    named = {"jobId": "main", "model": OPUS, "inputTokens": 10, "outputTokens": 5, "costDollars": None}
    again = "m1@20260110T130000.000000Z"
    lines = [
        event(eventId="m1", runId="one", occurredAt=at(1), **named),
        event(eventId=again, runId="two", occurredAt=HOURS_LATER["timestamp"], **named),
    ]
    running_totals.record(project, [structs.replace(line, sender="claude_code") for line in lines])
    one, two = {"one.jsonl": [FIRST]}, {"two.jsonl": [{**FIRST, **HOURS_LATER}]}
    imported(tmp_path, project, {**one, **two}, two, one)
    assert figures(project)[:2] == (2, 30)
    assert CreditTransaction.objects.filter(project=project).count() == 2


# Whole folders


class Log:
    """Sessions that a gateway or the provider answers, with forks and side questions, and what they cost."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.files: Files = {}
        self.responses: list[int] = []
        """The tokens of each response."""
        self._second = 0
        self._requests = self.random.choice(["all", "last", "none"])

    def session(self, name: str) -> None:
        records: list[Any] = []
        for number in range(self.random.randint(1, 3)):
            # A gateway may begin anew with each session.
            id_ = f"m{number}" if self._requests == "none" else f"{name}-m{number}"
            copies = self._copies(id_, f"{name}-r{number}")
            records += copies
            used = copies[-1]["message"]["usage"]
            self.responses.append(used["input_tokens"] + used["output_tokens"])
        self.files[f"{name}.jsonl"] = records

    def _copies(self, id_: str, request: str) -> list[Any]:
        number, output = self.random.randint(1, 3), self.random.randint(1, 9)
        copies = []
        for copy in range(number):
            self._second += self.random.randint(1, 60)
            has_request = self._requests == "all" or (self._requests == "last" and copy == number - 1)
            copies.append(reply(self._second, id_, output, request=request if has_request else None))
            output += self.random.randint(0, 50)
        return copies

    def fork(self, name: str, of: str) -> None:
        """A fork has its parent's first records."""
        records = self.files[f"{of}.jsonl"]
        self.files[f"{name}.jsonl"] = records[: self.random.randint(1, len(records))]

    def aside(self, session: str) -> None:
        """A side question replays the responses of its session as new requests, and gets an answer."""
        replays = []
        for record in self.files[f"{session}.jsonl"]:
            self._second += 1
            again = f"aside-{record['message']['id']}"
            replays.append({**record, "timestamp": at(self._second), "requestId": again})
        name = f"{session}/subagents/agent-aside_q-1.jsonl"
        self.files[name] = [*replays, *self._copies(f"{session}-answer", "answer")]
        used = self.files[name][-1]["message"]["usage"]
        self.responses.append(used["input_tokens"] + used["output_tokens"])

    def imports(self) -> list[Files]:
        """All files in some grouping and order, after some of them when they were shorter or alone."""
        names = self.random.sample(sorted(self.files), len(self.files))
        early = [
            {name: self.files[name][: self.random.randint(1, 9)]}
            for name in names
            if self.random.random() < 0.3
        ]
        cut = self.random.randint(0, len(names))
        groups = [names[:cut], names[cut:], names[: self.random.randint(0, 2)]]
        return [*early, *({name: self.files[name] for name in group} for group in groups if group)]

    @classmethod
    def made_up(cls, seed: int) -> "Log":
        log = cls(seed)
        for name in ("one", "two"):
            log.session(name)
        if log.random.random() < 0.7:
            log.fork("fork", "one")
        if log._requests == "all" and log.random.random() < 0.7:
            log.aside("two")
        return log


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(6, 25))]
)
def test_any_grouping_and_order_of_imports_has_the_same_figures(project, other_project, tmp_path, seed):
    log = Log.made_up(seed)
    together = imported(tmp_path, other_project, log.files)
    assert figures(together)[:2] == (len(log.responses), sum(log.responses))
    assert figures(imported(tmp_path, project, *log.imports())) == figures(together)
