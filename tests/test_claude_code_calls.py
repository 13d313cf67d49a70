"""One billed call of Claude Code's logs is one event, however often and wherever it is written."""

import itertools
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from billing import verification
from billing.events.usage_event import UsageEvent
from billing.imports.importer import import_paths
from billing.ledger.responses import running_totals
from billing.models import CreditTransaction
from billing.sources import Context, Note
from billing.sources.claude_code import parse
from billing.sources.claude_code.usage import tokens_of
from billing.sources.foreign_ids import foreign_id
from tests import factories
from tests.test_claude_code import (
    OPUS,
    SESSION,
    SHARED,
    Lines,
    at,
    cost_of,
    deductions,
    instant,
    jobs,
    message,
    read,
    reply,
    result,
    skipped,
    usage,
)

LATER = Context(now=datetime(2026, 12, 1, tzinfo=UTC), credits_per_dollar=100)
ASIDE = "logs/one/subagents/agent-aside_question-7.jsonl"


def runs(*files: Lines) -> dict[str, tuple[str, str]]:
    return {id_: (event.run_id, event.job_id) for id_, event in deductions(*files).items()}


def used(id_: str, usage: dict[str, Any], second: float = 1) -> dict[str, Any]:
    """An assistant record with exactly this usage."""
    return {**reply(second, id_), "message": {"id": id_, "model": OPUS, "usage": usage}}


def notes(*files: Lines) -> list[str]:
    return [item.found.text for item in read(*files) if isinstance(item.found, Note)]


# Forks and side questions


@pytest.mark.parametrize(("original", "fork"), [("a", "b"), ("b", "a")])
def test_a_forks_copies_belong_to_the_session_that_they_name(original, fork):
    files = [
        Lines(f"{original}.jsonl", reply(1, "m1"), reply(2, "m2")),
        Lines(
            f"{fork}.jsonl",
            reply(1, "m1", requestSessionId=original),
            reply(2, "m2", requestSessionId=original),
            reply(9, "m3"),
        ),
    ]
    its = {"m1:r1": (original, "main"), "m2:r1": (original, "main")}
    assert runs(*files) == {**its, "m3:r1": (fork, "main")}
    assert jobs(*files)[fork, "main"].job_finished_at == instant(9)


def test_a_forks_copies_belong_to_their_session_even_if_its_log_is_gone():
    fork = Lines("b.jsonl", reply(1, "m1", requestSessionId="a"), reply(9, "m2"))
    assert runs(fork) == {"m1:r1": ("a", "main"), "m2:r1": ("b", "main")}
    assert jobs(fork)["a", "main"].run_finished_at == instant(1)


def test_a_fork_has_no_jobs_for_the_subagents_of_its_parent():
    files = [
        Lines("a.jsonl", reply(1), result(5, "a1")),
        Lines("a/subagents/agent-a1.jsonl", reply(3, "m2")),
        Lines("b.jsonl", reply(1, requestSessionId="a"), result(5, "a1"), reply(9, "m3")),
    ]
    assert set(jobs(*files)) == {("a", "main"), ("a", "a1"), ("b", "main")}


def test_a_side_question_pays_for_its_own_answer_only():
    session = Lines(SESSION, reply(1, "m1", 50), reply(2, "m2", request="r2"))
    aside = Lines(ASIDE, reply(1, "m1", 7, request="r8"), reply(9, "m3", request="r9"))
    expected = {
        "m1:r1": ("one", "main"),
        "m2:r2": ("one", "main"),
        "m3:r9": ("one", "aside_question-7"),
    }
    assert runs(session, aside) == expected
    events = deductions(session, aside)
    assert events["m1:r1"].call_ids == ("r1", "m1", "r8")
    assert events["m1:r1"].tokens.output == 50


def test_a_response_to_a_side_question_under_a_message_id_used_again_is_another():
    other = {**reply(5, request="r8"), "message": message("m1", 5, cache_read_input_tokens=900)}
    assert set(runs(Lines(SESSION, reply(1)), Lines(ASIDE, other))) == {"m1:r1", "m1:r8"}


# Gateways without request ids


