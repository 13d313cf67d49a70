from django import forms
from django.core.exceptions import ValidationError

from billing import budgets


class BudgetForm(forms.Form):
    """A monthly limit in dollars, and why it is changed; the rules are those of `budgets.limit_nanos`."""

    limit = forms.DecimalField(
        label="Monthly limit in dollars",
        widget=forms.NumberInput(attrs={"step": "0.01", "min": "0.01", "inputmode": "decimal"}),
    )
    note = forms.CharField(label="Note", max_length=200, required=False)

    def clean_limit(self):  # type: ignore[no-untyped-def]  # the form base differs in the admin
        limit = self.cleaned_data["limit"]
        try:
            budgets.limit_nanos(limit)
        except ValidationError as error:
            raise ValidationError(error.messages) from error
        return limit
