"""Claude Code without a terminal: a tool, a resumed session, and telemetry if the variables switch it on."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

CLAUDE = Path(os.environ["NODE_FOLDER"]) / "node_modules" / ".bin" / "claude"
ALLOWED = ("--allowedTools", "Bash", "--model", "claude-sonnet-4-5", "--output-format", "json")


def ask(prompt: str, *arguments: str) -> Any:
    done = subprocess.run([CLAUDE, "-p", prompt, *ALLOWED, *arguments], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


session = ask('TOOL Bash {"command": "echo hello", "description": "Say hello"} END')["session_id"]
ask("Hello again", "--resume", session)
