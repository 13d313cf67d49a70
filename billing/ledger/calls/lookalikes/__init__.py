"""Possible double counts: reports of two senders that look as if they were of one call, and share no id."""
