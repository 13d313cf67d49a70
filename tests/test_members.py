"""A product's people: who sees them, who adds, changes and removes whom, and that a removed one is out."""

import re
from html import unescape
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from products import members, tokens
from products.models import Membership, Project
from products.models.audit import AuditEntry, Kind
from tests.conftest import NOW
from tests.factories import ProjectFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock"), pytest.mark.once]

MAY = ("owner", "manager")
SEES_ONLY = ("viewer", "superuser")
OUTSIDE = ("stranger", "staff")


@pytest.fixture
def people(
    project: Any, owner: Any, manager: Any, viewer: Any, stranger: Any, staff: Any, superuser: Any
) -> dict[str, Any]:
    return {one.username: one for one in (owner, manager, viewer, stranger, staff, superuser)}


@pytest.fixture
def newcomer(db: None) -> Any:
    return UserFactory(username="newcomer", email="New.Comer@example.com")


def signed_in(person: Any, **how: Any) -> Client:
    client = Client(**how)
    client.force_login(person)
    return client


def url(project: Any, name: str = "members", *more: Any) -> str:
    return reverse(name, args=[project.pk, *more])


def text(response: Any) -> str:
    return unescape(response.content.decode())


def roles(project: Any) -> dict[str, str]:
    return dict(Membership.objects.filter(project=project).values_list("user__username", "role"))


def acts(project: Any, viewer: Any, newcomer: Any) -> list[tuple[str, dict[str, str]]]:
    """Each address with what is sent there."""
    return [
        (url(project), {"person": newcomer.username, "role": "viewer"}),
        (url(project, "member-role", viewer.pk), {"role": "manager"}),
        (url(project, "member-remove", viewer.pk), {}),
    ]


# ---- Who may


@pytest.mark.parametrize("who", MAY)
def test_owners_and_managers_add_change_and_remove(
    project: Any, people: dict[str, Any], newcomer: Any, who: str
) -> None:
    client = signed_in(people[who])
    add, change, remove = acts(project, people["viewer"], newcomer)
    assert client.post(*add)["Location"] == url(project)
    assert roles(project) == {"manager": "manager", "viewer": "viewer", "newcomer": "viewer"}
    client.post(*change)
    assert roles(project)["viewer"] == "manager"
    client.post(*remove)
    assert roles(project) == {"manager": "manager", "newcomer": "viewer"}
    assert "viewer has been removed." in text(client.get(url(project)))


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    ("who", "status"), [*((one, 403) for one in SEES_ONLY), *((one, 404) for one in OUTSIDE)]
)
def test_nobody_else_does(
    project: Any, people: dict[str, Any], newcomer: Any, who: str, status: int, number: int
) -> None:
    before = roles(project)
    address, sent = acts(project, people["viewer"], newcomer)[number]
    assert signed_in(people[who]).post(address, sent).status_code == status
    assert roles(project) == before


