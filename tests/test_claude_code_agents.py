"""Types and ends of Claude Code's subagents, other agents' logs, and sessions of Claude Code 2.1.332."""

import json
import random
import shutil
from collections import defaultdict
from typing import Any

import pytest

from billing import verification
from billing.events.usage_event import UsageEvent
from billing.imports.importer import import_paths
from billing.models import CreditTransaction
from billing.sources import Item, Rejection
from billing.sources.claude_code import parse
from billing.sources.discovery import discover
from products.models import AgentJob
from tests.test_claude_code import (
    SESSION,
    SHARED,
    Lines,
    at,
    call,
    cost_of,
    deductions,
    jobs,
    progress,
    read,
    reply,
    result,
    skipped,
)
from tests.test_claude_code_calls import LATER, write
from tests.test_import import Run

pytestmark = pytest.mark.once

FOLDER = "logs/one/subagents"
AGENT = f"{FOLDER}/agent-a1.jsonl"
META = f"{FOLDER}/agent-a1.meta.json"
JOURNAL = f"{FOLDER}/workflows/wf_1/journal.jsonl"


def notification(status: str = "completed", task: str = "a1", rest: str = "") -> str:
    head = f"<task-id>{task}</task-id>\n<tool-use-id>t1</tool-use-id>\n<status>{status}</status>"
    return f"<task-notification>\n{head}\n<summary>Agent finished</summary>{rest}\n</task-notification>"


def queued(text: Any, second: float = 30) -> dict[str, Any]:
    return {"type": "queue-operation", "operation": "enqueue", "timestamp": at(second), "content": text}


def notified(content: Any, kind: str = "task-notification", second: float = 31) -> dict[str, Any]:
    record = {"type": "user", "timestamp": at(second), "message": {"role": "user", "content": content}}
    return {**record, "origin": {"kind": kind}}


def answer(second: float, text: str = "", call_id: str = "t2", **more: Any) -> dict[str, Any]:
    """The result of a nested agent, in the file of the agent that started it."""
    content = [{"type": "text", "text": text}]
    block = {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}
    return {"type": "user", "timestamp": at(second), "message": {"content": [block]}}


def of_agent(*files: Lines, agent: str = "a1") -> tuple[str, str]:
    """The type and status of a subagent, the same whatever the order of files and lines."""
    found = set()
    for seed in range(4):
        order = random.Random(seed)
        shuffled = [Lines(file.name, *order.sample(file._lines, len(file._lines))) for file in files]
        job = jobs(*order.sample(shuffled, len(shuffled)))["one", agent]
        found.add((job.agent_type, job.job_status))
    (only,) = found
    return only


LAUNCH = reply(1, "m1", 5, call("t1", "Explore", "Agent")), result(2, "a1", "async_launched")


# How agents end


def test_an_agent_in_the_background_is_running_until_its_end_is_notified():
    assert of_agent(Lines(SESSION, *LAUNCH), Lines(AGENT, reply(3, "m2"))) == ("Explore", "running")


@pytest.mark.parametrize(
    ("reported", "status"),
    [
        ("completed", "succeeded"),
        ("failed", "failed"),
        ("killed", "cancelled"),
        ("stopped", "cancelled"),
        ("paused", "running"),
    ],
)
@pytest.mark.parametrize(
    "record_of",
    [
        lambda text: queued(text),
        lambda text: notified(text),
        lambda text: notified([{"type": "text", "text": text}]),
    ],
)
def test_a_notification_says_how_an_agent_ended(record_of, reported, status):
    log = Lines(SESSION, *LAUNCH, record_of(notification(reported)))
    assert of_agent(log) == ("Explore", status)


@pytest.mark.parametrize(
    "record",
    [
        queued(None),
        queued("completed"),
        queued(f"My log has {notification()}"),
        queued("<task-notification><task-id>a1</task-id>"),
        notified(notification(), kind="human"),
        notified({"text": notification()}),
        {**notified(notification()), "origin": "task-notification"},
        queued(notification(task="a2")),
        queued(notification("running", rest="<result><status>completed</status></result>")),
    ],
)
def test_other_texts_end_no_agent(record):
    assert of_agent(Lines(SESSION, *LAUNCH, record)) == ("Explore", "running")


