"""The statuses of runs and jobs. Pure: `products.models` and `billing.events` both build on it."""

from django.db import models


class Status(models.TextChoices):
    """A run's or job's status, weakest first: of several reported ones, the last in this order holds."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    FAILED = "failed"


# Plain strings for code that runs once an event: reading an enumeration's member takes longer.
RUNNING, SUCCEEDED, CANCELLED, FAILED = Status.values
