"""Tests on a cluster: Django's PostgreSQL, but each database of the tests is made on every machine of it.

`CITUS_URL` names a database of the coordinator in which the cluster's machines are known.
"""

import os

URL = os.environ.get("CITUS_URL", "")
"""The cluster's; "" where there is none."""
SHARDS = 4
"""A table's; few, for each takes its time to be made and emptied."""


def in_use() -> bool:
    """Whether this run of the tests is for the cluster."""
    return bool(URL) and os.environ.get("TEST_DATABASE_URL") == URL
