"""Settings for the tests: the product's, with the test database.

`TEST_DATABASE_URL` names the server (`python -m tests.with_postgres` sets it). Without it the tests
run on SQLite, in a file: a database in memory would be locked as a whole by each of several threads.
"""

import os
import tempfile

os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("HTTPS", "false")
# Never use the database named by the environment.
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL") or "sqlite:///:memory:"

from aicost.settings import *  # noqa: F403
from aicost.settings import DATABASES, INSTALLED_APPS, STORAGES
from tests import citus

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # No test cuts the power, and tests that kill a server run it with the product's settings.
    options = DATABASES["default"]["OPTIONS"]
    options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
    # The process id keeps two runs on one machine apart. It is the name from the start: were it one in
    # memory until the tests' database is made, a live server made before would share a connection with the
    # test, and two threads that use one connection at once end the process.
    if not os.environ.get("TEST_DATABASE_URL"):  # which a test's own process has from the test
        DATABASES["default"]["NAME"] = f"{tempfile.gettempdir()}/aicost-tests-{os.getpid()}.sqlite3"
    DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"]}

if citus.in_use():
    DATABASES["default"]["ENGINE"] = "tests.citus"
    DISTRIBUTED = True

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
# The app `tests` has a `flush` that may empty the ledger; nothing else may.
INSTALLED_APPS = [*INSTALLED_APPS, "tests"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_AUTOREFRESH = True  # serves static files from their sources; nothing is collected
