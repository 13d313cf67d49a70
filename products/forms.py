"""The forms by which people make API tokens of their own, and owners and managers add members."""

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from products import members, tokens
from products.models import ApiToken, Membership, Project

SCOPES = {
    ApiToken.Scope.READ: "reads figures",
    ApiToken.Scope.WRITE: "reads figures, reserves and changes budgets",
    ApiToken.Scope.INGEST: "only brings usage in and asks and reserves budget, for one product",
}
"""What a token may do, within what its user may do at the time."""

_DAYS = (7, 30, 90, 365)
_NEVER = "never"


class _ProductField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj} · {obj.pk}"  # two may have one name


class OwnTokenForm(forms.Form):
    """Says no where `tokens.check` does, and makes the token by `tokens.issue`."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        error_messages={"required": "Say what it is for: by its name you know which one to revoke."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Nightly report"}),
    )
    scope = forms.ChoiceField(
        choices=SCOPES.items(), widget=forms.RadioSelect, initial=ApiToken.Scope.READ.value
    )
    project = _ProductField(
        label="Product",
        queryset=Project.objects.none(),
        required=False,
        empty_label="Every product that I see",
        error_messages={"invalid_choice": "This is no product that you see."},
    )
    lifetime = forms.TypedChoiceField(
        label="Expires",
        choices=[*((str(days), f"in {days} days") for days in _DAYS), (_NEVER, _NEVER)],
        initial="90",
        coerce=lambda chosen: None if chosen == _NEVER else timedelta(days=int(chosen)),
    )

    def __init__(self, user: Any, data: Any = None) -> None:
        super().__init__(data)
        self.user = user
        products: Any = self.fields["project"]
        products.queryset = Project.objects.visible_to(user).live()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if {"scope", "project"} <= cleaned.keys():
            try:
                tokens.check(self.user, scope=cleaned["scope"], project=cleaned["project"])
            except PermissionDenied as refused:
                self.add_error("project", str(refused))
        return cleaned

    def issue(self) -> tuple[ApiToken, str] | None:
        """The token and its text, which nobody can read again; None where the form was sent before."""
        given = self.cleaned_data
        lifetime = given["lifetime"]
        try:
            return tokens.issue_once(
                self.user,
                scope=given["scope"],
                project=given["project"],
                newest=newest_told(self.data),
                name=given["name"],
                expires_at=lifetime and timezone.now() + lifetime,
                by=self.user,
            )
        except tokens.MadeAlready:
            self.add_error(None, MADE_ALREADY)
            return None


MADE_ALREADY = (
    "That token was made already, and its text was shown only then. "
    "Make another here, and revoke the one that nobody uses."
)


def newest_told(data: Any) -> int:
    """The newest token of the person's when the form was drawn; 0 where it doesn't say."""
    told = data.get("newest", "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 19 else 0


ROLES = {
    Membership.Role.VIEWER: "reads everything",
    Membership.Role.MANAGER: "changes the budget, alerts, tokens and members, too",
}


class RoleForm(forms.Form):
    role = forms.ChoiceField(
        choices=ROLES.items(), widget=forms.RadioSelect, initial=Membership.Role.VIEWER.value
    )


class MemberForm(RoleForm):
    """Says no where `members.add` does."""

    person = forms.CharField(
        label="Username or email address",
        max_length=254,
        error_messages={"required": "Say whom to add."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    field_order = ("person", "role")

    def add(self, project: Project, by: Any) -> Membership | None:
        """None, with the reason among the errors, where this person can't be added."""
        try:
            person = members.find(self.cleaned_data["person"])
            return members.add(project, person, self.cleaned_data["role"], by=by)
        except ValidationError as error:
            self.add_error("person", error)
            return None
