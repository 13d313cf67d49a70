"""The generated ledger that benchmarks read is one that the product could have written."""

import os
import subprocess
import sys

import pytest

from tests.with_postgres import VARIABLE, server

MAKE = ("tests.benchmarks.large_ledger", "--rows", "4000", "--prove", "--then")
ASK = (
    "tests.benchmarks.reads",
    "--rows",
    "4000",
    "--rounds",
    "1",
    "--plain-rounds",
    "1",
    "--rivals",
    "plain join",
)


@pytest.mark.long
@pytest.mark.once
def test_a_generated_ledger_verifies_and_agrees_with_the_plain_join() -> None:
    with server() as url:
        command = [sys.executable, "-m", *MAKE, sys.executable, "-m", *ASK]
        done = subprocess.run(
            command, env={**os.environ, VARIABLE: url}, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "The ledger of 200 products and everything computed from it agree." in done.stdout
    assert "| plain join, 4,000 rows |" in done.stdout
