from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from aicost import account, alert_views, api_page, budget_views, connect, export_views, member_views, views
from aicost.health import healthz, readyz
from aicost.intake.litellm import litellm_callback
from aicost.intake.traces import traces
from aicost.intake.usage import usage
from aicost.metrics import metrics
from aicost.rpc.jsonrpc import jsonrpc
from aicost.rpc.trpc import trpc

# A fragment has an address of its own; the pages' addresses are what people see and share.
dashboard = [
    path("ai-cost", views.dashboard, name="ai-cost"),
    path("ai-cost/month", views.dashboard_month, name="ai-cost-month"),
    path("ai-cost/daily", views.dashboard_daily, name="ai-cost-daily"),
    path("ai-cost/tabs", views.dashboard_tabs, name="ai-cost-tabs"),
    path("ai-cost/export/ledger.csv", export_views.ledger, name="export-ledger"),
    path("ai-cost/export/<str:table>.<str:form>", export_views.dashboard_table, name="export"),
    path("budget", budget_views.budget, name="budget"),
    path("budget/limit", budget_views.limit, name="budget-limit"),
    path("budget/policy", budget_views.budget_policy, name="budget-policy"),
    path("alerts", alert_views.alerts, name="alerts"),
    path("alerts/secret", alert_views.show_secret, name="alert-secret"),
    path("alerts/test/<str:channel>", alert_views.send_test, name="alert-test"),
    path("alerts/deliveries/<uuid:delivery_id>/send", alert_views.send_again, name="alert-send-again"),
    path("members", member_views.members, name="members"),
    path("members/<int:user_id>/role", member_views.set_role, name="member-role"),
    path("members/<int:user_id>/remove", member_views.remove, name="member-remove"),
    path("audit", member_views.audit_log, name="audit"),
    path("audit.csv", export_views.audit_log, name="export-audit"),
    path("revenue", views.revenue, name="revenue"),
    path("revenue.<str:form>", export_views.revenue, name="export-revenue"),
    path("connect", connect.connect, name="connect"),
    path("connect/arrived", connect.arrived, name="connect-arrived"),
    path("pipelines.<str:form>", export_views.pipelines, name="export-runs"),
    path("run/<str:table>.<str:form>", export_views.run_table, name="export-run"),
    path("budget.<str:form>", export_views.limits, name="export-limits"),
    path("pipelines/", views.pipelines, name="runs"),
    # A run's id is whatever its sender told, slashes included.
    path("pipelines/<path:run_id>/", views.pipeline, name="run"),
    path("", views.product, name="product"),
]

urlpatterns = [
    path("", views.portfolio, name="portfolio"),
    path("dashboard/products/<str:project_id>/", include(dashboard)),
    path("portfolio/products", views.portfolio_products, name="portfolio-products"),
    path("portfolio.<str:form>", export_views.portfolio, name="export-portfolio"),
    path("sign-in/", LoginView.as_view(redirect_authenticated_user=True), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    # Whatever follows the base is a procedure's path, or none; never a redirect to one with a slash.
    re_path(r"^api/trpc(?P<path>(?s:/.*)?)\Z", trpc, name="trpc"),
    path("api/rpc", jsonrpc, name="jsonrpc"),
    path("api/v1/usage", usage, name="usage"),
    # Where exporters of OpenTelemetry send to when they are told the server's address alone.
    path("v1/traces", traces, name="traces"),
    path("api/v1/litellm", litellm_callback, name="litellm"),
    path("api/", api_page.api, name="api"),
    path("account/tokens", account.own_tokens, name="tokens"),
    path("account/tokens/<int:token_id>/revoke", account.revoke_token, name="revoke-token"),
    path("account/security", account.security, name="security"),
    path("account/security/end-sessions", account.end_sessions, name="end-sessions"),
    path("account/password", account.password, name="password"),
    # One page for it, which also writes it down.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password"), name="admin-password"),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
]

handler400 = "aicost.pages.bad_request"
