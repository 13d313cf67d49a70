"""Codex without a terminal: a tool, and a resumed session."""

import os
import subprocess
from pathlib import Path

CODEX = Path(os.environ["NODE_FOLDER"]) / "node_modules" / ".bin" / "codex"
HOME = Path(os.environ["HOME"])
(HOME / ".codex").mkdir()
(HOME / ".codex" / "config.toml").write_text(
    f"""model = "gpt-5-mini"
model_provider = "fake"
[model_providers.fake]
name = "fake"
base_url = "{os.environ["OPENAI_BASE_URL"]}"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
"""
)
ALWAYS = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
order = 'TOOL shell_command {"command": "echo hello"} END'
subprocess.run([CODEX, "exec", *ALWAYS, order], check=True)
subprocess.run([CODEX, "exec", "resume", *ALWAYS, "--last", "Hello again"], check=True)