def test_a_notification_of_a_task_that_is_no_agent_makes_no_job():
    log = Lines(SESSION, reply(1), queued(notification(task="w5ykzw6sb")))
    assert set(jobs(log)) == {("one", "main")}


OUTER = reply(3, "m2", 5, call("t2", "deep", "Agent"))


@pytest.mark.parametrize(
    ("more", "status"),
    [({}, "succeeded"), ({"is_error": False}, "succeeded"), ({"is_error": True}, "failed")],
)
@pytest.mark.parametrize("named", ["in its description", "in the result"])
def test_the_end_of_a_nested_agent_is_in_the_file_of_the_agent_that_started_it(named, more, status):
    text = "Done.\nagentId: a2 (use SendMessage)" if named == "in the result" else "Done."
    files = [
        Lines(SESSION, *LAUNCH),
        Lines(AGENT, OUTER, answer(6, text, **more)),
        Lines(f"{FOLDER}/agent-a2.jsonl", reply(4, "m3", attributionAgent="deep")),
    ]
    if named == "in its description":
        files.append(Lines(f"{FOLDER}/agent-a2.meta.json", {"agentType": "deep", "toolUseId": "t2"}))
    assert of_agent(*files, agent="a2") == ("deep", status)
    assert of_agent(*files, agent="a1") == ("Explore", "running")


def test_a_nested_agent_in_the_background_is_still_running():
    text = "Async agent launched successfully.\nagentId: a2 (internal ID)"
    inner = Lines(f"{FOLDER}/agent-a2.jsonl", reply(4, "m3"))
    assert of_agent(Lines(AGENT, OUTER, answer(6, text)), inner, agent="a2") == ("unknown", "running")


def test_another_tools_result_ends_no_agent():
    outer = Lines(
        AGENT, reply(3, "m2", 5, {"type": "tool_use", "id": "t2", "name": "Bash"}), answer(6, "agentId: a2")
    )
    inner = Lines(f"{FOLDER}/agent-a2.jsonl", reply(4, "m3"))
    assert of_agent(outer, inner, agent="a2") == ("unknown", "running")


def test_an_agents_own_words_name_no_other_agent():
    outer = Lines(AGENT, OUTER, answer(6, "  agentId: a2"))
    inner = Lines(f"{FOLDER}/agent-a2.jsonl", reply(4, "m3"))
    assert of_agent(outer, inner, agent="a2") == ("unknown", "running")


def test_a_workflows_journal_says_which_agents_completed():
    journal = Lines(
        JOURNAL,
        {"type": "launched"},
        {"type": "started", "agentId": "a1"},
        {"type": "started", "agentId": "a2"},
        {"type": "result", "agentId": "a1", "result": "Done."},
    )
    logs = [
        Lines(f"{FOLDER}/workflows/wf_1/agent-{agent}.jsonl", reply(n, f"m{n}", attributionAgent="wf"))
        for n, agent in enumerate(["a1", "a2"])
    ]
    assert of_agent(journal, *logs) == ("wf", "succeeded")
    assert of_agent(journal, *logs, agent="a2") == ("wf", "running")
    assert set(jobs(journal, *logs)) == {("one", "main"), ("one", "a1"), ("one", "a2")}
    assert not skipped(journal, *logs)


# Their types


def test_the_type_is_that_of_the_answers_then_that_of_the_description_then_that_of_the_call():
    launch = Lines(SESSION, *LAUNCH)
    described = Lines(META, json.dumps({"agentType": "described"}, indent=2).encode())
    answered = Lines(AGENT, reply(3, "m2", attributionAgent="answered"))
    assert of_agent(launch, described, answered)[0] == "answered"
    assert of_agent(launch, described)[0] == "described"
    assert of_agent(launch)[0] == "Explore"
    assert of_agent(launch, Lines(META, {"toolUseId": "t1"}), Lines(AGENT, reply(3, "m2")))[0] == "Explore"


