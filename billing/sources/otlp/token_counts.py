"""How many tokens a model call took, in any dialect."""

from billing.events.usage_event import Tokens
from billing.sources.otlp import attributes as names
from billing.sources.otlp import claude_code, usage_objects
from billing.sources.otlp.attributes import Attributes, count
from billing.sources.otlp.counts import Counts

OPENLIT = "openlit."
CACHES_BESIDE_INPUT = frozenset(
    {"openlit.instrumentation.anthropic", "openinference.instrumentation.bedrock"}
)
"""Instrumentations that pass on the input of APIs which leave the caches out of it."""
QWEN_CODE = "qwen-code."


def tokens(name: str, scope: str, attributes: Attributes) -> Tokens | None:
    """The token counts of the span `name` of an instrumentation `scope`, or None if it has none."""
    counts = _counts(attributes)
    if counts is None:
        return None
    if scope in CACHES_BESIDE_INPUT:
        counts.excludes_caches = True
    if scope.startswith(OPENLIT):
        counts.total = None  # OpenLIT's own sum of the two counts beside it: it proves nothing
    leaves_thinking_out = scope.startswith(OPENLIT) or name.startswith(QWEN_CODE)
    if leaves_thinking_out or (counts.total or 0) > counts.input + counts.output:
        _add_thinking(counts, attributes, leaves_thinking_out)
    return counts.tokens()


def _counts(attributes: Attributes) -> Counts | None:
    """As single attributes; what they leave out or count as 0, as an object."""
    single = _single_counts(attributes)
    others = usage_objects.counts_of(attributes) or claude_code.counts(attributes)
    if single is None or others is None:
        return single or others
    if not (single.input or single.output or single.has_caches):
        return others
    _complete(single, others)
    return single


def _single_counts(attributes: Attributes) -> Counts | None:
    whole, output = count(attributes, names.INPUT), count(attributes, names.OUTPUT)
    has_caches = not names.CACHES.isdisjoint(attributes)
    if whole is None and output is None and not has_caches:
        return None
    counts = Counts(input=whole or 0, output=output or 0, total=count(attributes, names.TOTAL))
    if has_caches:
        counts.cache_read = count(attributes, names.CACHE_READ) or 0
        counts.cache_write = count(attributes, names.CACHE_WRITE) or 0
        counts.cache_write_1h = count(attributes, names.CACHE_WRITE_1H) or 0
    return counts


def _complete(counts: Counts, others: Counts) -> None:
    """Take what is 0 from the counts of another dialect."""
    known = others.tokens()
    counts.input = counts.input or known.all_input
    counts.output = counts.output or known.output
    if not counts.has_caches:
        counts.excludes_caches = counts.input == known.input
    counts.cache_read = counts.cache_read or known.cache_read
    counts.cache_write = counts.cache_write or known.cache_write
    counts.cache_write_1h = counts.cache_write_1h or known.cache_write_1h


def _add_thinking(counts: Counts, attributes: Attributes, is_left_out: bool) -> None:
    """Add Gemini's thinking tokens, which its API counts beside the output."""
    if "gemini" not in names.model(attributes):
        return
    if is_left_out:
        counts.output += count(attributes, names.REASONING) or 0
    elif counts.total is not None:
        counts.output = counts.total - counts.input
