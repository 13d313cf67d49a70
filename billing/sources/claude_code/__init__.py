"""Claude Code session logs: one JSON object a line, one file a session, subagents in files beside it.

The logs repeat themselves: a response is written once per content block, again when a session is resumed or
forked, and again in a subagent's own file. A billed response is therefore identified by its ids across all
files. Its earliest copy says when it happened and which agent it belongs to, its largest copy how many
tokens it took. Memory holds one entry per response and per job, never the lines.
"""

from billing.sources.claude_code.log import NAME, parse

__all__ = ["NAME", "parse"]