def test_a_message_id_that_is_used_again_in_another_session_is_another_response():
    files = [Lines("a.jsonl", reply(1, request=None)), Lines("b.jsonl", reply(5, output=7, request=None))]
    events = deductions(*files)
    assert {id_: (e.run_id, e.tokens.output) for id_, e in events.items()} == {
        "m1": ("a", 5),
        "m1@20260110T100005.000000Z": ("b", 7),
    }
    assert [event.call_ids for event in events.values()] == [("m1",), ("m1",)]


def test_equal_copies_without_request_ids_in_two_sessions_are_one_response():
    files = [Lines(name, reply(1, request=None)) for name in ("a.jsonl", "b.jsonl")]
    assert runs(*files) == {"m1": ("a", "main")}
    assert deductions(*files)["m1"].call_ids == ("m1",)


@pytest.mark.parametrize("other", [{"output": 6}, {"second": 2}])
def test_copies_in_two_sessions_that_differ_are_two_responses(other):
    second, output = other.get("second", 1), other.get("output", 5)
    original = Lines("a.jsonl", reply(1, request=None))
    assert len(runs(original, Lines("b.jsonl", reply(second, "m1", output, request=None)))) == 2


def test_the_request_id_may_stand_in_one_copy_only():
    in_the_session = Lines("a.jsonl", reply(1), reply(2, output=9, request=None))
    in_another = Lines("b.jsonl", reply(1, output=9, request=None))
    for files in ([in_the_session], [in_the_session, in_another]):
        (event,) = deductions(*files).values()
        assert (event.event_id, event.tokens.output, event.call_ids) == ("m1:r1", 9, ("r1", "m1"))


def test_responses_without_request_ids_at_one_instant_have_ids_of_their_own():
    files = [Lines(f"{name}.jsonl", reply(1, "m1", n, request=None)) for n, name in enumerate("abc")]
    assert {id_: run for id_, (run, _) in runs(*files).items()} == {"m1": "a", "m1@b": "b", "m1@c": "c"}


# Ids


def test_events_name_their_call_and_their_sender():
    event = deductions(Lines(SESSION, reply(1)))["m1:r1"]
    assert (event.call_ids, event.sender) == (("r1", "m1"), "claude_code")
    two = deductions(Lines(SESSION, reply(1), reply(2, request="r2")))
    assert [event.call_ids for event in two.values()] == [("r1", "m1"), ("r2", "m1")]


@pytest.mark.parametrize("fitting", ["a", "a" * 8, "ü-7"])
def test_an_id_that_fits_is_kept(fitting):
    assert foreign_id(fitting, 8) == fitting


@pytest.mark.parametrize("hashed", ["", "a" * 9, "a\n", "\x85", "\ud800"])
def test_an_id_that_does_not_fit_is_hashed(hashed):
    assert foreign_id(hashed, 8) == foreign_id(hashed, 8)
    assert foreign_id(hashed, 8).startswith("sha256:")
    assert len(foreign_id(hashed, 8)) == 71


# Calls beside a response


ADVICE = {"type": "advisor_message", "model": "claude-opus-4-6", **usage(40)}
COMPACTION = {"type": "compaction", **usage(30, cache_read_input_tokens=4)}
OWN = {"type": "message", **usage()}


def test_advice_and_compaction_are_deductions_of_their_own():
    log = Lines(SESSION, used("m1", usage(iterations=[COMPACTION, OWN, ADVICE, ADVICE])))
    events = deductions(log)
    assert {id_: (e.model, e.tokens.total, e.run_id, e.job_id) for id_, e in events.items()} == {
        "m1:r1": (OPUS, 15, "one", "main"),
        "m1:r1+advisor1": ("claude-opus-4-6", 50, "one", "main"),
        "m1:r1+advisor2": ("claude-opus-4-6", 50, "one", "main"),
        "m1:r1+compaction1": (OPUS, 44, "one", "main"),
    }
    advice = events["m1:r1+advisor1"]
    assert (advice.call_ids, advice.part) == (events["m1:r1"].call_ids, "advisor1")
    assert not skipped(log)


def test_advice_grows_with_its_response_and_stands_in_any_copy():
    early = used("m1", usage(1, iterations=[{**ADVICE, "output_tokens": 3}]))
    late = used("m1", usage(9, iterations=[]), second=2)
    for lines in itertools.permutations([early, used("m1", usage(5, iterations=[ADVICE]), second=3), late]):
        events = deductions(Lines(SESSION, *lines))
        assert {id_: e.tokens.output for id_, e in events.items()} == {"m1:r1": 9, "m1:r1+advisor1": 40}


