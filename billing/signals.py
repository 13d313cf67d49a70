"""Signals sent after a commit. A receiver can neither undo the change nor make its request fail."""

from collections.abc import Collection
from datetime import date

from django.db import transaction
from django.dispatch import Signal

from products.models import Project

budget_moved = Signal()
"""Spend, a limit or alert settings changed. Arguments: `project`, and the affected `months` (None: any)."""


def announce(project: Project, months: Collection[date] | None = None) -> None:
    """Send `budget_moved` after the commit, if there is one. Errors of receivers are only logged."""

    def send() -> None:  # not a partial: Django logs the function's name with an error
        budget_moved.send(Project, project=project, months=months)

    if months is None or months:
        transaction.on_commit(send, robust=True)
