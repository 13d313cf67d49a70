"""Forms for budgets (`billing.budgets.limits` has the rules), prices and double counts."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from billing.budgets import limits, policies
from billing.models import LookalikeDecision, PriceOverride


class BudgetForm(forms.Form):
    limit = forms.CharField(
        label="Monthly limit in dollars",
        max_length=40,
        error_messages={"required": "Enter a limit in dollars."},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "250"}),
    )
    note = forms.CharField(
        label="Note (optional)",
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Reason for the change"}),
    )

    def clean_limit(self) -> Decimal:
        text = self.cleaned_data["limit"].removeprefix("$").replace(",", "").strip()
        try:
            dollars = Decimal(text)
        except InvalidOperation:
            raise ValidationError("Enter the limit as a number of dollars, such as 250 or 99.50.") from None
        limits.limit_nanos(dollars)
        return dollars


class ClearBudgetForm(BudgetForm):
    """Removes the limit. Only the note is used."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["limit"].required = False

    def clean_limit(self) -> None:  # type: ignore[override]
        return None


POLICIES = {
    policies.DENY: "refuse spending that would exceed the limit",
    policies.WARN: "always allow spending, and report the state of the budget",
}
"""How budget checks answer callers who ask before they spend."""


class PolicyForm(forms.Form):
    policy = forms.ChoiceField(
        label="When a caller asks before spending", choices=POLICIES.items(), widget=forms.RadioSelect
    )


class OwnPriceForm(forms.ModelForm):
    """A price of a product's own. One that starts on the same day takes the place of an earlier one."""

    class Meta:
        model = PriceOverride
        fields = (
            *("model", "factor", "starts_on", "input_rate", "output_rate"),
            *("cache_read_rate", "cache_write_rate", "cache_write_1h_rate"),
        )
        labels = {
            "factor": "Price factor (optional)",
            "starts_on": "From",
            "input_rate": "Input",
            "output_rate": "Output",
            "cache_read_rate": "Cache reads (optional)",
            "cache_write_rate": "Cache writes (optional)",
            "cache_write_1h_rate": "One-hour cache writes (optional)",
        }
        widgets = {
            "starts_on": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            **{
                name: forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
                for name in fields
                if name.endswith("_rate")
            },
        }


class DoubleCountForm(forms.Form):
    """Whether two senders report the same calls."""

    sender_a = forms.CharField(strip=False)
    sender_b = forms.CharField(strip=False)
    decision = forms.ChoiceField(choices=LookalikeDecision.Decision.choices)

    @property
    def senders(self) -> tuple[str, str]:
        return self.cleaned_data["sender_a"], self.cleaned_data["sender_b"]
