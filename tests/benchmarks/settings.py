"""The product's settings, with one address more: what the benchmarks measure everything else against."""

from aicost.settings import *  # noqa: F403

ROOT_URLCONF = "tests.benchmarks.urls"