@pytest.mark.parametrize("number", [0, 1, 2])
def test_neither_another_sites_form_nor_a_link_nor_a_token_changes_anything(
    project: Any, people: dict[str, Any], newcomer: Any, number: int
) -> None:
    before = roles(project)
    address, sent = acts(project, people["viewer"], newcomer)[number]
    assert signed_in(people["owner"], enforce_csrf_checks=True).post(address, sent).status_code == 403
    assert signed_in(people["owner"]).get(address, sent).status_code == (200 if number == 0 else 405)
    _, secret = tokens.issue(people["owner"], scope="write")
    response = Client().post(address, sent, HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert response["Location"].startswith(reverse("sign-in"))
    assert roles(project) == before


def test_viewers_read_names_and_roles_and_no_more(project: Any, people: dict[str, Any]) -> None:
    page = text(signed_in(people["viewer"]).get(url(project)))
    for name in ("owner", "manager", "viewer"):
        assert name in page
    assert "17 Mar 2026" not in page
    assert "Add a member" not in page
    assert "/remove" not in page
    assert "@example.com" not in page


def test_the_owner_stands_first_and_each_with_role_and_time(project: Any, people: dict[str, Any]) -> None:
    Membership.objects.filter(user=people["viewer"]).update(joined_at=None)
    page = text(signed_in(people["manager"]).get(url(project)))
    rows = re.findall(r"<tr>.*?</tr>", page.split("<tbody>")[1], re.DOTALL)
    assert [re.search(r'title="(\w+)"', row)[1] for row in rows] == ["owner", "manager", "viewer"]
    assert "17 Mar 2026, 12:00" in rows[1]
    assert "since </span>—" in rows[2]
    assert "/remove" not in rows[0]


def test_the_sidebar_leads_here_and_to_the_log_only_for_its_readers(
    project: Any, people: dict[str, Any]
) -> None:
    for who, reads_the_log in (("owner", True), ("superuser", True), ("manager", False), ("viewer", False)):
        page = text(signed_in(people[who]).get(url(project)))
        assert f'href="{url(project)}" aria-current="page"' in page
        assert (f'href="{url(project, "audit")}"' in page) is reads_the_log


# ---- Adding


@pytest.mark.parametrize("written", ["newcomer", "new.comer@EXAMPLE.com", "  newcomer "])
def test_one_is_found_by_username_or_address(project: Any, owner: Any, newcomer: Any, written: str) -> None:
    sent = {"person": written, "role": "manager"}
    assert "newcomer is now a manager." in text(signed_in(owner).post(url(project), sent, follow=True))
    assert roles(project)["newcomer"] == "manager"
    assert Membership.objects.get(user=newcomer).joined_at == NOW


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"person": "nobody", "role": "viewer"}, "no account with this"),
        ({"person": "", "role": "viewer"}, "Enter whom to add"),
        ({"person": "a\0b", "role": "viewer"}, "Null characters"),
        ({"person": "x" * 300, "role": "viewer"}, "at most 254"),
        ({"person": "owner", "role": "viewer"}, "owner owns this product"),
        ({"person": "viewer", "role": "manager"}, "already a member"),
        ({"person": "left", "role": "viewer"}, "no account with this"),
        ({"person": "shared@example.com", "role": "viewer"}, "Several accounts"),
        ({"person": "newcomer", "role": "owner"}, "valid choice"),
        ({"person": "newcomer"}, "required"),
    ],
)
def test_what_is_wrong_is_said_and_nobody_is_added(
    project: Any, owner: Any, newcomer: Any, sent: dict[str, str], said: str
) -> None:
    UserFactory(username="left", is_active=False)
    for name in ("one", "two"):
        UserFactory(username=name, email="shared@example.com")
    before = roles(project)
    response = signed_in(owner).post(url(project), sent)
    assert response.status_code == 422
    assert said in re.search(r'<p class="error".*?</p>', text(response), re.DOTALL)[0]
    assert roles(project) == before


def test_a_username_goes_before_an_address(project: Any, owner: Any) -> None:
    named = UserFactory(username="odd@example.com", email="")
    UserFactory(username="other", email="odd@example.com")
    assert members.find("odd@example.com") == named


def test_odd_names_are_only_text(project: Any, owner: Any) -> None:
    odd = UserFactory(username="<img onerror=x>")
    signed_in(owner).post(url(project), {"person": odd.username, "role": "viewer"})
    page = signed_in(owner).get(url(project)).content.decode()
    assert "<img" not in page
    assert "&lt;img onerror=x&gt;" in page


# ---- Changing and removing


def test_nobody_removes_or_demotes_the_owner(project: Any, owner: Any, manager: Any) -> None:
    for person in (owner, manager):
        client = signed_in(person)
        assert client.post(url(project, "member-remove", owner.pk)).status_code == 404
        assert client.post(url(project, "member-role", owner.pk), {"role": "viewer"}).status_code == 404
    project.refresh_from_db()
    assert project.owner == owner
    assert members.remove(project, owner, by=manager) is False


@pytest.mark.parametrize("number", ["0", str(2**63), "9" * 40])
def test_who_is_no_member_can_be_neither_changed_nor_removed(
    project: Any, owner: Any, stranger: Any, number: str
) -> None:
    client = signed_in(owner)
    for someone in (number, stranger.pk):
        assert client.post(url(project, "member-remove", someone)).status_code == 404
        assert client.post(url(project, "member-role", someone), {"role": "viewer"}).status_code == 404


