from django.apps import AppConfig


class AiCostConfig(AppConfig):
    """Showing it, answering calls."""

    name = "aicost"

    def ready(self) -> None:
        from aicost import sign_in

        sign_in.listen()
