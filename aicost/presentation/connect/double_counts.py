"""The section of the Connect page where possible double counts are settled."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from aicost.formatting import text
from aicost.presentation.dashboard import lookalikes
from aicost.queries import DoubleCount, Settlement
from billing import periods
from billing.models import LookalikeDecision
from products.models import Project

Decision = LookalikeDecision.Decision
SAME, DIFFERENT = Decision.SAME_CALL.value, Decision.DIFFERENT_CALLS.value


@dataclass(frozen=True)
class Choice:
    decision: str
    label: str
    effect: str


_SAME = Choice(
    SAME,
    "They report the same calls",
    "If they report the same calls, each call is counted once, past and future. Calls that have been united "
    "stay so, even if you decide otherwise later.",
)
_DIFFERENT = Choice(
    DIFFERENT,
    "They are different calls",
    "If they are different calls, all of them stay counted, and the dashboard no longer warns of them. "
    "You can still decide otherwise later.",
)
_DIFFERENT_FROM_NOW_ON = Choice(
    DIFFERENT,
    "They are different calls",
    "If they are different calls, all that arrive from now on are counted. "
    "Calls that have been united until now stay so.",
)


@dataclass(frozen=True)
class Row:
    sender_a: str
    sender_b: str
    names: str
    found: str
    decided: str
    choices: list[Choice]


def rows(project: Project, found: list[Settlement]) -> list[Row]:
    zone = periods.zone(project.time_zone)
    return [_row(settlement, zone) for settlement in found]


def _row(settlement: Settlement, zone: ZoneInfo) -> Row:
    decision = settlement.decision.decision if settlement.decision else ""
    return Row(
        *settlement.found.senders,
        names=lookalikes.names(settlement.found),
        found=_found(settlement.found, decision),
        decided=_decided(settlement.decision, zone) if settlement.decision else "",
        choices={SAME: [_DIFFERENT_FROM_NOW_ON], DIFFERENT: [_SAME]}.get(decision, [_SAME, _DIFFERENT]),
    )


def _found(found: DoubleCount, decision: str) -> str:
    if decision == SAME:
        return "They report the same calls; each is counted once."
    calls, money = text.plural(found.calls, "call"), text.money(found.nanos)
    if decision == DIFFERENT:
        return f"They are different calls, and all are counted: {calls}, {money}."
    return f"{calls}, {money}, may be counted twice."


def _decided(decision: LookalikeDecision, zone: ZoneInfo) -> str:
    who = decision.decided_by.get_username() if decision.decided_by else "the system"
    return f"Decided by {who}, {text.instant(decision.decided_at, zone)}."


def confirmation(decision: str, united: int | None) -> str:
    """The message after a decision. `united` is None if it had been made before."""
    if united is None:
        return "Nothing changed: this has been decided already."
    if decision == DIFFERENT:
        return "They are different calls: all that arrive are counted."
    calls = f"{text.plural(united, 'call')} that had been counted twice {'is' if united == 1 else 'are'}"
    return f"They report the same calls: {calls} now counted once, as are those to come."
