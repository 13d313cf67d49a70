"""Settings of the test suite: those of the product, on the database that the run is for."""

import os

os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("HTTPS", "false")

from aicost.settings import *  # noqa: E402, F403
from aicost.settings import INSTALLED_APPS, STORAGES

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
# `tests` brings a `flush` that may empty the ledger; nothing else may.
INSTALLED_APPS = [*INSTALLED_APPS, "tests"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