def test_an_agent_whose_only_call_failed_has_its_type_in_its_description_and_did_not_succeed():
    failed = reply(4, "m2", request=None)
    failed["message"]["model"] = "<synthetic>"
    meta = Lines(META, {"agentType": "general-purpose", "finished": True})
    log = Lines(AGENT, failed)
    assert of_agent(meta, log) == ("general-purpose", "running")
    ended = Lines(SESSION, queued(notification("failed")))
    assert of_agent(meta, log, ended) == ("general-purpose", "failed")
    assert not deductions(meta, log, ended)


def test_the_main_agent_stays_main_and_the_earliest_answers_type_counts():
    log = Lines(SESSION, reply(1, attributionAgent="reviewer"))
    assert jobs(log)["one", "main"].agent_type == "main"
    two = reply(3, "m2", attributionAgent="b"), reply(4, "m3", attributionAgent="a")
    assert of_agent(Lines(AGENT, *two))[0] == "b"
    nested = Lines(SESSION, progress(9, "a1", {**reply(3, "m2"), "attributionAgent": "c"}))
    assert of_agent(nested)[0] == "c"


@pytest.mark.parametrize("line", [b"{", b"[1]", b'{"agentType": 7}'])
def test_a_description_that_cannot_be_read_is_named(line):
    files = [Lines(META, line), Lines(AGENT, reply(1))]
    assert list(skipped(*files)) == [f"{META}:1"]
    assert of_agent(files[1])[0] == "unknown"


def test_a_description_alone_is_no_job():
    assert not read(Lines(META, {"agentType": "x"}), Lines(JOURNAL, {"type": "result", "agentId": "a1"}))


# On disk


def test_descriptions_and_journals_are_read_with_the_logs_and_are_no_files_of_their_own(project, tmp_path):
    write(tmp_path, "p/one.jsonl", *LAUNCH)
    write(tmp_path, "p/one/subagents/agent-a2.jsonl", reply(3, "m2"))
    write(tmp_path, "p/one/subagents/workflows/wf_1/agent-a3.jsonl", reply(4, "m3"))
    write(tmp_path, "p/one/subagents/workflows/wf_1/journal.jsonl", {"type": "result", "agentId": "a3"})
    (tmp_path / "p/one/subagents/agent-a2.meta.json").write_text('{\n  "agentType": "linter"\n}')
    found = discover([tmp_path])
    assert [file.path.name for file in found.files] == ["one.jsonl", "agent-a2.jsonl", "agent-a3.jsonl"]
    assert [file.path.name for file in found.companions] == ["agent-a2.meta.json", "journal.jsonl"]
    run = Run(tmp_path, project=project.pk)
    assert (run.status, run.receipt["files"], run.receipt["rejected"], run.err) == (0, 3, 0, "")
    rows = AgentJob.objects.filter(project=project).values_list("job_id", "agent_type__slug", "status")
    assert set(rows) == {
        ("main", "main", "succeeded"),
        ("a1", "Explore", "running"),
        ("a2", "linter", "running"),
        ("a3", "unknown", "succeeded"),
    }


def test_a_description_without_a_log_is_rejected(project, tmp_path):
    path = tmp_path / "agent-a2.meta.json"
    path.write_text("{}")
    run = Run(path, project=project.pk)
    assert run.status == 1
    assert f"{path}: it describes a log beside it" in run.err


QWEN = {"uuid": "u", "sessionId": "s", "timestamp": at(1), "type": "assistant", "usageMetadata": {}}
OTHERS = {
    "Qwen Code": {**QWEN, "message": {"role": "model", "parts": []}},
    "Gemini CLI": {"sessionId": "s", "projectHash": "h", "startTime": at(1), "kind": "main"},
    "Copilot CLI": {"type": "session.start", "data": {"sessionId": "s"}, "id": "i", "timestamp": at(1)},
    "pi": {"type": "session", "version": 3, "id": "i", "timestamp": at(1), "cwd": "/"},
    "Codex": {"type": "session_meta", "payload": {"id": "i"}, "timestamp": at(1)},
}


