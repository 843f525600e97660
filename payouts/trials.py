"""Trials: what a category ruleset would make of the newest conversions, in money, before it is put in force."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import versions
from core.errors import Fault, Invalid
from core.money import Money
from payouts import accrual, categories
from payouts.categories import Category, Chosen
from payouts.models import Accrual, CategoryRuleset
from postback import covering
from postback.models import Conversion

CONVERSIONS_MAX = 10_000
_KIND = "accrue"
_BETWEEN = "~"
_WANTED: tuple[Any, ...] = (
    Accrual.id, Accrual.conversion_id, Accrual.affiliate_id, Accrual.source_id, Accrual.campaign_id,
    Accrual.amount_minor, Accrual.currency, Accrual.assurance, Accrual.covered_fields, Accrual.is_amount_covered,
    Accrual.category_code, Accrual.category_name, Accrual.category_account, Accrual.category_department,
    Accrual.category_cost_centre, Accrual.rule_id,
    Accrual.base_minor,
    Conversion.event, Conversion.subs,
)  # fmt: skip
Sums = dict[str, int]


@dataclass(frozen=True)
class TrialQuery:
    """How many conversions to look at, and which part of the changes to list: `limit` of them after `after`."""

    conversions: int = 1000
    limit: int = 100
    after: str | None = None


@dataclass(frozen=True)
class Change:
    """One accrual that would go to another category."""

    accrual_id: str
    conversion_id: str
    affiliate_id: str
    money: Money
    before: Chosen
    after: Chosen


@dataclass
class Tally:
    """How many accruals a category has and would have, and their sums in minor units by currency."""

    count_before: int = 0
    count_after: int = 0
    before: Sums = field(default_factory=dict)
    after: Sums = field(default_factory=dict)

    @property
    def difference(self) -> Sums:
        """What the category would gain, negative for what it would lose; currencies without a change are left out."""
        both = {currency: self.after.get(currency, 0) - self.before.get(currency, 0) for currency in self._currencies}
        return {currency: minor for currency, minor in both.items() if minor}

    @property
    def _currencies(self) -> set[str]:
        return {*self.before, *self.after}


@dataclass
class Trial:
    """What came out: tallies of all conversions looked at, the changes asked for, and the cursor behind them."""

    version: int
    state: str
    conversions: int = 0
    changed: int = 0
    moved: Sums = field(default_factory=dict)  # the sum of what would change, by currency
    tallies: dict[Category, Tally] = field(default_factory=dict)
    items: list[Change] = field(default_factory=list)
    next: str | None = None


def run(session: Session, version: int, query: TrialQuery) -> Trial:
    """Choose anew, under ruleset `version`, for the newest accrued conversions; nothing is written.

    Before is the category that each first accrual has now; what was taken back later follows it and is not counted.
    Changes come newest first, the newest `query.limit` behind the cursor; the cursor holds on to the conversions that
    the first page looked at. Raise NotFound for no ruleset, Invalid for no cursor.
    """
    ruleset = versions.get(session, CategoryRuleset, version)
    newest, after = _cursor(query.after)
    choose = categories.chooser(ruleset.rules)
    trial = Trial(version, ruleset.state)
    for row, change in _compared(_newest(session, query.conversions, newest), choose):
        newest = newest or row.id
        _count(trial, change)
        if change.before.category == change.after.category:
            continue
        trial.changed += 1
        _add(trial.moved, change.money)
        if after is not None and change.accrual_id >= after:
            continue
        if len(trial.items) < query.limit:
            trial.items.append(change)
        else:
            trial.next = f"{newest}{_BETWEEN}{trial.items[-1].accrual_id}"
    return trial


def _newest(session: Session, conversions: int, newest: str | None) -> Iterable[sa.Row[Any]]:
    statement = (
        sa.select(*_WANTED)
        .join(Conversion, Conversion.id == Accrual.conversion_id)
        .where(Accrual.kind == _KIND)
        .order_by(Accrual.id.desc())
        .limit(conversions)
    )
    if newest is not None:
        statement = statement.where(Accrual.id <= newest)
    return session.execute(statement)


def _compared(rows: Iterable[sa.Row[Any]], choose: categories.Chooser) -> Iterator[tuple[sa.Row[Any], Change]]:
    for row in rows:
        owed = Money(row.amount_minor, row.currency)
        facts = accrual.category_facts(
            row,
            owed,
            covered=covering.fields(row.covered_fields),
            is_covered=row.is_amount_covered,
            base_minor=row.base_minor,
        )
        before = Chosen(Category.of(row), row.rule_id)
        yield row, Change(row.id, row.conversion_id, row.affiliate_id, owed, before, choose(facts))


def _count(trial: Trial, change: Change) -> None:
    trial.conversions += 1
    before = trial.tallies.setdefault(change.before.category, Tally())
    after = trial.tallies.setdefault(change.after.category, Tally())
    before.count_before += 1
    after.count_after += 1
    _add(before.before, change.money)
    _add(after.after, change.money)


def _add(sums: Sums, money: Money) -> None:
    sums[money.currency] = sums.get(money.currency, 0) + money.amount_minor


def _cursor(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    newest, between, after = text.partition(_BETWEEN)
    if not (newest and between and after):
        raise Invalid.of(Fault("after", "takes the `next` of the page before"))
    return newest, after


def shown(trial: Trial) -> Mapping[str, Any]:
    """Return a trial as the wire shows it, categories by their code."""
    return {
        "version": trial.version,
        "state": trial.state,
        "conversions": trial.conversions,
        "changed": {"count": trial.changed, "sums": _amounts(trial.moved)},
        "categories": [
            {
                "category": category,
                "before": {"count": tally.count_before, "sums": _amounts(tally.before)},
                "after": {"count": tally.count_after, "sums": _amounts(tally.after)},
                "difference": _amounts(tally.difference),
            }
            for category, tally in sorted(trial.tallies.items(), key=lambda each: (each[0].code, each[0].account))
        ],
        "items": trial.items,
        "next": trial.next,
    }


def _amounts(sums: Sums) -> list[Money]:
    return [Money(minor, currency) for currency, minor in sorted(sums.items())]
