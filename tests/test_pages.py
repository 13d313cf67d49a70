"""The pages: who can see them, what they show, and that fragments are parts of them."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ValidationError
from django.db import connection
from django.http import QueryDict
from django.template.loader import render_to_string
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aicost.url_state import runs as run_urls
from aicost.url_state.dashboard import DashboardState
from billing.budgets import limits
from tests.conftest import NOW
from tests.factories import event, send, usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

NAMES = ("product", "ai-cost", "budget", "alerts", "members", "revenue", "connect", "runs")
FRAGMENTS = {"month": "ai-cost-month", "daily": "ai-cost-daily", "tabs": "ai-cost-tabs"}
TABS = ("agents", "trend", "runs", "recent")
ODD_RUN_IDS = (
    *(
        "plain",
        "a/b/c",
        "with space",
        "q?x=1&y",
        "h#frag",
        "üñí/日本",
        "100%",
        "%2e%2e",
        "a+b",
        "<script>",
        "a\\b",
    ),
    *(".", "..", "a/../b", "./x", "/lead", "trail/", "a//b", "x" * 200, "\u202etxt"),
)


def url(project: Any, name: str) -> str:
    return reverse(name, args=[project.pk])


def text(response: Any) -> str:
    return unescape(response.content.decode())


@pytest.fixture
def client_of() -> Any:
    """Returns a client that is signed in as the user."""

    def sign_in(user: Any) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def owners(client_of: Any, owner: Any) -> Client:
    return client_of(owner)


@pytest.fixture
def busy(project: Any) -> Any:
    """A product with runs, failures, refunds, unpriced usage and credits in two months."""
    send(project, *_busy_events())
    project.refresh_from_db()
    return project


def _busy_events() -> Iterator[Any]:
    for day in range(40):
        at = (NOW - timedelta(days=day, minutes=5)).isoformat()
        fields = {"occurredAt": at, "runId": f"run-{day}", "jobId": "job", "trigger": "push"}
        agent = ("testing", "research", "security")[day % 3]
        status = "failed" if day % 7 == 0 else "succeeded"
        yield event(**fields, agentType=agent, jobStatus=status, costDollars=str(1 + day), inputTokens=1000)
    yield event(runId="run-0", jobId="odd", costDollars=None, model="no-such-model", inputTokens=5)
    yield event(kind="refund", runId="run-3", jobId="job", costDollars="0.5")
    yield event(kind="purchase", costDollars="500")


# ---- Who sees what


@pytest.mark.parametrize("name", [*NAMES, *FRAGMENTS.values()])
def test_members_see_every_page_of_their_product(
    client_of: Any, busy: Any, owner: Any, manager: Any, viewer: Any, superuser: Any, name: str
) -> None:
    for person in (owner, manager, viewer, superuser):
        assert client_of(person).get(url(busy, name)).status_code == 200


@pytest.mark.parametrize("name", [*NAMES, *FRAGMENTS.values()])
def test_strangers_and_staff_get_the_same_404_as_for_a_missing_product(
    client_of: Any, busy: Any, stranger: Any, staff: Any, name: str
) -> None:
    for person in (stranger, staff):
        client = client_of(person)
        theirs, missing = client.get(url(busy, name)), client.get(reverse(name, args=[999_999]))
        assert theirs.status_code == missing.status_code == 404
        assert theirs.content == missing.content


def test_strangers_do_not_see_runs_or_the_product_in_their_portfolio(
    client_of: Any, busy: Any, stranger: Any
) -> None:
    client = client_of(stranger)
    assert client.get(run_urls.run_url(busy, "run-1")).status_code == 404
    assert busy.name not in text(client.get("/"))


@pytest.mark.parametrize("name", NAMES)
def test_anonymous_users_are_sent_to_sign_in(client: Client, project: Any, name: str) -> None:
    response = client.get(url(project, name))
    assert response.status_code == 302
    assert response["Location"].startswith(reverse("sign-in"))


def test_a_fragment_request_with_an_expired_session_loads_the_sign_in_page(
    client: Client, project: Any
) -> None:
    page = "http://testserver" + url(project, "ai-cost")
    response = client.get(url(project, "ai-cost-tabs"), HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL=page)
    assert response.status_code == 200
    assert response["HX-Redirect"].startswith(reverse("sign-in"))


@pytest.mark.parametrize("name", NAMES)
def test_caches_may_not_store_a_page(owners: Client, busy: Any, name: str) -> None:
    header = owners.get(url(busy, name))["Cache-Control"]
    assert "private" in header
    assert "no-store" in header


def test_the_link_to_the_admin_is_for_staff(client_of: Any, staff: Any, owner: Any) -> None:
    assert reverse("admin:index") in text(client_of(staff).get("/"))
    assert reverse("admin:index") not in text(client_of(owner).get("/"))


# ---- Fragments and state


@pytest.mark.parametrize("query", ["", "?range=90", "?month=2026-02", "?tab=trend&range=7&month=2026-01"])
@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_a_fragment_is_a_part_of_its_page(owners: Client, busy: Any, fragment: str, query: str) -> None:
    _assert_contained(owners, busy, fragment, query)


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_is_a_part_of_its_page(owners: Client, busy: Any, tab: str) -> None:
    _assert_contained(owners, busy, "tabs", f"?tab={tab}")


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_fragments_of_an_empty_product_are_parts_of_its_page(
    owners: Client, project: Any, fragment: str
) -> None:
    _assert_contained(owners, project, fragment, "")


def _assert_contained(client: Client, project: Any, fragment: str, query: str) -> None:
    page = client.get(url(project, "ai-cost") + query)
    part = client.get(url(project, FRAGMENTS[fragment]) + query)
    assert part.status_code == 200
    assert len(part.content) > 200
    assert part.content in page.content


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("tab=nonsense", "tab"),
        ("tab=", "tab"),
        ("range=8", "range"),
        ("range=07", "range"),
        ("month=2026-13", "month"),
        ("month=2026-04", "month"),
        ("month=1999-12", "month"),
        ("month=", "month"),
    ],
)
@pytest.mark.parametrize("name", ["ai-cost", *FRAGMENTS.values()])
def test_the_error_for_an_invalid_url_names_the_parameter(
    owners: Client, project: Any, name: str, query: str, named: str
) -> None:
    response = owners.get(f"{url(project, name)}?{query}")
    assert response.status_code == 400
    assert f"<code>{named}</code>" in text(response)


def test_an_invalid_cursor_is_refused(owners: Client, project: Any) -> None:
    for before in ("yesterday", "2026-03-01T00:00:00", ""):
        assert owners.get(url(project, "runs"), {"before": before}).status_code == 400


def test_each_state_has_one_url(project: Any) -> None:
    state = DashboardState.read(project, QueryDict("tab=agents&range=30&month=2026-03"))
    assert state.page_url == url(project, "ai-cost")
    other = state.to(tab="trend", days=7, past_month=NOW.date().replace(month=1, day=1))
    assert other.page_url == url(project, "ai-cost") + "?tab=trend&range=7&month=2026-01"
    assert DashboardState.read(project, QueryDict(other.page_url.partition("?")[2])) == other
    assert other.to(past_month=NOW.date().replace(day=1)).past_month is None


def test_an_invalid_state_is_refused(project: Any) -> None:
    with pytest.raises(ValidationError, match="range"):
        DashboardState.read(project, QueryDict("range=31"))


@pytest.mark.parametrize("query", ["", "?tab=recent&range=7&month=2026-02"])
def test_every_link_of_the_dashboard_works_with_and_without_htmx(
    owners: Client, busy: Any, query: str
) -> None:
    page = text(owners.get(url(busy, "ai-cost") + query))
    links = re.findall(r'href="([^"]+)" hx-get="([^"]+)" hx-push-url="([^"]+)"', page)
    assert len(links) >= 9
    for href, fragment, pushed in links:
        assert href == pushed
        assert owners.get(fragment).content in owners.get(href).content


def test_the_month_stepper_ends_at_the_current_month(owners: Client, busy: Any) -> None:
    page = text(owners.get(url(busy, "ai-cost")))
    assert "?month=2026-02" in page
    assert "month=2026-04" not in page
    assert '<a id="month-next"' not in page
    assert '<a id="month-next"' in text(owners.get(url(busy, "ai-cost") + "?month=2026-02"))


def test_only_the_open_tab_is_rendered(owners: Client, busy: Any) -> None:
    page = text(owners.get(url(busy, "ai-cost") + "?tab=trend"))
    assert "column-bar" in page
    assert "stack agents" not in page
    assert "stack recent" not in page


# ---- What the dashboard shows


def test_the_cards_show_the_month_and_its_change(owners: Client, project: Any) -> None:
    limits.set_limit(project, Decimal(100), by=project.owner, at=NOW - timedelta(days=60))
    usage(project, costDollars="40", inputTokens=1_200_000, occurredAt="2026-02-17T12:00:00Z")
    usage(project, costDollars="50", inputTokens=600_000, occurredAt="2026-03-01T00:00:00Z")
    page = text(owners.get(url(project, "ai-cost")))
    cards = _cards(page)
    assert "$50.00" in cards["Total Spend"]
    assert "5,000 credits" in cards["Total Spend"]
    assert "+25.0\u00a0%" in cards["Total Spend"]
    assert "up vs 1–17 Feb" in cards["Total Spend"]
    assert 'value="600000" title="600,000 tokens">600.0K' in cards["Token Usage"]
    assert "\u221250.0\u00a0%" in cards["Token Usage"]
    assert "+10.0\u00a0pts" in cards["Budget Used"]


def test_a_change_from_nothing_is_new(owners: Client, project: Any) -> None:
    usage(project)
    assert "new" in _cards(text(owners.get(url(project, "ai-cost"))))["Total Spend"]


def _cards(page: str) -> dict[str, str]:
    found = re.findall(r'<div class="kpi">\s*<dt>([^<]+)</dt>(.*?)</div>', page, re.DOTALL)
    assert [label for label, _ in found] == ["Total Spend", "Token Usage", "Agent Jobs", "Budget Used"]
    return dict(found)


def test_without_a_limit_the_fourth_card_links_to_the_budget_page(owners: Client, project: Any) -> None:
    page = text(owners.get(url(project, "ai-cost")))
    card = _cards(page)["Budget Used"]
    assert "—" in card
    assert url(project, "budget") in card
    assert "<meter" not in page


@pytest.mark.parametrize(
    ("spent", "state", "words", "percent"),
    [
        ("79.999", "green", "On track", "79.9"),
        ("80", "yellow", "Review high-cost agents", "80.0"),
        ("99.999", "yellow", "Review high-cost agents", "99.9"),
        ("100", "red", "Limit reached", "100.0"),
        ("250", "red", "Limit reached", "250.0"),
    ],
)
def test_the_budget_bar_says_its_state_in_words(
    owners: Client, project: Any, spent: str, state: str, words: str, percent: str
) -> None:
    limits.set_limit(project, Decimal(100), by=project.owner)
    usage(project, costDollars=spent)
    page = text(owners.get(url(project, "ai-cost")))
    assert f"budget is-{state}" in page
    assert words in page
    assert f"<b>{percent}\u00a0%</b>" in page
    value = re.search(r'<meter [^>]*value="([\d.]+)"', page)
    assert value
    assert float(value[1]) == min(float(spent), 100)


def test_unpriced_usage_is_counted_and_never_shown_as_free(owners: Client, project: Any) -> None:
    usage(project, costDollars=None, model="no-such-model", inputTokens=10)
    page = text(owners.get(url(project, "ai-cost") + "?tab=recent"))
    assert "has no known price: its tokens and job are" in page
    assert '<bdi class="clip" title="no-such-model">no-such-model</bdi>' in page
    assert re.search(r'<td class="num at-cost unpriced">unpriced</td>', page)
    run = text(owners.get(run_urls.run_url(project, "run-1")))
    assert '<td class="num at-cost unpriced">unpriced</td>' in run


def test_the_model_with_the_most_calls_without_a_price_is_named_and_the_others_are_counted(
    owners: Client, project: Any
) -> None:
    for number in range(9):
        usage(project, costDollars=None, model=f"model-{number}", inputTokens=10)
    usage(project, costDollars=None, model="model-8", inputTokens=1_000)
    usage(project, costDollars=None, model=None, inputTokens=1)
    for page in ("ai-cost", "product"):
        shown = " ".join(text(owners.get(url(project, page))).split())
        notice = shown[shown.index("unpriced-models") :]
        notice = re.sub(r"<[^>]*>", "", notice[: notice.index("</p>")]).partition(">")[2].strip()
        assert notice == (
            "11 calls of model-8 and 9 other models have no known price: their tokens and jobs are counted, "
            "their cost isn't. Prices"
        )
        assert f'<a href="{url(project, "prices")}">' in shown


def test_the_chart_marks_today_and_draws_refunds_at_the_bottom(owners: Client, project: Any) -> None:
    usage(project, costDollars="2")
    yesterday = (NOW - timedelta(days=1)).isoformat()
    usage(project, kind="refund", occurredAt=yesterday, jobId="job-1", costDollars="3")
    page = text(owners.get(url(project, "ai-cost-daily") + "?range=7"))
    assert page.count('class="day') == 7
    assert page.count('class="day partial"') == 1
    assert "Mon 16 Mar 2026</span> <b>\u2212$3.00</b>" in page
    assert page.count('<rect y="100%"') == 6


def test_a_month_before_any_usage_says_so(owners: Client, busy: Any) -> None:
    page = text(owners.get(url(busy, "ai-cost") + "?month=2025-06"))
    assert "No usage in these 30 days." in page
    assert "No usage in June 2025." in page
    assert "No usage has arrived yet" not in page


def test_an_empty_product_says_what_to_do_next(owners: Client, project: Any) -> None:
    for name in ("product", "ai-cost"):
        page = text(owners.get(url(project, name)))
        assert "No usage has arrived yet" in page
        assert f"import_usage ~/.claude/projects --project {project.pk}" in page
        assert url(project, "connect") in page


def test_success_rate_is_a_dash_if_no_job_finished(owners: Client, project: Any) -> None:
    usage(project, jobStatus="running", agentType="testing")
    tab = text(owners.get(url(project, "ai-cost-tabs")))
    row = re.search(r"<tr class=\"c-green\">.*?</tr>", tab, re.DOTALL)
    assert row
    assert '<td class="num at-meta">—<' in row[0]


def test_hostile_names_are_escaped_everywhere(owners: Client, owner: Any) -> None:
    from tests.factories import ProjectFactory

    evil = "<img src=x onerror=alert(1)>"
    project = ProjectFactory(owner=owner, name=evil)
    usage(project, runId=evil, jobId=evil, agentType=evil, trigger=evil, model=evil)
    limits.set_limit(project, Decimal(1), by=owner, note=evil)
    pages = [url(project, name) for name in NAMES] + ["/", run_urls.run_url(project, evil)]
    pages += [f"{url(project, 'ai-cost')}?tab={tab}" for tab in TABS]
    for address in pages:
        body = owners.get(address).content.decode()
        assert "&lt;img" in body
        assert "<img" not in body


# ---- Sidebar, portfolio, runs


def test_the_sidebar_has_no_dead_link_and_cost_and_budget_after_revenue(owners: Client, busy: Any) -> None:
    page = text(owners.get(url(busy, "ai-cost")))
    links = re.findall(r'<li><a href="([^"]+)"([^>]*)>(<svg.*?</svg>)([^<]+)</a></li>', page, re.DOTALL)
    assert [label for *_, label in links] == [
        *("Overview", "Pipelines", "Connect", "Members", "Audit log"),
        *("Revenue & Growth", "AI Cost & Budget", "Alerts"),
    ]
    assert "icon-coins" in links[6][2]
    assert [label for _, attributes, _, label in links if "aria-current" in attributes] == [
        "AI Cost & Budget"
    ]
    assert page.index("Audit log</a>") < page.index(">Operations<") < page.index("Revenue & Growth</a>")
    for href, *_ in links:
        assert owners.get(href).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_one_link_of_the_sidebar_is_current(owners: Client, busy: Any, name: str) -> None:
    navigation = text(owners.get(url(busy, name))).partition("<main")[0]
    assert navigation.count("aria-current") == 1


def test_the_portfolio_lists_products_by_spend_with_a_total(
    owners: Client, busy: Any, owner: Any, other_project: Any
) -> None:
    from tests.factories import ProjectFactory

    usage(ProjectFactory(owner=owner, name="Costly"), costDollars="9999")
    page = text(owners.get("/"))
    assert page.index("Costly") < page.index(busy.name)
    assert other_project.name not in page
    assert "<tfoot>" in page


def test_an_empty_portfolio_says_what_to_do_next(client_of: Any, stranger: Any) -> None:
    assert "create_project" in text(client_of(stranger).get("/"))


@pytest.mark.parametrize("run_id", ODD_RUN_IDS)
def test_a_run_with_an_odd_id_has_a_page(owners: Client, project: Any, run_id: str) -> None:
    usage(project, runId=run_id)
    address = run_urls.run_url(project, run_id)
    page = owners.get(address)
    assert page.status_code == 200
    assert f"<bdi>{run_id}</bdi>" in text(page)
    assert f'href="{address}"' in text(owners.get(url(project, "runs")))


@pytest.mark.parametrize("run_id", ODD_RUN_IDS)
def test_no_url_of_a_run_has_segments_that_browsers_resolve(project: Any, run_id: str) -> None:
    path = run_urls.run_url(project, run_id).partition("?")[0]
    assert not {".", "..", "%2E", "%2E%2E"} & set(path.split("/"))


def test_an_unknown_run_is_not_found(owners: Client, busy: Any) -> None:
    assert owners.get(run_urls.run_url(busy, "no-such-run")).status_code == 404
    assert owners.get(run_urls.run_url(busy, "../no-such-run")).status_code == 404


def test_the_pages_of_the_run_list_show_each_run_once(owners: Client, project: Any) -> None:
    starts = [(NOW - timedelta(minutes=n // 2)).isoformat() for n in range(130)]  # ties across pages
    send(project, *[event(runId=f"run/{n:03}", occurredAt=at) for n, at in enumerate(starts)])
    seen, address = [], url(project, "runs")
    while address:
        page = text(owners.get(address))
        seen += re.findall(r"<bdi [^>]*title=\"(run/\d+)\"", page)
        older = re.search(r'<a class="pager-next" href="([^"]+)"', page)
        address = older[1] if older else ""
    assert sorted(seen) == [f"run/{n:03}" for n in range(130)]


def test_a_run_shows_its_jobs_deductions_and_refunds(owners: Client, busy: Any) -> None:
    page = text(owners.get(run_urls.run_url(busy, "run-3")))
    assert "$3.50" in page  # 4 less the refund
    assert "$0.50</data> in refunds" in page


def test_revenue_shows_the_balance_and_how_long_it_lasts(owners: Client, project: Any) -> None:
    usage(project, kind="purchase", costDollars="100")
    usage(project, costDollars="30", occurredAt="2026-03-10T00:00:00Z")
    page = text(owners.get(url(project, "revenue")))
    assert "$70.00" in page
    assert "70 days" in page
    assert "26 May 2026" in page


# ---- The budget form


@pytest.mark.parametrize("person", ["owner", "manager"])
def test_owner_and_manager_set_the_limit(
    client_of: Any, project: Any, request: pytest.FixtureRequest, person: str
) -> None:
    client = client_of(request.getfixturevalue(person))
    response = client.post(url(project, "budget"), {"limit": "$1,250.50", "note": "spring"}, follow=True)
    assert limits.limits_now([project]) == {project.pk: 1_250_500_000_000}
    page = text(response)
    assert "The limit is now $1,250.50 a month." in page
    assert "spring" in page
    assert person in page


def test_a_viewer_sees_the_history_but_cannot_change_the_limit(
    client_of: Any, project: Any, owner: Any, viewer: Any
) -> None:
    limits.set_limit(project, Decimal(5), by=owner)
    client = client_of(viewer)
    page = text(client.get(url(project, "budget")))
    assert "$5.00" in page
    assert 'name="limit"' not in page
    assert client.post(url(project, "budget"), {"limit": "9"}).status_code == 403
    assert client.post(url(project, "budget"), {"clear": "1"}).status_code == 403
    assert limits.limits_now([project]) == {project.pk: 5_000_000_000}


@pytest.mark.parametrize(
    "typed", ["0", "-1", "ten", "NaN", "1e400", "0.001", "1000000001", "", "<b>", "9" * 41]
)
def test_an_invalid_limit_is_explained_and_stays_in_the_form(
    owners: Client, project: Any, typed: str
) -> None:
    response = owners.post(url(project, "budget"), {"limit": typed, "note": "a note"})
    assert response.status_code == 422
    field = re.search(r'<input [^>]*name="limit"[^>]*>', response.content.decode())
    assert field
    assert 'aria-invalid="true"' in field[0]
    assert not typed or f'value="{typed}"' in unescape(field[0])
    assert 'value="a note"' in response.content.decode()
    assert limits.limits_now([project]) == {}


def test_the_limit_can_be_cleared_and_the_history_shows_it(owners: Client, project: Any) -> None:
    limits.set_limit(project, Decimal(5), by=project.owner)
    page = text(owners.post(url(project, "budget"), {"clear": "1", "limit": "5"}, follow=True))
    assert limits.limits_now([project]) == {}
    assert "The limit has been cleared." in page
    assert "no limit" in page


def test_the_form_needs_its_csrf_token(owner: Any, project: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    response = client.post(url(project, "budget"), {"limit": "9"})
    assert response.status_code == 403
    assert "reload" in text(response)


# ---- Number of queries


@pytest.mark.parametrize("query", ["", "?tab=trend", "?tab=runs&range=90", "?tab=recent&month=2026-02"])
def test_the_dashboard_needs_a_fixed_number_of_queries(
    client_of: Any, busy: Any, viewer: Any, query: str
) -> None:
    # session, user, product; limits, month, days, the open tab (two where rows share jobs), what changed;
    # in the present month the running jobs and the models without a price
    most = 9 if "month=" in query else 10
    for address in ("ai-cost", "ai-cost-month"):
        assert _queries(client_of(viewer), url(busy, address) + query) <= most


@pytest.mark.parametrize(
    ("address", "most"),
    [
        ("ai-cost-daily", 4),  # session, user, product, days
        ("ai-cost-tabs", 5),  # session, user, product, month, its limit
        ("runs", 6),  # session, user, product, runs, those without a start, their spend
        ("product", 9),  # session, user, product, month, its limit, unpriced models, the runs' three
        ("revenue", 6),  # session, user, product, credits, spend, days
    ],
)
def test_other_pages_do_too(client_of: Any, busy: Any, viewer: Any, address: str, most: int) -> None:
    assert _queries(client_of(viewer), url(busy, address)) <= most


def test_the_portfolio_needs_no_more_queries_for_many_products(owners: Client, busy: Any, owner: Any) -> None:
    from tests.factories import ProjectFactory

    before = _queries(owners, "/")
    for _ in range(5):
        usage(ProjectFactory(owner=owner))
    assert _queries(owners, "/") == before <= 6  # session, user, products, limits, days, six months


def _queries(client: Client, address: str) -> int:
    caches["answers"].clear()
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


# ---- Signing in and out, errors


def test_signing_in_returns_to_the_page_and_signing_out_is_a_post(
    client: Client, owner: Any, project: Any
) -> None:
    from tests.factories import PASSWORD

    wanted = url(project, "ai-cost")
    form = {"username": owner.username, "password": PASSWORD, "next": wanted}
    assert client.post(reverse("sign-in"), form)["Location"] == wanted
    assert client.get(reverse("sign-out")).status_code == 405
    assert client.post(reverse("sign-out")).status_code == 302
    assert client.get(wanted).status_code == 302


def test_a_wrong_password_gives_an_alert(client: Client, owner: Any) -> None:
    page = text(client.post(reverse("sign-in"), {"username": owner.username, "password": "wrong"}))
    assert 'role="alert"' in page


def test_the_error_pages_are_the_products_own(owners: Client) -> None:
    assert "Page not found" in text(owners.get("/no/such/page"))
    assert "Something went wrong" in render_to_string("500.html")  # as Django does it: without a request


def test_no_page_has_inline_script_or_style(owners: Client, busy: Any) -> None:
    pages = [url(busy, name) for name in NAMES] + ["/", run_urls.run_url(busy, "run-1"), "/sign-in/"]
    pages += [url(busy, "audit"), reverse("security"), reverse("password")]
    pages += [f"{url(busy, 'ai-cost')}?tab={tab}" for tab in TABS]
    for address in pages:
        body = owners.get(address, follow=True).content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]* src=)|javascript:", body)