@pytest.mark.parametrize("agent", OTHERS)
def test_another_agents_log_is_rejected_whole(project, tmp_path, agent):
    write(tmp_path, "one.jsonl", OTHERS[agent], reply(2))
    run = Run(tmp_path, project=project.pk, format="claude_code")
    # The file is rejected, and so is the folder, in which nothing else could be read.
    assert (run.status, run.receipt["rejected"], run.receipt["read"]) == (1, 2, 2)
    assert f"one.jsonl: this is a log of {agent}, not of Claude Code" in run.err
    assert str(tmp_path) in run.err


@pytest.mark.parametrize("agent", ["Qwen Code", "Gemini CLI", "Copilot CLI", "pi"])
def test_another_agents_log_is_not_taken_for_claude_codes(project, tmp_path, agent):
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps(OTHERS[agent]) + "\n")
    run = Run(path, project=project.pk)
    assert (run.status, run.receipt["recorded"]) == (1, 0)
    assert f"{path}: this is a log of {agent}" in run.err


REAL = SHARED / "real_agents"


@pytest.mark.skipif(not REAL.exists(), reason="the real logs are not beside the checkout")
@pytest.mark.parametrize("folder", ["qwen/.qwen", "gemini/.gemini", "pi/sessions", "copilot/session-state"])
@pytest.mark.parametrize("options", [{}, {"format": "claude_code"}])
def test_nothing_of_another_agents_real_folder_is_recorded(project, folder, options):
    run = Run(REAL / folder, project=project.pk, **options)
    assert run.status == 1
    assert run.receipt["recorded"] == 0
    assert not CreditTransaction.objects.filter(project=project).exists()


# Claude Code 2.1.332, run against an API that logged what it billed

CLAUDE = REAL / "claude-code-2.1.332"
SESSIONS = {  # dollars and deductions, without the calls that no record holds
    "ffffffff-1111-4111-8111-000000000001": (0.0057072, 3),
    "00000000-1111-4111-8111-000000000002": (0.0024048, 1),
    "00000000-1111-4111-8111-000000000004": (0.0273840, 7),
    "00000000-1111-4111-8111-000000000005": (0.0103360, 2),
    "00000000-1111-4111-8111-000000000006": (0.0500854, 2),
    "00000000-1111-4111-8111-000000000007": (0.01302752, 1),  # fast, and in the US
    "00000000-1111-4111-8111-000000000008": (0.0064240, 1),
    "00000000-1111-4111-8111-000000000009": (0.0222864, 3),
    "00000000-1111-4111-8111-00000000000a": (0.0678272, 7),
    "00000000-1111-4111-8111-00000000000b": (0.0366944, 2),
    "00000000-1111-4111-8111-00000000000c": (0.0114480, 1),
}
SUBAGENTS = {
    "a1c5317c25e262d47": ("general-purpose", "succeeded"),
    "a3d9f7b448b91d61d": ("general-purpose", "succeeded"),
    "a9eb6acd0d5c99c56": ("general-purpose", "failed"),
    "a51fc886dec281494": ("workflow-subagent", "succeeded"),
    "ad9d23e2563878836": ("workflow-subagent", "succeeded"),
}


def billed() -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (CLAUDE / "billed.jsonl").read_text().splitlines()]
    return {line["requestId"]: line for line in lines if line["billed"]}


def counts(usage: dict[str, Any]) -> tuple[int, ...]:
    parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    long = usage["cache_creation"]["ephemeral_1h_input_tokens"]
    return (*(usage[part] for part in parts), long, usage["output_tokens"])


@pytest.fixture(scope="module")
def items() -> list[Item]:
    found = discover([CLAUDE / "projects"])
    return list(parse([*found.files, *found.companions], LATER))


