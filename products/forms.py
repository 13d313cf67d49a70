"""Forms for creating one's own API tokens and for adding members."""

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
    ApiToken.Scope.INGEST: "only sends usage, checks and reserves budget, for one product",
}
"""What a token of each scope may do, within the current rights of its user."""

_DAYS = (7, 30, 90, 365)
_NEVER = "never"


class _ProductField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj} · {obj.pk}"  # names need not be unique


class OwnTokenForm(forms.Form):
    """Issues a token by `tokens.issue_once`; shows the refusals of `tokens.check` as errors."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        error_messages={
            "required": "Enter what the token is for, so that you know later which one to revoke."
        },
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Nightly report"}),
    )
    scope = forms.ChoiceField(
        choices=SCOPES.items(), widget=forms.RadioSelect, initial=ApiToken.Scope.READ.value
    )
    project = _ProductField(
        label="Product",
        queryset=Project.objects.none(),
        required=False,
        empty_label="Every product I can see",
        error_messages={"invalid_choice": "You don't have access to this product."},
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
        products.queryset = Project.objects.visible_to(user).unarchived()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if {"scope", "project"} <= cleaned.keys():
            try:
                tokens.check(self.user, scope=cleaned["scope"], project=cleaned["project"])
            except PermissionDenied as refused:
                self.add_error("project", str(refused))
        return cleaned

    def issue(self) -> tuple[ApiToken, str] | None:
        """The token and its text, which can't be read again; None if the form was already sent."""
        given = self.cleaned_data
        lifetime = given["lifetime"]
        try:
            return tokens.issue_once(
                self.user,
                scope=given["scope"],
                project=given["project"],
                newest=newest_token_sent(self.data),
                name=given["name"],
                expires_at=lifetime and timezone.now() + lifetime,
                by=self.user,
            )
        except tokens.AlreadyIssued:
            self.add_error(None, ALREADY_ISSUED)
            return None


ALREADY_ISSUED = (
    "This token has already been created, and its text was shown only then. "
    "Create another one here, and revoke the one you don't use."
)


def newest_token_sent(data: Any) -> int:
    """The id of the person's newest token when the form was rendered; 0 if the form doesn't say."""
    sent = data.get("newest", "")
    return int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 19 else 0


ROLES = {
    Membership.Role.VIEWER: "reads everything",
    Membership.Role.MANAGER: "also changes the budget, alerts, tokens and members",
}


class RoleForm(forms.Form):
    role = forms.ChoiceField(
        choices=ROLES.items(), widget=forms.RadioSelect, initial=Membership.Role.VIEWER.value
    )


class MemberForm(RoleForm):
    """Adds a member by `members.add`, and shows its refusals as errors."""

    person = forms.CharField(
        label="Username or email address",
        max_length=254,
        error_messages={"required": "Enter whom to add."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    field_order = ("person", "role")

    def add(self, project: Project, by: Any) -> Membership | None:
        """The new membership; None, with the reason among the errors, if the person can't be added."""
        try:
            person = members.find(self.cleaned_data["person"])
            return members.add(project, person, self.cleaned_data["role"], by=by)
        except ValidationError as error:
            self.add_error("person", error)
            return None
