"""Budget alerts: when a threshold is crossed, everyone who wants to know is notified once.

`thresholds` reads, `crossings` decides, `outbox` sends and retries, `channels` says whom to notify and where.
"""


class Undelivered(Exception):
    """Why an attempt failed, as a text for users. It never contains the remote host's response."""