@pytest.mark.parametrize("iterations", [None, [], [OWN], [{**ADVICE, "input_tokens": 0, "output_tokens": 0}]])
def test_other_iterations_are_part_of_the_response(iterations):
    log = Lines(SESSION, used("m1", usage(iterations=iterations)))
    assert list(deductions(log)) == ["m1:r1"]
    assert not skipped(log)


@pytest.mark.parametrize(
    ("iterations", "reason"),
    [
        ({"1": ADVICE}, "iterations: must be a list"),
        ("x", "iterations: must be a list"),
        ([ADVICE, 7], "iterations[1]: is of no known type"),
        ([{**ADVICE, "type": "oracle"}, ADVICE], "iterations[0]: is of no known type: oracle"),
        ([ADVICE, {**ADVICE, "input_tokens": -1}], "input_tokens: must be a whole number"),
        ([ADVICE, {**ADVICE, "model": 5}], "model: must be text"),
    ],
)
def test_an_iteration_that_cannot_be_read_is_named_and_the_rest_is_recorded(iterations, reason):
    log = Lines(SESSION, used("m1", usage(iterations=iterations)))
    advice = {"m1:r1+advisor1"} if isinstance(iterations, list) else set()
    assert set(deductions(log)) == {"m1:r1"} | advice
    (text,) = skipped(log).values()
    assert reason in text


# Cache writes


@pytest.mark.parametrize(
    ("total", "short", "long", "recorded", "warned"),
    [
        (100, 40, 60, (100, 60), False),
        (100, 40, 0, (100, 0), False),  # the rest is taken for 5-minute writes
        (None, 40, 60, (100, 60), False),
        (0, 40, 60, (100, 60), True),
        (80, 40, 60, (80, 60), True),
        (50, 40, 60, (50, 50), True),
    ],
)
def test_cache_writes_by_duration_never_exceed_the_total(total, short, long, recorded, warned):
    split = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    counts = usage(cache_creation_input_tokens=total, cache_creation=split)
    tokens, warning = tokens_of(counts)
    assert (tokens.cache_write, tokens.cache_write_1h) == recorded
    assert bool(warning) == warned
    log = Lines(SESSION, used("m1", counts), used("m1", counts, second=2))
    assert notes(log) == ([warning] if warned else [])
    assert not skipped(log)


def test_a_warning_is_in_the_receipt_and_the_response_in_the_ledger(project, tmp_path):
    counts = usage(cache_creation={"ephemeral_1h_input_tokens": 60}, cache_creation_input_tokens=0)
    record = {**used("m1", counts), "sessionId": "one"}
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps(record))
    problems: list[Any] = []
    receipt = import_paths(project, [path], report=problems.append)
    assert (receipt.warnings, receipt.counts["recorded"], receipt.failed) == (1, 2, False)
    assert [(problem.kind, problem.origin) for problem in problems] == [("warning", f"{path}:1")]
    assert "60 cache writes by duration exceed 0 in total" in problems[0].text


# Into the ledger


def write(folder: Path, name: str, *records: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"sessionId": path.stem, **record}) + "\n" for record in records))
    return path


def sums(project: Any) -> tuple[int, int]:
    lines = CreditTransaction.objects.deductions().filter(project=project)
    rows = lines.values_list("output_tokens", "amount_nanos")
    assert not list(verification.differences(project))
    return tuple(map(sum, zip(*rows, strict=True)))  # type: ignore[return-value]


def test_message_ids_used_again_come_to_the_same_sums_in_any_order(project, other_project, tmp_path):
    a = write(tmp_path, "a.jsonl", reply(1, request=None))
    b = write(tmp_path, "b.jsonl", reply(5, output=70, request=None))
    c = write(tmp_path, "c.jsonl", reply(9, output=7, request=None))
    for paths in ([b], [a], [c], [a, b, c], [c, a], [b]):
        import_paths(project, paths)
    import_paths(other_project, [tmp_path])
    assert sums(project) == sums(other_project)
    assert sums(project)[0] == 5 + 70 + 7


