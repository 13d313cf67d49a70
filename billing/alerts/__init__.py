"""Budget alerts: a threshold is crossed, and those who want to know are told once.

`standings` reads, `crossings` decides, `outbox` sends and keeps trying, `channels` says who is told,
and where.
"""


class Undelivered(Exception):
    """Why an attempt failed, in words for people to read; never the text of anybody's answer."""
