from django.apps import AppConfig


class AiCostConfig(AppConfig):
    """Showing it, answering calls."""

    name = "aicost"

    def ready(self) -> None:
        from aicost.http import login_signals

        login_signals.listen()
