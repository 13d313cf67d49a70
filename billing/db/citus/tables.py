"""Where each table lives: a product's rows together, people everywhere, the rest on the coordinator."""

from billing.db.triggers import APPEND_ONLY, LEDGER
from products.db.triggers import FIXED_ZONE

PROJECT = "products_project"
BY_PROJECT = (
    PROJECT,
    *("products_agenttype", "products_membership", "products_pipelinerun", "products_agentjob", LEDGER),
    *(
        "billing_monthlyspend",
        "billing_monthtotal",
        "billing_dailyspend",
        "billing_dailyagentspend",
        "billing_runspend",
    ),
    *(
        "billing_monthlycredits",
        "billing_unpricedusage",
        "billing_pricedwithout",
        "billing_tracespan",
        "billing_callreport",
        "billing_callid",
        "billing_lookalike",
        "billing_lookalikedecision",
        "billing_budgetreservation",
        "billing_intakecount",
    ),
    *("billing_billingsetting", "billing_budgetchange", "billing_priceoverride"),
    *("billing_alertsettings", "billing_budgetalert", "billing_alertdelivery"),
)
"""Distributed by the project's id, so that all rows of a project are on one machine. Parents come first."""
EVERYWHERE = ("auth_user",)
"""Copied to every machine, because rows of projects refer to them."""
COORDINATOR = (
    *("auth_group", "auth_group_permissions", "auth_permission", "auth_user_groups"),
    *("auth_user_user_permissions", "django_admin_log", "django_content_type", "django_session"),
    *("axes_accessattempt", "axes_accessattemptexpiration", "axes_accessfailurelog", "axes_accesslog"),
    *("products_apitoken", "products_auditentry", "django_migrations"),
)
"""Not distributed: sign-in, permissions, and rows that may belong to no project."""

GUARDS = {PROJECT: FIXED_ZONE["postgresql"], LEDGER: APPEND_ONLY["postgresql"]}
"""The statements that create each table's triggers."""