def test_a_role_that_is_none_changes_nothing(project: Any, owner: Any, viewer: Any) -> None:
    response = signed_in(owner).post(url(project, "member-role", viewer.pk), {"role": "owner"}, follow=True)
    assert "Nothing has been changed" in text(response)
    assert roles(project)["viewer"] == "viewer"


def test_a_manager_may_leave(project: Any, manager: Any) -> None:
    client = signed_in(manager)
    response = client.post(url(project, "member-remove", manager.pk), follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert f"You have left {project.name}." in text(response)
    assert client.get(url(project)).status_code == 404


def test_a_manager_who_steps_down_may_only_read(project: Any, manager: Any) -> None:
    client = signed_in(manager)
    response = client.post(url(project, "member-role", manager.pk), {"role": "viewer"}, follow=True)
    assert response.status_code == 200
    assert "Add a member" not in text(response)


def test_members_of_one_product_are_not_those_of_another(
    project: Any, other_project: Any, owner: Any, viewer: Any
) -> None:
    members.add(other_project, viewer, "viewer", by=other_project.owner)
    signed_in(owner).post(url(project, "member-remove", viewer.pk))
    assert roles(other_project) == {"viewer": "viewer"}
    assert signed_in(owner).post(url(other_project, "member-remove", viewer.pk)).status_code == 404


def test_saying_it_twice_is_noted_once(project: Any, owner: Any, viewer: Any) -> None:
    for _ in range(2):
        members.set_role(project, viewer, "manager", by=owner)
    for _ in range(2):
        members.remove(project, viewer, by=owner)
    kinds = AuditEntry.objects.filter(project=project).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == [Kind.ROLE_CHANGED, Kind.MEMBER_REMOVED]
    members.add(project, viewer, "viewer", by=owner)
    with pytest.raises(ValidationError):
        members.add(project, viewer, "viewer", by=owner)
    assert AuditEntry.objects.filter(kind=Kind.MEMBER_ADDED).count() == 1


# ---- Out at the next request


def test_a_removed_member_is_out_at_the_next_request_of_an_open_page(
    project: Any, owner: Any, viewer: Any
) -> None:
    client = signed_in(viewer)
    fragment = {
        "HTTP_HX_REQUEST": "true",
        "HTTP_HX_CURRENT_URL": "http://testserver" + url(project, "ai-cost"),
    }
    assert client.get(url(project, "ai-cost-tabs"), **fragment).status_code == 200
    signed_in(owner).post(url(project, "member-remove", viewer.pk))
    for name in ("ai-cost-tabs", "ai-cost-month", "ai-cost-daily", "members", "product"):
        refused = client.get(url(project, name), **fragment)
        assert refused.status_code == 404
        assert project.name not in text(refused)
    assert project.name not in text(client.get("/"))


@pytest.mark.parametrize("narrowed", [True, False])
def test_the_tokens_of_a_removed_member_know_of_no_such_product(
    project: Any, owner: Any, manager: Any, narrowed: bool
) -> None:
    _, secret = tokens.issue(manager, scope="write", project=project if narrowed else None)
    header = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}

    def ask() -> int:
        body = {"projectId": str(project.pk), "limitDollars": 5}
        address = "/api/trpc/aiCost.setBudgetLimit"
        return Client().post(address, body, content_type="application/json", **header).status_code

    assert ask() == 200
    members.remove(project, manager, by=owner)
    assert ask() == 404


def test_an_ingest_token_brings_nothing_in_once_its_user_is_removed_or_only_reads(
    project: Any, owner: Any, manager: Any
) -> None:
    _, secret = tokens.issue(manager, scope="ingest", project=project)

    def send() -> int:
        header = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
        return Client().post("/api/v1/usage", [], content_type="application/json", **header).status_code

    taken = send()
    assert taken not in (401, 403, 404)
    members.set_role(project, manager, "viewer", by=owner)
    assert send() == 403
    members.remove(project, manager, by=owner)
    assert send() == 404


# ---- In the admin