def test_a_grown_response_without_a_request_id_is_recorded_under_its_own_id(project, tmp_path):
    a = write(tmp_path, "a.jsonl", reply(1, request=None))
    import_paths(project, [a])
    import_paths(project, [write(tmp_path, "b.jsonl", reply(5, output=6, request=None))])
    import_paths(project, [write(tmp_path, "b.jsonl", reply(5, output=8, request=None))])
    ids = CreditTransaction.objects.deductions().filter(project=project).values_list("event_id", flat=True)
    assert set(ids) == {"m1", "m1@20260110T100005.000000Z+18"}
    assert sums(project)[0] == 5 + 8


def test_what_earlier_versions_recorded_is_not_recorded_again(project, tmp_path):
    """They gave a fork's copies to whichever session came first by name, and named no call or sender."""
    counts = {"inputTokens": 10, "outputTokens": 5, "costDollars": None, "model": OPUS, "jobId": "main"}
    ids = ("m1:r1", "m2")
    running_totals.record(
        project, [factories.event(eventId=id_, occurredAt=at(1), runId="a-fork", **counts) for id_ in ids]
    )
    write(tmp_path, "original.jsonl", reply(1), reply(1, "m2", request=None))
    write(tmp_path, "a-fork.jsonl", reply(1, requestSessionId="original"), reply(1, "m2", request=None))
    receipt = import_paths(project, [tmp_path])
    assert (receipt.counts["conflict"], sums(project)[0]) == (0, 10)
    assert CreditTransaction.objects.filter(project=project).count() == 2


def test_equal_instants_make_no_two_responses_one(project, tmp_path):
    for n, name in enumerate("abc"):
        write(tmp_path, f"{name}.jsonl", reply(1, "m1", n + 1, request=None))
    for _ in range(2):
        import_paths(project, [tmp_path])
    assert sums(project)[0] == 1 + 2 + 3


def test_advice_that_grows_is_recorded_once(project, other_project, tmp_path):
    """The differences of a response and of its parts have ids that begin alike."""
    for output in (3, 20, 40):
        advised = usage(output, iterations=[{**ADVICE, "output_tokens": output}])
        records = [{**used(f"m{n}", advised), "requestId": f"r{n}"} for n in range(101)]
        path = write(tmp_path, "one.jsonl", *records)
        import_paths(project, [path])
    import_paths(other_project, [path])
    assert sums(project) == sums(other_project)
    assert sums(project)[0] == 101 * 80


# Cases that users of other tools have reported

CASES = SHARED / "bug_cases"


def case_names() -> list[str]:
    found = sorted(path.name for path in CASES.glob("[01]*-claude-*")) if CASES.exists() else []
    return [name for name in found if "07" <= name[:2] <= "14"] or ["none"]


def in_lines(path: Path, order: random.Random) -> Lines:
    lines = path.read_bytes().splitlines()
    order.shuffle(lines)
    return Lines(str(path), *lines)


@pytest.fixture(params=case_names())
def case(request) -> Path:
    if not CASES.exists():
        pytest.skip("the reported cases are not beside the checkout")
    return CASES / request.param


def test_a_reported_case_has_the_right_figures_in_any_order(case):
    expected = json.loads((case / "expected.json").read_text())
    for seed in range(6):
        order = random.Random(seed)
        files = [in_lines(path, order) for path in sorted((case / "input").rglob("*.jsonl"))]
        order.shuffle(files)
        found = [item.found for item in parse(files, LATER)]
        spent = [e for e in found if isinstance(e, UsageEvent) and e.kind == "deduction"]
        assert len(spent) == expected["rows"]
        assert sum(e.tokens.total for e in spent) == expected.get("tokens", 255_000)
        assert sum(map(cost_of, spent)) / 1e9 == pytest.approx(expected["dollars"], abs=1e-9)


@pytest.mark.django_db
def test_a_reported_case_is_the_same_in_the_ledger_however_often_it_is_imported(case, project):
    expected = json.loads((case / "expected.json").read_text())
    for _ in range(2):
        import_paths(project, [case / "input"])
    rows = CreditTransaction.objects.filter(project=project)
    assert len(rows) == expected["rows"]
    assert sum(row.amount_nanos for row in rows) / 1e9 == pytest.approx(expected["dollars"], abs=1e-9)
