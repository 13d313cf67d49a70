"""Each set-up: what the fake APIs billed is what the product booked."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from billing import verification
from products import tokens
from tests.agents import harness
from tests.agents.catalogue import SET_UPS, SetUp
from tests.agents.comparison import Result, faults
from tests.agents.fake_apis import serving
from tests.agents.relay import relaying
from tests.faults.server import own_database, running

EVIDENCE = Path(os.environ.get("EVIDENCE", "test-results/agents"))
"""Where the requests of each set-up to the product are kept."""

CASES = [pytest.param(one, id=str(one), marks=[] if one.is_quick else pytest.mark.agents) for one in SET_UPS]


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("set_up", CASES)
def test_every_call_is_booked_as_it_was_billed(
    set_up: SetUp, project: Any, owner: Any, tmp_path: Path, results: list[Result]
) -> None:
    token = tokens.issue(owner, project=project, scope="ingest")[1]
    with running(own_database()) as [server], serving(set_up.faults) as apis, relaying(server.port) as relay:
        done = harness.run(set_up, tmp_path, apis.url, relay.url, token)
    relay.save(EVIDENCE / f"{str(set_up).replace('/', '-')}.json")
    assert done.returncode == 0, done.stdout + done.stderr
    if set_up.imports:
        call_command("import_usage", str(tmp_path / set_up.imports), project=str(project.pk))
    billed, booked = apis.bill.calls, harness.booked(project)
    found = faults(billed, booked, set(set_up.agents))
    results.append(Result(str(set_up), harness.versions(set_up), billed, booked, found))
    assert len(billed) == set_up.calls, done.stdout + done.stderr
    assert found == []
    assert list(verification.differences(project)) == []
