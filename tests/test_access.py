"""Access to products, and API tokens."""

import hashlib
from base64 import urlsafe_b64decode
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404

from products import tokens
from products.access import Caller, may_change, project_for
from products.models import ApiToken, Membership, Project
from tests.conftest import NOW

pytestmark = pytest.mark.once

ODD_IDS = ["0", "-1", "01", "1.0", "abc", "", "9" * 18, "9" * 400, "١", "1\0", 0, -1, 2**63, 2**200]


def test_owner_manager_viewer_and_superuser_see_a_product(project, owner, manager, viewer, superuser):
    for person in (owner, manager, viewer, superuser):
        assert project_for(person, str(project.pk)) == project


def test_strangers_and_staff_get_the_same_error_as_for_a_missing_product(project, stranger, staff):
    for person in (stranger, staff):
        with pytest.raises(Http404) as refused:
            project_for(person, project.pk)
        with pytest.raises(Http404) as absent:
            project_for(person, 4711)
        assert str(refused.value) == str(absent.value)


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_invalid_id_is_not_found(project, owner, odd):
    with pytest.raises(Http404):
        project_for(owner, odd)


def test_only_owners_and_managers_may_change_a_product(project, owner, manager, viewer, superuser):
    for person in (owner, manager):
        assert project_for(person, project.pk, "change") == project
    for person in (viewer, superuser):
        with pytest.raises(PermissionDenied):
            project_for(person, project.pk, "change")


def test_a_removed_member_loses_access_at_once(project, viewer):
    Membership.objects.get(user=viewer).delete()
    with pytest.raises(Http404):
        project_for(viewer, project.pk)


def test_an_inactive_user_sees_no_product(project, owner):
    owner.is_active = False
    owner.save()
    assert not Project.objects.visible_to(owner).exists()


def test_a_token_is_found_by_its_text_and_stored_only_as_a_hash(project, owner):
    token, text = tokens.issue(owner, project=project, scope="ingest")
    assert text.startswith("aicost_")
    secret = urlsafe_b64decode(text.removeprefix("aicost_") + "=")
    assert len(secret) == 32
    stored = ApiToken.objects.values().get()
    assert stored["token_hash"] == hashlib.sha256(secret).hexdigest()
    assert text not in str(stored)
    found = tokens.find(text)
    assert found == token
    assert (found.user, found.project) == (owner, project)


def test_any_other_text_finds_no_token(owner):
    _, text = tokens.issue(owner)
    for other in ("", "aicost_", text[:-1], text + "x", text.upper(), "x" * 10_000, text + "\n"):
        assert tokens.find(other) is None


def test_revoked_and_expired_tokens_and_those_of_inactive_users_are_not_found(owner, clock):
    revoked, revoked_text = tokens.issue(owner)
    tokens.revoke(revoked)
    assert tokens.find(revoked_text) is None
    _, expiring = tokens.issue(owner, expires_at=NOW + timedelta(hours=1))
    assert tokens.find(expiring)
    clock.shift(timedelta(hours=1))
    assert tokens.find(expiring) is None
    _, text = tokens.issue(owner)
    owner.is_active = False
    owner.save()
    assert tokens.find(text) is None


def test_a_token_can_only_be_limited_to_a_product_its_user_sees(project, stranger):
    with pytest.raises(PermissionDenied):
        tokens.issue(stranger, project=project)


def test_an_ingest_token_needs_a_product_and_its_owner_or_manager(project, owner, manager, viewer):
    for person in (owner, manager):
        assert tokens.issue(person, project=project, scope="ingest")
    with pytest.raises(PermissionDenied, match="owner or a manager"):
        tokens.issue(viewer, project=project, scope="ingest")
    with pytest.raises(PermissionDenied, match="must name the product"):
        tokens.issue(owner, scope="ingest")
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiToken.objects.create(user=owner, scope="ingest", token_hash="x")


def test_may_change_uses_the_current_role(project, manager):
    Membership.objects.filter(user=manager).update(role="viewer")
    assert not may_change(manager, project)


def test_the_project_loaded_with_its_owners_token_is_not_queried_again(
    project, owner, stranger, django_assert_num_queries
):
    _, text = tokens.issue(owner, project=project, scope="ingest")
    token = tokens.find(text)
    assert token is not None
    with django_assert_num_queries(0):
        assert project_for(Caller(owner, token), project.pk, "ingest").owner == owner
    with pytest.raises(Http404):
        project_for(Caller(stranger, token), project.pk, "ingest")
    with pytest.raises(PermissionDenied):
        project_for(Caller(owner, token), project.pk, "change")
