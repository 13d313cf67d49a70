from django.apps import AppConfig


class AiCostConfig(AppConfig):
    """Pages, API and usage intake: the web layer of the product."""

    name = "aicost"

    def ready(self) -> None:
        from aicost import checks  # noqa: F401  importing the module registers its system checks
        from aicost.http import login_signals

        login_signals.connect()
