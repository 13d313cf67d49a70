"""Every page in each of its states: addresses that show a state, and interactions that lead to one."""

from collections.abc import Callable, Iterator
from typing import Any

from django.urls import reverse

from aicost.url_state import runs as run_urls
from aicost.url_state.sorting import STATES
from tests import every_url as every
from tests.browser import scenes
from tests.browser.conftest import expect
from tests.factories import PASSWORD

Products = dict[str, Any]


def dashboards(products: Products) -> Iterator[str]:
    """Pages that depend on the colour scheme and width: charts, tables, bars, agent colours, forms."""
    for query in ("?tab=trend", "?tab=recent&range=7"):
        yield scenes.url(products["busy"], query=query)
    yield "/"
    yield scenes.url(products["busy"], "budget")


def of_products(products: Products) -> Iterator[str]:
    """Pages of products with much usage, little and none."""
    busy, new, over = products["busy"], products["new"], products["over"]
    for query in ("", "?tab=runs", "?range=90", "?month=2026-02&range=7", "?month=2025-01"):
        yield scenes.url(busy, query=query)
    for name in ("over", "near", "unlimited"):
        yield scenes.url(products[name])
    for name in ("product", "runs", "revenue", "connect", "alerts", "members", "audit", "prices"):
        yield scenes.url(busy, name)
        yield scenes.url(new, name)
    yield scenes.url(busy, "runs", "?before=2026-01-01T00:00:00Z")
    for run in ("build-0", "build-3"):
        yield run_urls.run_url(busy, run)
    for name in ("alerts", "budget"):
        yield scenes.url(over, name)
    for query in ("?page=9", "?kind=denied", "?kind=restored"):
        yield scenes.url(busy, "alerts" if "page" in query else "audit", query)
    for name in ("ai-cost", "budget"):
        yield scenes.url(new, name)
    for name in ("ai-cost", "connect", "members"):
        yield scenes.url(products["archived"], name)


def of_people() -> Iterator[str]:
    """The portfolio with each of its filters, and a person's own settings."""
    for state in STATES:
        yield reverse("portfolio") + f"?state={state}"
    yield reverse("portfolio") + "?sort=name"
    for name in ("tokens", "security", "password", "api"):
        yield reverse(name)


def of_viewers(products: Products) -> Iterator[str]:
    """Pages that show viewers less than owners, or that viewers can't open."""
    for name in ("budget", "alerts", "connect", "members", "audit"):
        yield scenes.url(products["busy"], name)


def of_strangers() -> Iterator[str]:
    """Pages of people without a product."""
    for name in ("portfolio", "tokens", "security"):
        yield reverse(name)


def of_signed_out() -> Iterator[str]:
    yield reverse("sign-in")
    yield reverse("admin:login")


def refused(products: Products) -> Iterator[str]:
    yield scenes.url(products["busy"], query="?range=8")
    yield scenes.url(products["busy"], "product") + "no-such-page"


ADMIN_IN_SHORT = (
    *("index", "app_list", "auth_user_change", "billing_billingsetting_add", "billing_priceoverride_change"),
    *("products_agenttype_changelist", "products_auditentry_changelist", "products_auditentry_change"),
    *("products_project_change", "products_project_delete", "products_project_history"),
)
"""One page of each kind."""

NOT_PAGES_OF_THE_ADMIN = ("login", "logout", "password_change", "autocomplete", "jsi18n", "view_on_site")


def of_the_admin(*, whole: bool) -> Iterator[str]:
    for name, address in every.of_the_admin().items():
        page = name.removeprefix("admin:")
        if page in ADMIN_IN_SHORT or (whole and page not in NOT_PAGES_OF_THE_ADMIN):
            yield address


# ---- States after an interaction


def _a_failed_swap(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["busy"]))
    page.locator(".day").nth(20).focus()
    page.locator("#daily summary").click()
    page.context.set_offline(True)
    page.get_by_role("link", name="Top Pipelines").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.context.set_offline(False)


def _the_limit_in_place(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["busy"]))
    page.get_by_role("link", name="Change the limit").click()
    page.get_by_label("Monthly limit").fill("0.001")
    page.get_by_role("button", name="Save limit").click()
    expect(page.locator(".error")).to_be_visible()


def _a_wrong_limit(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["busy"], "budget"))
    page.get_by_label("Monthly limit").fill("-5")
    page.get_by_role("button", name="Save limit").click()
    expect(page.locator(".error")).to_be_visible()


def _a_saved_limit(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["busy"], "budget"))
    page.get_by_label("Monthly limit").fill("250")
    page.get_by_role("button", name="Save limit").click()
    expect(page.get_by_role("status")).to_be_visible()


def _wrong_alerts(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["busy"], "alerts"))
    page.locator("[name=thresholds]").fill("ten")
    page.locator("[name=webhook_url]").fill("ftp://example.com")
    page.get_by_role("button", name="Save alerts").click()
    expect(page.locator(".error")).to_have_count(2)


def _the_signing_secret(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["busy"], "alerts"))
    page.get_by_role("button", name="Show the signing secret").click()
    expect(page.get_by_text("The signing secret changes only when")).to_be_visible()


def _an_unknown_member(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["busy"], "members"))
    page.locator("summary", has_text="Remove").first.click()
    page.locator("[name=person]").fill("no such person")
    page.get_by_role("button", name="Add member").click()
    expect(page.locator(".error")).to_be_visible()


def _a_setup(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["new"], "connect"))
    page.get_by_role("button", name="Create a token for this product").click()
    expect(page.get_by_text("” created")).to_be_visible()


def _a_new_token(page: Any, products: Products) -> None:
    page.goto(reverse("tokens"))
    page.get_by_label("Name").fill("Mine")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_role("status")).to_be_visible()


def _a_wrong_token(page: Any, products: Products) -> None:
    page.goto(reverse("tokens"))
    page.locator("summary", has_text="Revoked and expired").click()
    page.get_by_label("ingest").check()
    page.get_by_role("button", name="Create token").click()
    expect(page.locator(".error").first).to_be_visible()


def _a_wrong_password(page: Any, products: Products) -> None:
    page.goto(reverse("password"))
    for field in page.locator("[type=password]").all():
        field.fill("12345678")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator(".error").first).to_be_visible()


def _a_form_out_of_date(page: Any, products: Products) -> None:
    page.goto(scenes.url(products["busy"], "budget"))
    page.context.clear_cookies(name="csrftoken")
    page.get_by_role("button", name="Save limit").click()
    expect(page.get_by_role("heading", name="This form is out of date")).to_be_visible()


INTERACTIONS: dict[str, Callable[[Any, Products], None]] = {
    "a failed swap": _a_failed_swap,
    "the limit in place, with an error": _the_limit_in_place,
    "a wrong limit": _a_wrong_limit,
    "a saved limit": _a_saved_limit,
    "wrong alerts": _wrong_alerts,
    "the signing secret": _the_signing_secret,
    "an unknown member": _an_unknown_member,
    "a setup with its token": _a_setup,
    "a new token": _a_new_token,
    "a wrong token": _a_wrong_token,
    "a wrong password": _a_wrong_password,
    "a form that is out of date": _a_form_out_of_date,
}


def sign_in_wrongly(page: Any, name: str) -> None:
    page.goto(reverse("sign-in"))
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(f"not {PASSWORD}")
    page.get_by_role("button", name="Sign in").click()
