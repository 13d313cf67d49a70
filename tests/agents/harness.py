"""Run a set-up against the fake APIs and the product, and read what each of them counted."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.agents import environments
from tests.agents.catalogue import SetUp
from tests.agents.comparison import Booked
from tests.agents.environments import FOLDER

PATIENCE = 180
"""Seconds after which a set-up is ended."""


def run(set_up: SetUp, home: Path, apis: str, product: str, token: str) -> subprocess.CompletedProcess[str]:
    """Run the script to its end. Its addresses and keys are in the variables that libraries read."""
    return subprocess.run(
        [*_command(set_up), "-P", str(set_up.path)],
        env=_variables(set_up, home, apis, product, token),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def _command(set_up: SetUp) -> list[str]:
    if set_up.is_locked or _is_node(set_up):
        return [sys.executable]
    return [str(environments.python(set_up.folder))]


def _is_node(set_up: SetUp) -> bool:
    return (FOLDER / set_up.folder / "package.json").exists()


def _variables(set_up: SetUp, home: Path, apis: str, product: str, token: str) -> dict[str, str]:
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "FAKE_APIS": apis,
        "ANTHROPIC_BASE_URL": apis,
        "ANTHROPIC_API_KEY": "none",
        "OPENAI_BASE_URL": f"{apis}/v1",
        "OPENAI_API_KEY": "none",
        "GEMINI_API_KEY": "none",
        "PRODUCT": product,
        "INGEST_TOKEN": token,
        "OTEL_EXPORTER_OTLP_ENDPOINT": product,
        "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{token}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "a-set-up",
    }
    if _is_node(set_up):
        variables["NODE_FOLDER"] = str(environments.node_modules(set_up.folder))
    own = {name: value.format(token=token) for name, value in set_up.variables.items()}
    return variables | own


def booked(project: Any) -> list[Booked]:
    """The deductions that stand."""
    from billing.models import CreditTransaction

    rows = CreditTransaction.objects.deductions().filter(project=project).select_related("job__agent_type")
    return [
        Booked(
            row.model,
            row.input_tokens,
            row.cache_read_tokens,
            row.cache_write_tokens,
            row.cache_write_1h_tokens,
            row.output_tokens,
            Decimal(row.amount_nanos) / 10**9,
            row.job.agent_type.slug if row.job else "",
        )
        for row in rows.order_by("occurred_at", "pk")
    ]


def versions(set_up: SetUp) -> str:
    """The exact versions of the packages that matter, as `name version, name version`."""
    if set_up.is_locked:
        found = {name: importlib.metadata.version(name) for name in set_up.packages}
    elif _is_node(set_up):
        lock = json.loads((FOLDER / set_up.folder / "package-lock.json").read_text())
        found = {name: lock["packages"][f"node_modules/{name}"]["version"] for name in set_up.packages}
    else:
        listed = (FOLDER / set_up.folder / "requirements.txt").read_text()
        pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", listed, re.MULTILINE))
        found = {name: pinned[name] for name in set_up.packages}
    return ", ".join(f"{name} {version}" for name, version in found.items())
