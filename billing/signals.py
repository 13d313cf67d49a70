"""What others may hear of once it is committed. Hearing it can neither undo it nor fail its sender."""

from collections.abc import Collection
from datetime import date

from django.db import transaction
from django.dispatch import Signal

from products.models import Project

budget_moved = Signal()
"""Money was booked, or what it is held against has changed: `project`, and the `months` (None: any)."""


def announce(project: Project, months: Collection[date] | None = None) -> None:
    """Tell the hearers after the commit, and never if there is none. What they raise is logged."""

    def tell() -> None:  # not a partial: Django asks for the name of what has raised
        budget_moved.send(Project, project=project, months=months)

    if months is None or months:
        transaction.on_commit(tell, robust=True)
