"""The token counts of a span as it states them, and what they mean together."""

import msgspec

from billing.events.usage_event import Tokens


class Counts(msgspec.Struct):
    """Counts as stated. Whether the input includes the caches depends on who counted."""

    input: int = 0
    output: int = 0
    total: int | None = None
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    excludes_caches: bool = False
    """What the dialect says, if the total doesn't."""

    @property
    def has_caches(self) -> bool:
        return bool(self.cache_read or self.cache_write or self.cache_write_1h)

    def tokens(self) -> Tokens:
        write = max(self.cache_write, self.cache_write_1h)
        cached = self.cache_read + write
        return Tokens(
            input=self.input - (0 if self._input_excludes(cached) else cached),
            cache_read=self.cache_read,
            cache_write=write,
            cache_write_1h=self.cache_write_1h,
            output=self.output,
        )

    def _input_excludes(self, cached: int) -> bool:
        if self.input < cached:  # as Anthropic's API counts
            return True
        if self.total == self.input + self.output:
            return False
        return self.excludes_caches or self.total == self.input + cached + self.output
