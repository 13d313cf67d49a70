"""Tests on a cluster: Django's PostgreSQL backend, but each test database is created on every machine.

`CITUS_URL` names a database of the coordinator that knows the cluster's machines.
"""

import os

URL = os.environ.get("CITUS_URL", "")
"""The cluster's; "" if there is none."""
SHARDS = 4
"""Per table. Few, because creating and emptying each one takes time."""


def in_use() -> bool:
    """Whether this test run is on the cluster."""
    return bool(URL) and os.environ.get("TEST_DATABASE_URL") == URL
