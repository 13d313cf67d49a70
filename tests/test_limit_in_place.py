"""The limit is set on the dashboard itself, where htmx runs; without it, on its own page."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.budgets import limits
from billing.models import BudgetChange
from products.models import Project
from tests.factories import usage

pytestmark = pytest.mark.usefixtures("clock")


class Browser:
    """Sends as htmx does from a dashboard in some state."""

    def __init__(self, user: Any, project: Project, query: str = "") -> None:
        self.client = Client()
        self.client.force_login(user)
        self.address = reverse("budget-limit", args=[project.pk])
        page = f"http://testserver{reverse('ai-cost', args=[project.pk])}{query}"
        self.headers = {"HX-Request": "true", "HX-Current-URL": page}

    def open(self) -> str:
        response = self.client.get(self.address, headers=self.headers)
        assert response.status_code == 200
        return response.content.decode()

    def save(self, **fields: str) -> Any:
        return self.client.post(self.address, fields, headers=self.headers)


def limit(project: Project) -> int | None:
    return limits.limits_now([project]).get(project.pk)


def test_the_dashboard_opens_the_form_in_its_place(client: Client, project: Project, owner: Any) -> None:
    usage(project)
    limits.set_limit(project, Decimal("99.50"), by=owner)
    client.force_login(owner)
    page = client.get(reverse("ai-cost", args=[project.pk])).content.decode()
    address = reverse("budget-limit", args=[project.pk])
    assert f'hx-get="{address}" hx-target="#limit-form"' in page
    assert '<div id="limit-form" hidden></div>' in page
    form = Browser(owner, project).open()
    assert f'hx-post="{address}"' in form
    assert 'value="99.5"' in form
    assert f'action="{reverse("budget", args=[project.pk])}"' in form


def test_a_saved_limit_comes_back_as_the_month_that_is_shown(project: Project, manager: Any) -> None:
    usage(project, costDollars="9")
    answer = Browser(manager, project, "?tab=trend&range=7").save(limit="10", note="for March")
    assert (answer.status_code, answer["HX-Retarget"]) == (200, "#month")
    month = answer.content.decode()
    assert month.startswith('<div class="page" id="month">')
    assert "The limit is now $10.00 a month." in month
    assert "Over 80" in month
    assert "Last 7 days" in month
    change = BudgetChange.objects.get(project=project)
    assert (change.new_limit_nanos, change.changed_by, change.note) == (10 * 10**9, manager, "for March")


def test_it_is_cleared_there_too(project: Project, owner: Any) -> None:
    limits.set_limit(project, Decimal(5), by=owner)
    answer = Browser(owner, project).save(clear="1", limit="")
    assert "The limit has been cleared." in answer.content.decode()
    assert limit(project) is None


@pytest.mark.parametrize("wrong", ["", "0", "-1", "NaN", "1e400", "0.001", "ten", "1000000000000000"])
def test_a_wrong_limit_brings_the_form_back_and_stores_nothing(
    project: Project, owner: Any, wrong: str
) -> None:
    answer = Browser(owner, project).save(limit=wrong)
    assert answer.status_code == 422
    assert "HX-Retarget" not in answer
    assert '<p class="error" id="id_limit_error">' in answer.content.decode()
    assert limit(project) is None


def test_a_viewer_is_told_who_may_and_may_not_save(project: Project, viewer: Any) -> None:
    browser = Browser(viewer, project)
    assert "Only the owner and managers of this product can change its limit." in browser.open()
    assert browser.save(limit="10").status_code == 403
    assert limit(project) is None


def test_a_stranger_finds_no_form(project: Project, stranger: Any) -> None:
    browser = Browser(stranger, project)
    assert browser.client.get(browser.address, headers=browser.headers).status_code == 404
    assert browser.save(limit="10").status_code == 404


def test_opened_as_a_page_it_leads_to_the_budgets_own(client: Client, project: Project, owner: Any) -> None:
    client.force_login(owner)
    answer = client.get(reverse("budget-limit", args=[project.pk]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("budget", args=[project.pk]))


@pytest.mark.parametrize("query", ["?month=2099-01", "?tab=none", "?range=\ud800"])
def test_an_odd_address_of_the_sender_is_no_obstacle(project: Project, owner: Any, query: str) -> None:
    browser = Browser(owner, project)
    browser.headers["HX-Current-URL"] = f"http://testserver/x{query.encode('ascii', 'replace').decode()}"
    assert browser.save(limit="10").status_code == 200
    assert limit(project) == 10 * 10**9


def test_a_product_without_a_limit_offers_to_set_one_in_place(
    client: Client, project: Project, owner: Any
) -> None:
    usage(project)
    client.force_login(owner)
    page = client.get(reverse("ai-cost", args=[project.pk])).content.decode()
    assert page.count(reverse("budget-limit", args=[project.pk])) == 1
