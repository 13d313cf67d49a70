"""Set-ups for sending usage, ready to copy. Each works as it is, once it contains a token."""

import json
import shlex
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse

from aicost.presentation.api_docs.examples import Example, post

PLACEHOLDER = "$AICOST_TOKEN"
"""Stands for the token. A shell replaces it with the variable's value."""

FILE = """\
{"eventId": "call-1", "occurredAt": "2026-01-31T12:00:00Z", "runId": "build-1", "agentType": "testing", \
"model": "claude-haiku-4-5", "inputTokens": 1200, "outputTokens": 340}
{"eventId": "call-2", "occurredAt": "2026-01-31T12:01:10Z", "runId": "build-1", "agentType": "testing", \
"costDollars": "0.0125"}"""


@dataclass(frozen=True)
class Target:
    """Where usage is sent, and with which token."""

    site: str
    project_id: int
    token: str = PLACEHOLDER

    def address(self, endpoint: str) -> str:
        return self.site + reverse(endpoint)


@dataclass(frozen=True)
class Machine:
    """The folders of this server. Only people who can change a product see them; others see examples."""

    folder: str = "/srv/aicost"
    python: str = "/srv/aicost/.venv/bin/python3"

    @classmethod
    def current(cls) -> Self:
        # Under a WSGI server `sys.executable` may be the server itself.
        return cls(str(settings.BASE_DIR), str(Path(sys.prefix) / "bin" / "python3"))


def setups(target: Target, machine: Machine, *, now: datetime) -> dict[str, Example]:
    """`now` is when the event of the curl command occurs."""
    host = str(urlsplit(target.site).hostname)
    return {
        "opentelemetry": Example("Environment of the agents", opentelemetry(target)),
        "litellm": Example("config.yaml of the proxy", litellm(target)),
        "curl": Example("curl", curl(target, now)),
        "environment": Example("Environment", environment(target)),
        "python": Example("Python", python(target)),
        "claude": Example("Claude Code", cron("~/.claude/projects", target, machine)),
        "codex": Example("Codex", cron("~/.codex/sessions", target, machine)),
        "claude_copy": Example("Claude Code, on the agents' machine", copy(".claude/projects", host)),
        "codex_copy": Example("Codex, on the agents' machine", copy(".codex/sessions", host)),
        "copied": Example("Copied logs, on the aicost server", cron("~/agent-logs", target, machine)),
        "file": Example("usage.jsonl", FILE),
        "file_import": Example("On the aicost server", import_of("usage.jsonl", target, machine)),
    }


def opentelemetry(target: Target) -> str:
    """For traces only: metrics and logs keep going where they went before."""
    return "\n".join(
        (
            "export OTEL_TRACES_EXPORTER=otlp",
            f"export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={shlex.quote(target.address('traces'))}",
            "export OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf",
            # The specification says to percent-encode the value, and not every SDK accepts a plain space.
            f'export OTEL_EXPORTER_OTLP_TRACES_HEADERS="Authorization=Bearer%20{target.token}"',
        )
    )


def litellm(target: Target) -> str:
    return f"""\
litellm_settings:
  turn_off_message_logging: true  # prompts and answers are not needed here
  DEFAULT_BATCH_SIZE: 100  # must come before callbacks, which read it
  callbacks: ["aicost"]

callback_settings:
  aicost:
    callback_type: generic_api
    endpoint: {json.dumps(target.address("litellm"))}
    headers:
      Authorization: "Bearer {target.token}"
    max_retries: 5
    retry_delay: 1"""


def curl(target: Target, now: datetime) -> str:
    return post(target.address("usage"), _event(now)).replace(PLACEHOLDER, target.token)


def _event(now: datetime) -> dict[str, Any]:
    return {
        "eventId": f"first-{uuid.uuid4().hex[:12]}",
        "occurredAt": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "runId": "first-run",
        "agentType": "testing",
        "model": "claude-haiku-4-5",
        "inputTokens": 1200,
        "outputTokens": 340,
    }


def environment(target: Target) -> str:
    return f"export AICOST_TOKEN={'aicost_…' if target.token == PLACEHOLDER else target.token}"


def python(target: Target) -> str:
    """The token comes from the environment, because code gets shared and tokens must not be."""
    return f"""\
import json, os, uuid
from datetime import datetime, timezone
from urllib.request import Request, urlopen

def report(**usage):
    now = datetime.now(timezone.utc).isoformat()
    event = {{"eventId": uuid.uuid4().hex, "occurredAt": now, **usage}}
    headers = {{
        "Authorization": "Bearer " + os.environ["AICOST_TOKEN"],
        "Content-Type": "application/json",
    }}
    address = {json.dumps(target.address("usage"))}
    urlopen(Request(address, json.dumps(event).encode(), headers), timeout=10).close()

report(runId="first-run", agentType="testing", model="claude-haiku-4-5",
       inputTokens=1200, outputTokens=340)"""


def cron(logs: str, target: Target, machine: Machine) -> str:
    """Each folder has its own lock: `flock -n` skips a run only while the same folder is being imported."""
    lock = f"~/.aicost-{target.project_id}-{Path(logs).name}.lock"
    line = f"*/15 * * * * flock -n {lock} {import_of(logs, target, machine)} > /dev/null"
    return line.replace("%", r"\%")  # cron reads a plain one as the end of the line


def import_of(path: str, target: Target, machine: Machine) -> str:
    manage = str(Path(machine.folder) / "manage.py")
    program = f"{shlex.quote(machine.python)} {shlex.quote(manage)}"
    return f"{program} import_usage {path} --project {target.project_id}"


def copy(logs: str, host: str) -> str:
    return f"*/15 * * * * rsync -a ~/{logs}/ {host}:agent-logs/"
