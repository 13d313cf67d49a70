"""Incoming credits, the balance, and how long it lasts."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings

from aicost.formatting import html, text
from aicost.presentation import axis
from aicost.queries import Revenue


@dataclass(frozen=True)
class CreditsRow:
    month: str
    purchased: str
    granted: str
    total: str
    width: str


@dataclass(frozen=True)
class RevenueView:
    balance: str
    balance_credits: str
    negative: bool
    lasts: str
    lasts_note: str
    spent: str
    spent_a_day: str
    rows: list[CreditsRow]


def revenue(found: Revenue, today: date) -> RevenueView:
    highest = max((row.purchased + row.granted for row in found.months), default=0)
    lasts, note = _lasts(found, today)
    return RevenueView(
        balance=html.money(found.balance),
        balance_credits=text.credits(found.balance, settings.CREDITS_PER_DOLLAR),
        negative=found.balance < 0,
        lasts=lasts,
        lasts_note=note,
        spent=html.money(found.spent_in_30_days),
        spent_a_day=f"{text.money(round(found.spent_in_30_days / 30))} a day, last 30 full days",
        rows=[
            CreditsRow(
                month=text.month(row.month),
                purchased=html.money(row.purchased),
                granted=html.money(row.granted),
                total=html.money(row.purchased + row.granted),
                width=axis.width(row.purchased + row.granted, highest),
            )
            for row in found.months
        ],
    )


def _lasts(found: Revenue, today: date) -> tuple[str, str]:
    """How long the balance lasts, in whole days, and until what day."""
    days = found.days_left
    if days is None:
        return text.NONE, "nothing was spent in the last 30 full days"
    if found.balance <= 0:
        return "0 days", "the balance is used up"
    if days >= 3650:
        return "over 10 years", "at the current rate"
    end = text.day(today + timedelta(days=int(days)))
    return text.plural(int(days), "day"), f"until about {end}, at the current rate"
