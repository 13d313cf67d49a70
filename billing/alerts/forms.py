"""The form for a product's alert settings: text as people type it, checked by `channels`."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from billing.alerts import channels
from billing.models.alerts import AlertSettings
from products.models import Project


class AlertForm(forms.Form):
    thresholds = forms.CharField(
        label="Alert at these percentages of the limit",
        max_length=200,
        error_messages={"required": "Enter at least one percentage, such as 80."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "80, 100"}),
    )
    email_people = forms.BooleanField(label="Email the owner and the managers", required=False)
    email_more = forms.CharField(
        label="Other email addresses (optional, one a line)",
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "finance@example.com", "autocomplete": "off"}),
    )
    webhook_url = forms.CharField(
        label="Webhook (optional)",
        max_length=4000,
        required=False,
        widget=forms.TextInput(
            attrs={"inputmode": "url", "autocomplete": "off", "placeholder": "https://hooks.example.com/…"}
        ),
    )

    @classmethod
    def of(cls, choice: AlertSettings) -> "AlertForm":
        """The form with the stored settings."""
        return cls(
            initial={
                "thresholds": ", ".join(str(percent) for percent in choice.percents),
                "email_people": choice.email_people,
                "email_more": choice.email_more,
                "webhook_url": choice.webhook_url,
            }
        )

    def clean_thresholds(self) -> list[int]:
        parts = channels.split(self.cleaned_data["thresholds"].replace("%", " "))
        if not all(part.isascii() and part.isdecimal() and len(part) <= 4 for part in parts):
            raise ValidationError("Enter whole percentages separated by commas, such as 80, 100.")
        return channels.check_thresholds(int(part) for part in parts)

    def clean_email_more(self) -> list[str]:
        return channels.check_addresses(channels.split(self.cleaned_data["email_more"]))

    def clean_webhook_url(self) -> str:
        return channels.check_webhook(self.cleaned_data["webhook_url"])

    def save(self, project: Project, by: Any) -> None:
        channels.change(project, **self.cleaned_data, by=by)
