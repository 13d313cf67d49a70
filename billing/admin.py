from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing import money
from billing.budgets import limits, policies
from billing.forms import POLICIES, BudgetForm
from billing.models import BillingSetting, BudgetChange, BudgetReservation, CreditTransaction, PriceOverride
from billing.models.alerts import AlertDelivery, BudgetAlert
from billing.prices import overrides
from products.admin import ReadOnlyAdmin


def _dollars(nanos: int | None) -> str:
    return "—" if nanos is None else money.exact(nanos)


class BudgetSettingForm(BudgetForm, forms.ModelForm):
    """A product's budget limit and policy."""

    policy = forms.ChoiceField(
        choices=[("", "unchanged"), *((name, f"{name}: {words}") for name, words in POLICIES.items())],
        required=False,
        help_text="How budget checks answer callers who ask before they spend.",
    )

    class Meta:
        model = BillingSetting
        fields = ["project"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["limit"].initial = self.instance.value
            self.fields["policy"].initial = policies.policy_of(self.instance.project)

    def validate_unique(self) -> None:
        """Setting the limit of a product that has one changes it."""


@admin.register(BillingSetting)
class BillingSettingAdmin(admin.ModelAdmin):
    """Budget limits and policies, changed through the functions that also write the history."""

    form = BudgetSettingForm
    fields = ["project", "limit", "note", "policy"]
    list_display = ["project", "monthly_limit"]
    list_select_related = ["project"]
    search_fields = ["project__name"]
    autocomplete_fields = ["project"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[BillingSetting]:
        return super().get_queryset(request).filter(key=limits.KEY)

    def get_readonly_fields(self, request: HttpRequest, obj: BillingSetting | None = None) -> list[str]:
        return ["project"] if obj else []

    @admin.display(description="monthly limit")
    def monthly_limit(self, setting: BillingSetting) -> str:
        return f"${setting.value}"

    def save_model(self, request: HttpRequest, obj: BillingSetting, form: Any, change: bool) -> None:
        data = form.cleaned_data
        limits.set_limit(obj.project, data["limit"], by=request.user, note=data["note"])
        if data["policy"]:
            policies.set_policy(obj.project, data["policy"], by=request.user)
        stored = BillingSetting.objects.get(project=obj.project, key=limits.KEY)
        obj.pk, obj.key, obj.value = stored.pk, stored.key, stored.value

    def delete_model(self, request: HttpRequest, obj: BillingSetting) -> None:
        limits.set_limit(obj.project, None, by=request.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[BillingSetting]) -> None:
        for setting in queryset.select_related("project"):
            self.delete_model(request, setting)


@admin.register(BudgetChange)
class BudgetChangeAdmin(ReadOnlyAdmin):
    list_display = ["project", "changed_at", "changed_by", "before", "after", "policy", "note"]
    list_filter = [("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project", "changed_by"]
    search_fields = ["project__name", "changed_by__username"]

    @admin.display(description="from")
    def before(self, change: BudgetChange) -> str:
        return _dollars(change.old_limit_nanos)

    @admin.display(description="to")
    def after(self, change: BudgetChange) -> str:
        return _dollars(change.new_limit_nanos)


@admin.register(PriceOverride)
class PriceOverrideAdmin(admin.ModelAdmin):
    """Price overrides. They change no cost that is already in the ledger."""

    fieldsets = [
        (None, {"fields": ["project", "model", "factor", "starts_on"]}),
        (
            "Dollars per million tokens",
            {
                "fields": [
                    *("input_rate", "output_rate"),
                    *("cache_read_rate", "cache_write_rate", "cache_write_1h_rate"),
                ],
                "description": "These prices apply to usage recorded from now on. Costs in the ledger stay "
                "as they are. Run manage.py price_unpriced to price unpriced usage.",
            },
        ),
    ]
    list_display = ["model", "factor", "project", "starts_on", "input_rate", "output_rate"]
    list_filter = [("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project"]
    search_fields = ["model", "project__name"]
    autocomplete_fields = ["project"]

    def save_model(self, request: HttpRequest, obj: PriceOverride, form: Any, change: bool) -> None:
        overrides.save(obj, by=request.user)

    def delete_model(self, request: HttpRequest, obj: PriceOverride) -> None:
        overrides.remove(obj, by=request.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PriceOverride]) -> None:
        for override in queryset.select_related("project"):
            overrides.remove(override, by=request.user)


@admin.register(BudgetReservation)
class BudgetReservationAdmin(ReadOnlyAdmin):
    list_display = ["reservation_id", "project", "estimate", "made_at", "expires_at", "made_by"]
    list_filter = [("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project", "made_by"]
    search_fields = ["reservation_id__exact"]
    ordering = ["-expires_at", "-pk"]

    @admin.display(description="estimate")
    def estimate(self, reservation: BudgetReservation) -> str:
        return _dollars(reservation.estimate_nanos)


@admin.register(CreditTransaction)
class CreditTransactionAdmin(ReadOnlyAdmin):
    list_display = ["event_id", "project", "kind", "amount", "cost_source", "model", "occurred_at", "job"]
    list_filter = ["kind", "cost_source", ("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project", "job"]
    search_fields = ["event_id__exact"]
    ordering = ["-pk"]

    @admin.display(description="amount")
    def amount(self, transaction: CreditTransaction) -> str:
        return _dollars(transaction.amount_nanos)


@admin.register(BudgetAlert)
class BudgetAlertAdmin(ReadOnlyAdmin):
    list_display = ["project", "month", "threshold", "crossing", "crossed_at", "spent", "limit", "ended_at"]
    list_filter = [("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project"]
    search_fields = ["project__name"]
    ordering = ["-crossed_at", "-pk"]

    @admin.display(description="spent")
    def spent(self, alert: BudgetAlert) -> str:
        return _dollars(alert.spent_nanos)

    @admin.display(description="limit")
    def limit(self, alert: BudgetAlert) -> str:
        return _dollars(alert.limit_nanos)


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "project", "channel", "to", "state", "attempts", "sent_at", "error"]
    list_filter = ["state", "channel", ("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project"]
    search_fields = ["project__name"]
    ordering = ["-created_at", "-pk"]
    fields = [
        *("project", "alert", "channel", "to", "state", "attempts", "retries_left"),
        *("created_at", "due_at", "attempted_at", "sent_at", "error"),
    ]

    @admin.display(description="to")
    def to(self, delivery: AlertDelivery) -> str:
        """An email address, or a webhook's host: the rest of its URL is often a secret."""
        if delivery.channel == AlertDelivery.Channel.WEBHOOK:
            return urlsplit(delivery.target).hostname or ""
        return delivery.target
