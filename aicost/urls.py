from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from aicost.intake.litellm import litellm_callback
from aicost.intake.logs import logs
from aicost.intake.traces import traces
from aicost.intake.usage import usage
from aicost.rpc.jsonrpc import jsonrpc
from aicost.rpc.trpc import trpc
from aicost.views import (
    account,
    alerts,
    api_docs,
    audit,
    budget,
    connect,
    dashboard,
    exports,
    members,
    monitoring,
    portfolio,
    prices,
    product,
    runs,
)

# Fragments have their own URLs; people see and share only those of the pages.
product_urls = [
    path("ai-cost", dashboard.dashboard, name="ai-cost"),
    path("ai-cost/month", dashboard.dashboard_month, name="ai-cost-month"),
    path("ai-cost/daily", dashboard.dashboard_daily, name="ai-cost-daily"),
    path("ai-cost/tabs", dashboard.dashboard_tabs, name="ai-cost-tabs"),
    path("ai-cost/export/ledger.csv", exports.ledger, name="export-ledger"),
    path("ai-cost/export/<str:table>.<str:form>", exports.dashboard_table, name="export"),
    path("budget", budget.budget, name="budget"),
    path("budget/limit", budget.limit, name="budget-limit"),
    path("budget/policy", budget.budget_policy, name="budget-policy"),
    path("alerts", alerts.alerts, name="alerts"),
    path("alerts/secret", alerts.show_secret, name="alert-secret"),
    path("alerts/test/<str:channel>", alerts.send_test, name="alert-test"),
    path("alerts/deliveries/<uuid:delivery_id>/send", alerts.send_again, name="alert-send-again"),
    path("members", members.members, name="members"),
    path("members/<int:user_id>/role", members.set_role, name="member-role"),
    path("members/<int:user_id>/remove", members.remove, name="member-remove"),
    path("audit", audit.audit_log, name="audit"),
    path("audit.csv", exports.audit_log, name="export-audit"),
    path("prices", prices.prices, name="prices"),
    path("prices/missing", prices.book_missing, name="prices-missing"),
    path("prices/<int:override_id>/remove", prices.remove_price, name="price-remove"),
    path("revenue", product.revenue, name="revenue"),
    path("revenue.<str:form>", exports.revenue, name="export-revenue"),
    path("connect", connect.connect, name="connect"),
    path("connect/arrived", connect.arrived, name="connect-arrived"),
    path("connect/double-count", connect.settle_double_count, name="connect-double-count"),
    path("pipelines.<str:form>", exports.pipelines, name="export-runs"),
    path("run/<str:table>.<str:form>", exports.run_table, name="export-run"),
    path("budget.<str:form>", exports.limits, name="export-limits"),
    path("pipelines/", runs.pipelines, name="runs"),
    # A run's id is whatever its sender chose, slashes included.
    path("pipelines/<path:run_id>/", runs.pipeline, name="run"),
    path("", product.product, name="product"),
]

urlpatterns = [
    path("", portfolio.portfolio, name="portfolio"),
    path("dashboard/products/<str:project_id>/", include(product_urls)),
    path("portfolio/products", portfolio.portfolio_products, name="portfolio-products"),
    path("portfolio.<str:form>", exports.portfolio, name="export-portfolio"),
    path("sign-in/", LoginView.as_view(redirect_authenticated_user=True), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    # Everything after the base is a procedure's path, so a missing slash must not cause a redirect.
    re_path(r"^api/trpc(?P<path>(?s:/.*)?)\Z", trpc, name="trpc"),
    path("api/rpc", jsonrpc, name="jsonrpc"),
    path("api/v1/usage", usage, name="usage"),
    # The path that OpenTelemetry exporters append to a server's address.
    path("v1/traces", traces, name="traces"),
    path("v1/logs", logs, name="logs"),
    path("api/v1/litellm", litellm_callback, name="litellm"),
    path("api/", api_docs.api, name="api"),
    path("account/tokens", account.own_tokens, name="tokens"),
    path("account/tokens/<int:token_id>/revoke", account.revoke_token, name="revoke-token"),
    path("account/security", account.security, name="security"),
    path("account/security/end-sessions", account.end_sessions, name="end-sessions"),
    path("account/password", account.password, name="password"),
    # The product's own page also records the change in the audit log.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password"), name="admin-password"),
    path("admin/", admin.site.urls),
    path("healthz", monitoring.healthz, name="healthz"),
    path("readyz", monitoring.readyz, name="readyz"),
    path("metrics", monitoring.metrics, name="metrics"),
]

handler400 = "aicost.http.errors.bad_request"
