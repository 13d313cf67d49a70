from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from products import archive, members, tokens
from products.models import AgentJob, AgentType, ApiToken, Membership, PipelineRun, Project
from products.models.audit import AuditEntry

admin.site.site_header = "AI Cost administration"
admin.site.site_title = "AI Cost administration"
admin.site.index_title = "Products, people and budgets"


class ReadOnlyAdmin(admin.ModelAdmin):
    """Read-only pages for tables that only the application writes."""

    show_full_result_count = False  # counting a large table is slow

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = ["name", "owner", "time_zone", "created_at", "first_usage_at", "archived_at"]
    list_filter = [("archived_at", admin.EmptyFieldListFilter)]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]
    autocomplete_fields = ["owner"]
    readonly_fields = ["created_at", "first_usage_at", "archived_at"]
    inlines = [MembershipInline]
    actions = ["archive", "restore"]

    def get_readonly_fields(self, request: HttpRequest, obj: Project | None = None) -> list[str]:
        fixed = ["time_zone"] if obj and obj.first_usage_at else []
        return [*self.readonly_fields, *fixed]

    def has_delete_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        """Only products without usage can be deleted, and only one at a time; others are archived."""
        return bool(obj and not obj.first_usage_at and super().has_delete_permission(request, obj))

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        if change and "owner" in form.changed_data:
            members.hand_over(Project.objects.get(pk=obj.pk), obj.owner, by=request.user)
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Change memberships by the same functions as the members page."""
        formset.save(commit=False)
        for removed in formset.deleted_objects:
            members.remove(removed.project, removed.user, by=request.user)
        for changed, fields in formset.changed_objects:
            _change_membership(changed, fields, request.user)
        for new in formset.new_objects:
            members.add(new.project, new.user, new.role, by=request.user)

    @admin.action(description="Archive selected products", permissions=["change"])
    def archive(self, request: HttpRequest, projects: QuerySet[Project]) -> None:
        number = sum(archive.archive(project, by=request.user) for project in projects)
        self.message_user(request, f"{number} archived.")

    @admin.action(description="Restore selected products", permissions=["change"])
    def restore(self, request: HttpRequest, projects: QuerySet[Project]) -> None:
        number = sum(archive.restore(project, by=request.user) for project in projects)
        self.message_user(request, f"{number} restored.")


def _change_membership(membership: Membership, fields: list[str], by: Any) -> None:
    project, user, role = membership.project, membership.user, membership.role
    if "user" in fields:
        former = Membership.objects.select_related("user").get(pk=membership.pk).user
        members.remove(project, former, by=by)
        members.add(project, user, role, by=by)
    else:
        members.set_role(project, user, role, by=by)


@admin.register(AgentType)
class AgentTypeAdmin(admin.ModelAdmin):
    list_display = ["slug", "label", "color", "project"]
    list_editable = ["label", "color"]
    list_filter = [("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project"]
    search_fields = ["slug", "label"]
    fields = ["project", "slug", "label", "color"]
    actions = ["apply_to_all_products"]

    def get_readonly_fields(self, request: HttpRequest, obj: AgentType | None = None) -> list[str]:
        return ["project", "slug"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # usage may name the type again at any time

    @admin.action(description="Use these labels and colours in every product", permissions=["change"])
    def apply_to_all_products(self, request: HttpRequest, chosen: QuerySet[AgentType]) -> None:
        for agent_type in chosen:
            agent_type.apply_to_all_projects()
        self.message_user(request, "Every product now uses these labels and colours.")


class TokenForm(ModelForm):
    """Shows the refusals of `tokens.check`, which says who may have which token."""

    class Meta:
        model = ApiToken
        fields = ["user", "project", "scope", "name", "expires_at"]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if cleaned and not self.errors:
            wanted = {key: cleaned[key] for key in ("scope", "project")}
            try:
                tokens.check(cleaned["user"], **wanted)
            except PermissionDenied as error:
                raise ValidationError(str(error)) from error
        return cleaned


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    form = TokenForm
    list_display = [
        "__str__",
        "user",
        "project",
        "scope",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]
    list_filter = ["scope", ("revoked_at", admin.EmptyFieldListFilter)]
    list_select_related = ["user", "project"]
    search_fields = ["name", "user__username", "project__name"]
    autocomplete_fields = ["user", "project"]
    actions = ["revoke"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a revoked token stays on record: it may have leaked

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        text = tokens.make(obj, by=request.user)
        self.message_user(
            request,
            f"Copy the token now. It will not be shown again: {text}",
            level=messages.WARNING,
            fail_silently=False,
        )

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        for token in chosen:
            tokens.revoke(token, by=request.user)
        self.message_user(request, f"{len(chosen)} revoked.")


@admin.register(PipelineRun)
class PipelineRunAdmin(ReadOnlyAdmin):
    list_display = ["run_id", "project", "status", "trigger", "started_at", "finished_at", "job_count"]
    list_filter = ["status", ("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project"]
    search_fields = ["run_id__exact"]
    ordering = ["-pk"]


@admin.register(AgentJob)
class AgentJobAdmin(ReadOnlyAdmin):
    list_display = ["job_id", "run", "agent_type", "status", "started_at", "finished_at", "project"]
    list_filter = ["status", ("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["project", "run", "agent_type"]
    search_fields = ["job_id__exact", "run__run_id__exact"]
    ordering = ["-pk"]


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "kind", "who_name", "about", "project", "address", "detail", "times", "last_at"]
    list_filter = ["kind", ("project", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["about", "project"]
    search_fields = ["who_name", "about__username__exact", "address__exact"]
    ordering = ["-at", "-pk"]
    exclude = ["once"]
