from django.apps import AppConfig


class AiCostConfig(AppConfig):
    """Showing it, answering calls."""

    name = "aicost"

    def ready(self) -> None:
        from aicost import checks, sign_in  # noqa: F401  its checks register themselves

        sign_in.listen()
