"""Run a command on a cluster: `python -m tests.with_citus pytest -n 2`.

`CITUS_URL` names a database of the coordinator that has the extension and knows the cluster's machines. Each
test process creates a database of its own beside it, on every machine. Without `CITUS_URL` nothing is run.
"""

import os
import sys
from collections.abc import Sequence

from tests import citus
from tests.with_postgres import run


def main(command: Sequence[str]) -> int:
    if not command:
        sys.stderr.write("usage: python -m tests.with_citus COMMAND…\n")
        return 2
    if not citus.URL:
        sys.stdout.write("The run on a cluster is skipped: CITUS_URL is not set.\n")
        return 0
    os.environ["DISTRIBUTED"] = "true"
    return run(command, citus.URL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
