"""All products that a person may see, with totals."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from aicost import formats, markup
from aicost.presentation import axis, budget
from aicost.presentation.budget import BudgetBar
from aicost.queries import Portfolio, ProjectSpend, Spend


@dataclass(frozen=True)
class Bar:
    x: int
    y: str
    """From above, of 20."""


@dataclass(frozen=True)
class ProductRow:
    name: str
    url: str
    dashboard_url: str
    owner: str
    cost: str
    share: str
    width: str
    tokens: str
    jobs: str
    budget: BudgetBar | None
    trend: list[Bar]
    trend_words: str


def portfolio(found: Portfolio) -> dict[str, Any]:
    highest = max((row.cost for row in found.projects), default=0)
    return {
        "products": [_product_row(found, row, highest) for row in found.projects],
        "totals": _totals(found),
        "here": "portfolio",
    }


def _product_row(found: Portfolio, row: ProjectSpend, highest: int) -> ProductRow:
    return ProductRow(
        name=row.project.name,
        url=reverse("product", args=[row.project.pk]),
        dashboard_url=reverse("ai-cost", args=[row.project.pk]),
        owner=row.project.owner.get_username(),
        cost=markup.money(row.cost),
        share=formats.percent(found.share(row)),
        width=axis.width(row.cost, highest),
        tokens=markup.tokens(row.tokens),
        jobs=formats.count(row.jobs),
        budget=budget.bar(row.budget, row.trend[-1].start),
        trend=sparkline(row.trend),
        trend_words="; ".join(f"{formats.short_month(m.start)} {formats.money(m.cost)}" for m in row.trend),
    )


def sparkline(trend: list[Spend]) -> list[Bar]:
    """Six small bars, 20 high, 12 apart."""
    highest = max(month.cost for month in trend)
    return [
        Bar(index * 12, f"{20 - 20 * month.cost / highest:.3g}" if month.cost > 0 else "20")
        for index, month in enumerate(trend)
    ]


def _totals(found: Portfolio) -> dict[str, Any]:
    states = [row.budget.state for row in found.projects if row.budget]
    return {
        "cost": markup.money(found.cost),
        "tokens": markup.tokens(found.tokens),
        "jobs": formats.count(found.jobs),
        "products": formats.plural(len(found.projects), "product"),
        "limited": f"{len(states)} of {len(found.projects)}",
        "share": formats.percent(100.0 if found.cost > 0 else 0.0),
        "attention": _attention(states.count("red"), states.count("yellow"), len(states)),
    }


def _attention(red: int, yellow: int, limited: int) -> str:
    said = [f"{red} at the limit"] if red else []
    said += [f"{yellow} over 80 %"] if yellow else []
    if said:
        return ", ".join(said)
    return "all on track" if limited else "no limits set"
