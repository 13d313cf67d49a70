from django.apps import AppConfig


class AiCostConfig(AppConfig):
    """Showing it, answering calls."""

    name = "aicost"