@pytest.fixture(scope="module")
def spent(items) -> list[UsageEvent]:
    return [i.found for i in items if isinstance(i.found, UsageEvent) and i.found.kind == "deduction"]


@pytest.mark.skipif(not CLAUDE.exists(), reason="the real session logs are not beside the checkout")
class TestRealSessions:
    def test_everything_is_understood(self, items):
        assert {type(item.found) for item in items} == {UsageEvent}

    def test_each_session_costs_what_was_billed(self, spent):
        found: defaultdict[str, list[UsageEvent]] = defaultdict(list)
        for event in spent:
            found[event.run_id].append(event)
        assert found.keys() == SESSIONS.keys()
        for session, (dollars, rows) in SESSIONS.items():
            assert len(found[session]) == rows
            assert sum(map(cost_of, found[session])) == round(dollars * 10**9)

    def test_each_response_has_the_billed_tokens_of_its_request(self, spent):
        calls = billed()
        responses = [event for event in spent if not event.part]
        assert len(responses) == 28
        for event in responses:
            call = calls[event.call_ids[0]]
            assert event.call_ids == (call["requestId"], call["messageId"])
            t = event.tokens
            assert (t.input, t.cache_read, t.cache_write, t.cache_write_1h, t.output) == counts(call["usage"])
            assert (event.run_id, event.job_id) == (call["session"], call["agentId"] or "main")

    def test_parts_of_a_response_are_deductions_of_their_own(self, spent):
        parts = [event for event in spent if event.part]
        found = {e.event_id: (e.model, e.tokens.input, e.tokens.output, e.job_id) for e in parts}
        assert found == {
            "msg_fake00017:req_fake00017+advisor1": ("claude-opus-4-6", 823, 1612, "main"),
            "msg_fake00037:req_fake00037+compaction1": ("claude-opus-5-5", 5000, 300, "main"),
        }

    def test_types_and_ends_of_subagents(self, items):
        found = [i.found for i in items if isinstance(i.found, UsageEvent) and i.found.kind == "job"]
        agents = {job.job_id: (job.agent_type, job.job_status) for job in found if job.job_id != "main"}
        assert agents == SUBAGENTS
        assert len(found) == len(SESSIONS) + len(SUBAGENTS)

    def test_names_of_folders_and_the_order_of_lines_change_nothing(self, items, tmp_path):
        """The fork comes first by name in the original; here the order is that of chance."""
        first = sorted(repr(item.found) for item in items)
        for seed in range(3):
            order = random.Random(seed)
            folder = shutil.copytree(CLAUDE / "projects", tmp_path / str(seed))
            for path in sorted(folder.rglob("*.jsonl")):
                lines = path.read_text().splitlines()
                path.write_text("\n".join(order.sample(lines, len(lines))))
            moved = [path for path in folder.glob("*/*") if order.random() < 0.5]
            for path in moved:
                home = folder / f"{order.random()}"
                home.mkdir()
                path.rename(home / path.name)
            found = discover([folder])
            assert sorted(repr(i.found) for i in parse([*found.files, *found.companions], LATER)) == first

    @pytest.mark.django_db
    def test_the_ledger_holds_it_once_however_it_is_imported(self, project, other_project):
        run = Run(CLAUDE / "projects", project=project.pk)
        assert (run.status, run.receipt["recorded"], run.err) == (0, 30 + 16, "")
        again = Run(CLAUDE / "projects", project=project.pk)
        assert (again.status, again.receipt["recorded"]) == (0, 0)
        for path in sorted((CLAUDE / "projects").rglob("*.jsonl"), reverse=True):
            import_paths(other_project, [path])
        for ledger in (project, other_project):
            rows = CreditTransaction.objects.filter(project=ledger)
            assert (len(rows), sum(row.amount_nanos for row in rows)) == (30, 240_597_400 + 13_027_520)
            assert not list(verification.differences(ledger))


def test_rejections_name_the_file():
    (item,) = read(Lines(SESSION, OTHERS["pi"], reply(1)))
    assert isinstance(item.found, Rejection)
    assert item.origin == f"{SESSION}:1"
