from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, re_path

from aicost import views
from aicost.health import healthz
from aicost.rpc.jsonrpc import jsonrpc
from aicost.rpc.trpc import trpc

# A fragment has an address of its own; the pages' addresses are what people see and share.
dashboard = [
    path("ai-cost", views.dashboard, name="ai-cost"),
    path("ai-cost/month", views.dashboard_month, name="ai-cost-month"),
    path("ai-cost/daily", views.dashboard_daily, name="ai-cost-daily"),
    path("ai-cost/tabs", views.dashboard_tabs, name="ai-cost-tabs"),
    path("budget", views.budget, name="budget"),
    path("revenue", views.revenue, name="revenue"),
    path("connect", views.connect, name="connect"),
    path("pipelines/", views.pipelines, name="runs"),
    # A run's id is whatever its sender told, slashes included.
    path("pipelines/<path:run_id>/", views.pipeline, name="run"),
    path("", views.product, name="product"),
]

urlpatterns = [
    path("", views.portfolio, name="portfolio"),
    path("dashboard/products/<str:project_id>/", include(dashboard)),
    path("sign-in/", LoginView.as_view(redirect_authenticated_user=True), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    # Whatever follows the base is a procedure's path, or none; never a redirect to one with a slash.
    re_path(r"^api/trpc(?P<path>(?s:/.*)?)\Z", trpc, name="trpc"),
    path("api/rpc", jsonrpc, name="jsonrpc"),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
]

handler400 = "aicost.pages.bad_request"
