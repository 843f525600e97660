"""What changed from one close of a month to another: counts and sums a kind, and row by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.csv_text import Cell
from core.errors import Conflict
from core.http.wire import money_dict
from core.money import Money
from reports import differing, snapshots
from reports.differing import Change, RowChange, Tally
from reports.period_models import PeriodSnapshot
from reports.report import text_of
from reports.snapshot_rows import KINDS

CSV_HEADER = ("kind", "change", "key", "field", "before", "after")


@dataclass(frozen=True)
class Compared:
    """Two snapshots of one month, both with their rows."""

    before: PeriodSnapshot
    after: PeriodSnapshot


def of_snapshots(session: Session, period: str, first: int, second: int) -> Compared:
    """Return the two snapshots; raise NotFound for one there is not, Conflict for one whose rows were not kept."""
    found = [snapshots.of_period(session, period, number) for number in (first, second)]
    for each in found:
        if each.format != snapshots.FORMAT:
            message = f"snapshot {each.number} of {period} was made before rows were kept: there is nothing to compare"
            raise Conflict(message, slug="rows-not-kept")
    return Compared(*found)


def changes(session: Session, compared: Compared) -> Iterator[RowChange]:
    """Yield every row that differs, kind by kind in the order of KINDS, by key within each."""
    for name, kind in KINDS.items():
        # A kind whose digest is the same is the same: its rows need not be read.
        if compared.before.kinds[name] != compared.after.kinds[name]:
            yield from differing.changes(
                kind.shape,
                snapshots.rows(session, compared.before, name),
                snapshots.rows(session, compared.after, name),
            )


def shown(session: Session, compared: Compared, *, limit: int, after: str | None) -> dict[str, Any]:
    """Return the report: every kind's counts and sums, and at most `limit` rows behind the cursor `after`."""
    tallies = {name: {change: Tally() for change in Change} for name in KINDS}
    items: list[RowChange] = []
    following = False
    order = {name: number for number, name in enumerate(KINDS)}
    behind = _place(after, order)
    for change in changes(session, compared):
        differing.tallied(KINDS[change.kind].shape, tallies[change.kind], change)
        if behind is not None and (order[change.kind], change.key) <= behind:
            continue
        if len(items) < limit:
            items.append(change)
        else:
            following = True
    return {
        "period": compared.before.period,
        "from": compared.before.number,
        "to": compared.after.number,
        "kinds": [
            {"kind": name, **{change.value: _tally(tally) for change, tally in each.items()}}
            for name, each in tallies.items()
        ],
        "items": [_item(change) for change in items],
        "next": f"{items[-1].kind}:{items[-1].key}" if following else None,
    }


def csv_rows(session: Session, compared: Compared) -> Iterator[tuple[Cell, ...]]:
    """Yield a row of CSV_HEADER for every field that differs; amounts in decimals."""
    for change in changes(session, compared):
        shape = KINDS[change.kind].shape
        before, after = differing.told(change)
        for name in shape.fields:
            if name in (before or {}) or name in (after or {}):
                sides = ((before, change.before), (after, change.after))
                cells = [_cell(name, some[name], shape.currency, every) if some and every else None
                         for some, every in sides]  # fmt: skip
                yield (change.kind, change.change.value, change.key, name, *cells)


def _cell(name: str, value: Any, currency: str, row: differing.Values) -> Cell:
    if name.endswith("_minor") and value is not None:
        # ours_minor goes with ours_currency, payout_minor with the row's one currency.
        of = row.get(f"{name.removesuffix('_minor')}_currency", row.get(currency))
        return text_of(value, of)
    return value if value is None or isinstance(value, str | int) else str(value)


def _place(after: str | None, order: dict[str, int]) -> tuple[int, str] | None:
    if after is None:
        return None
    kind, _, key = after.partition(":")
    return order.get(kind, -1), key


def _tally(tally: Tally) -> dict[str, Any]:
    sums = [money_dict(Money(minor, currency)) for currency, minor in sorted(tally.minor.items())]
    return {"count": tally.count, "sums": sums}


def _item(change: RowChange) -> dict[str, Any]:
    before, after = differing.told(change)
    return {
        "kind": change.kind, "change": change.change.value, "key": change.key, "before": before, "after": after,
    }  # fmt: skip
