"""The benchmarks' settings with connections from Django's pool, instead of one kept by each thread."""

from tests.benchmarks.settings import *  # noqa: F403
from tests.benchmarks.settings import DATABASES

DATABASES["default"].update(CONN_MAX_AGE=0, CONN_HEALTH_CHECKS=False)
DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 8}
