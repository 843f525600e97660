"""Two sorted lists of rows held against one another: what came, what went, what changed, and by how much money."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any

import orjson


@dataclass(frozen=True)
class Row:
    """One row: its key, and the line that it is written as: key and values, a JSON array."""

    key: str
    line: bytes


class Change(StrEnum):
    """What became of a row."""

    ADDED = "added"
    GONE = "gone"
    CHANGED = "changed"


Values = Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """What a kind's rows hold, and of what they are money: the columns that hold minor units and their currency."""

    kind: str
    fields: tuple[str, ...]
    amount: str
    currency: str
    # A journal's lines sum to zero: what moves is what its debits sum to.
    debits_only: bool = False

    def values(self, row: Row) -> dict[str, Any]:
        """Return the row's values by name."""
        return dict(zip(self.fields, orjson.loads(row.line)[1:], strict=True))

    def money(self, values: Values) -> tuple[str, int] | None:
        """Return currency and minor units of a row; None for one without an amount."""
        amount_minor, currency = values[self.amount], values[self.currency]
        if amount_minor is None or currency is None or (self.debits_only and amount_minor < 0):
            return None
        return currency, amount_minor


@dataclass(frozen=True)
class RowChange:
    """One row that differs; `before` is None for one that came, `after` for one that went."""

    kind: str
    change: Change
    key: str
    before: Values | None
    after: Values | None


@dataclass
class Tally:
    """How many rows changed in one way, and what they sum to per currency: of changed ones after less before."""

    count: int = 0
    minor: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


def written(key: str, values: Sequence[object]) -> Row:
    """Return the row with this key and these values: the same values give the same bytes."""
    return Row(key, orjson.dumps([key, *values], option=orjson.OPT_UTC_Z))


def read(line: bytes) -> Row:
    """Return the row that was written as `line`."""
    return Row(orjson.loads(line)[0], line)


def paired(before: Iterable[Row], after: Iterable[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """Yield the rows of both lists, each sorted by key without repetition, side by side: None where one has no such."""
    olds, news = iter(before), iter(after)
    old, new = next(olds, None), next(news, None)
    while old is not None and new is not None:
        if old.key == new.key:
            yield old, new
            old, new = next(olds, None), next(news, None)
        elif old.key < new.key:
            yield old, None
            old = next(olds, None)
        else:
            yield None, new
            new = next(news, None)
    for rest in chain([old] if old else (), olds):
        yield rest, None
    for rest in chain([new] if new else (), news):
        yield None, rest


def changes(shape: Shape, before: Iterable[Row], after: Iterable[Row]) -> Iterator[RowChange]:
    """Yield each row that is not the same in both lists, in the order of keys."""
    for old, new in paired(before, after):
        if old is None or new is None or old.line != new.line:
            yield change_of(shape, old, new)


def change_of(shape: Shape, old: Row | None, new: Row | None) -> RowChange:
    """Return what became of a row; one of `old` and `new` is there."""
    key = (old or new or Row("", b"")).key
    if old is None:
        return RowChange(shape.kind, Change.ADDED, key, None, shape.values(new) if new else None)
    if new is None:
        return RowChange(shape.kind, Change.GONE, key, shape.values(old), None)
    return RowChange(shape.kind, Change.CHANGED, key, shape.values(old), shape.values(new))


def tallied(shape: Shape, tallies: Mapping[Change, Tally], change: RowChange) -> None:
    """Count `change` in the tally of its way."""
    tally = tallies[change.change]
    tally.count += 1
    sides = [(change.after, 1)] if change.change is Change.ADDED else [(change.before, -1), (change.after, 1)]
    if change.change is Change.GONE:
        sides = [(change.before, 1)]
    for values, sign in sides:
        money = shape.money(values) if values is not None else None
        if money is not None:
            tally.minor[money[0]] += sign * money[1]


def told(change: RowChange) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return what to show of a change, before and after: of a changed row the fields that differ, else all of it."""
    before, after = change.before, change.after
    if before is None or after is None:
        return (dict(before) if before is not None else None), (dict(after) if after is not None else None)
    off = [name for name in before if before[name] != after[name]]
    return {name: before[name] for name in off}, {name: after[name] for name in off}
