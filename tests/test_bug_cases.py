"""Inputs modelled on public reports about usage trackers leave the right figures in the ledger."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F, Sum
from django.test import Client

from billing import verification
from billing.imports.importer import import_paths
from billing.models import CreditTransaction, DailySpend
from products import tokens
from products.models import Project

CASES = Path(__file__).resolve().parents[2] / "shared" / "data" / "bug_cases"

NAMES = sorted(path.name for path in CASES.iterdir()) if CASES.exists() else []

pytestmark = pytest.mark.skipif(not NAMES, reason="the cases are kept outside the product")


@pytest.fixture
def post(client: Client, project: Project, owner: Any) -> Any:
    _, token = tokens.issue(owner, project=project, scope="ingest")

    def send(path: Path, address: str = "") -> None:
        address = address or "/" + path.stem.partition("-")[2].replace("-", "/")
        headers = {"Authorization": f"Bearer {token}"}
        client.post(address, path.read_bytes(), content_type="application/json", headers=headers)

    return send


def booked(project: Project) -> tuple[int, int, Decimal]:
    """Rows, tokens and dollars that stand."""
    lines = CreditTransaction.objects.deductions().filter(project=project)
    counts = F("input_tokens") + F("cache_read_tokens") + F("cache_write_tokens") + F("output_tokens")
    sums = lines.aggregate(tokens=Sum(counts, default=0), nanos=Sum("amount_nanos", default=0))
    return lines.count(), sums["tokens"], Decimal(sums["nanos"]).scaleb(-9)


def give(project: Project, folder: Path, post: Any) -> None:
    """Post the files whose names begin with a number, to the path in their names; import all others."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    posted = [path for path in files if path.name.partition("-")[0].isdigit() and path.suffix == ".json"]
    for path in posted:
        post(path)
    if not posted:
        import_paths(project, [folder])


def expected_of(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((CASES / name / "expected.json").read_text())
    return answer


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("7")])
def test_a_reported_case_comes_out_right(name: str, project: Project, post: Any) -> None:
    for _ in range(2):
        give(project, CASES / name / "input", post)
    expected = expected_of(name)
    rows, counted, dollars = booked(project)
    assert (rows, counted) == (expected.get("rows", rows), expected.get("tokens", counted))
    assert dollars == pytest.approx(Decimal(str(expected["dollars"])), abs=Decimal("0.000001"))
    with verification.snapshot():
        assert list(verification.differences(project)) == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("7")])
def test_days_and_months_are_those_of_the_zone(name: str, project: Project, post: Any) -> None:
    expected = expected_of(name)
    Project.objects.filter(pk=project.pk).update(time_zone=expected["zone"])
    folder = CASES / name / "input"
    for path in folder.iterdir():  # some are arrays of usage events without an address in their names
        post(path, "/api/v1/usage")
    spent: dict[str, float] = {}
    for day, nanos in DailySpend.objects.filter(project=project).values_list("day", "cost_nanos"):
        key = f"{day:%Y-%m}" if "month" in expected else f"{day:%Y-%m-%d}"
        spent[key] = spent.get(key, 0) + nanos / 1e9
    assert spent == expected.get("month", expected.get("days"))
