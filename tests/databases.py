"""Each test process gets a copy of a migrated database: migrating an empty one takes about ten seconds.

The first process to need it migrates one, while the others wait. It stays for their copies and for later
runs: on SQLite in `.pytest_cache`, on PostgreSQL as a database of the server. Its name has a digest of what
it was made of, so it is made anew once a migration, a model or a trigger changes.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import django
from django.apps import apps
from django.conf import settings
from django.db import connection

from tests import citus

FOLDER = Path(__file__).resolve().parent.parent / ".pytest_cache" / "migrated"
PREFIX = "aicost_migrated_"
MADE_OF = ("apps.py", "db/**/*.py", "migrations/*.py", "models.py", "models/**/*.py")
"""What decides how a migrated database looks, in the folder of each installed app."""


def create() -> str:
    """Create this process's database; return the name to restore when it is destroyed."""
    if citus.in_use():  # a copy would not reach the cluster's other machines
        before = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        return before
    copy = _copy_file if connection.vendor == "sqlite" else _copy_on_server
    target = connection.creation._get_test_db_name()
    with _alone():
        copy(target)
    return _use(target)


def destroy(before: str) -> None:
    connection.creation.destroy_test_db(before, verbosity=0)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other process makes or copies a migrated database."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy_file(target: str) -> None:
    source = FOLDER / f"{_name()}.sqlite3"
    if not source.exists():
        for outdated in FOLDER.glob(f"{PREFIX}*"):
            outdated.unlink()
        draft = f"{source}.draft"
        _migrate(draft)
        os.replace(draft, source)
    shutil.copyfile(source, target)


def _copy_on_server(target: str) -> None:
    source = _name()
    with connection.creation._nodb_cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX])
        present = {name for (name,) in cursor.fetchall()}
        if source not in present:
            for outdated in present:
                cursor.execute(f'DROP DATABASE "{outdated}"')
            draft = f"{source}_draft"
            _migrate(draft)
            cursor.execute(f'ALTER DATABASE "{draft}" RENAME TO "{source}"')
        cursor.execute(f'DROP DATABASE IF EXISTS "{target}"')
        cursor.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')


def _migrate(name: str) -> None:
    """Migrate a new database. It has another name until it is complete, in case the process is ended."""
    test = connection.settings_dict["TEST"]
    before, usual = connection.settings_dict["NAME"], test["NAME"]
    test["NAME"] = name
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    finally:
        connection.close()
        test["NAME"] = usual
        _use(before)


def _use(name: str) -> str:
    """Connect to this database from now on; return the name of the one before."""
    connection.close()
    before: str = connection.settings_dict["NAME"]
    settings.DATABASES[connection.alias]["NAME"] = connection.settings_dict["NAME"] = name
    return before


def _name() -> str:
    digest = sha256(django.__version__.encode())
    for app in sorted(apps.get_app_configs(), key=lambda app: app.name):
        for path in sorted(path for pattern in MADE_OF for path in Path(app.path).glob(pattern)):
            digest.update(b"%s %s\0" % (app.name.encode(), path.relative_to(app.path).as_posix().encode()))
            digest.update(path.read_bytes())
    return PREFIX + digest.hexdigest()[:16]
