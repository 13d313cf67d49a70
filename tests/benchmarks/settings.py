"""The product's settings, with one more URL that the benchmarks compare everything else with."""

from aicost.settings import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.urls"