def inline(project: Any, *rows: dict[str, Any], initial: int) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "name": project.name,
        "owner": project.owner_id,
        "time_zone": "UTC",
        "memberships-TOTAL_FORMS": len(rows),
        "memberships-INITIAL_FORMS": initial,
    }
    for number, row in enumerate(rows):
        sent |= {f"memberships-{number}-{name}": value for name, value in row.items()}
        sent[f"memberships-{number}-project"] = project.pk
    return sent


def change_in_admin(person: Any, project: Any, sent: dict[str, Any]) -> None:
    response = signed_in(person).post(f"/admin/products/project/{project.pk}/change/", sent)
    assert response.status_code == 302, text(response)


def audit_entries(project: Any) -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.filter(project=project).order_by("pk")
    return [(entry.kind, entry.who_name, entry.detail) for entry in entries]


def test_the_admin_adds_changes_and_removes_by_the_same_acts(
    project: Any, superuser: Any, manager: Any, viewer: Any, newcomer: Any
) -> None:
    first, second = Membership.objects.order_by("pk")
    rows = [
        {"id": first.pk, "user": manager.pk, "role": "viewer"},
        {"id": second.pk, "user": viewer.pk, "role": "viewer", "DELETE": "on"},
        {"user": newcomer.pk, "role": "manager"},
    ]
    change_in_admin(superuser, project, inline(project, *rows, initial=2))
    assert roles(project) == {"manager": "viewer", "newcomer": "manager"}
    assert audit_entries(project) == [
        ("member-removed", "superuser", "viewer"),
        ("role-changed", "superuser", "manager is now viewer"),
        ("member-added", "superuser", "newcomer as manager"),
    ]


def test_another_person_in_a_members_row_is_one_removed_and_one_added(
    project: Any, superuser: Any, manager: Any, viewer: Any, newcomer: Any
) -> None:
    first, second = Membership.objects.order_by("pk")
    rows = [
        {"id": first.pk, "user": newcomer.pk, "role": "manager"},
        {"id": second.pk, "user": viewer.pk, "role": "viewer"},
    ]
    change_in_admin(superuser, project, inline(project, *rows, initial=2))
    assert roles(project) == {"newcomer": "manager", "viewer": "viewer"}
    assert [kind for kind, _, _ in audit_entries(project)] == ["member-removed", "member-added"]


def test_another_owner_is_chosen_in_the_admin_and_is_no_member_besides(
    project: Any, superuser: Any, owner: Any, viewer: Any
) -> None:
    first, second = Membership.objects.order_by("pk")
    rows = [
        {"id": first.pk, "user": first.user_id, "role": "manager"},
        {"id": second.pk, "user": second.user_id, "role": "viewer"},
    ]
    sent = inline(project, *rows, initial=2) | {"owner": viewer.pk, "name": "Renamed"}
    change_in_admin(superuser, project, sent)
    project = Project.objects.get(pk=project.pk)
    assert (project.owner, project.name) == (viewer, "Renamed")
    assert roles(project) == {"manager": "manager"}
    assert audit_entries(project) == [("owner-changed", "superuser", "owner → viewer")]
    assert signed_in(owner).get(url(project)).status_code == 404
    assert signed_in(viewer).get(url(project, "audit")).status_code == 200


def test_a_new_product_of_the_admins_begins_with_its_members(superuser: Any, owner: Any, viewer: Any) -> None:
    sent = {
        "name": "Fresh",
        "owner": owner.pk,
        "time_zone": "UTC",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-user": viewer.pk,
        "memberships-0-role": "viewer",
    }
    assert signed_in(superuser).post("/admin/products/project/add/", sent).status_code == 302
    fresh = Project.objects.get(name="Fresh")
    assert roles(fresh) == {"viewer": "viewer"}
    assert audit_entries(fresh) == [("member-added", "superuser", "viewer as viewer")]


def test_the_page_asks_the_database_as_often_for_many_members(
    owner: Any, django_assert_num_queries: Any
) -> None:
    project = ProjectFactory(owner=owner)
    client = signed_in(owner)
    for number in range(5):
        members.add(project, UserFactory(username=f"member-{number}"), "viewer", by=owner)
    with django_assert_num_queries(4):  # session, user, product, members
        client.get(url(project))
