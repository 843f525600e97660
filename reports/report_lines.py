"""Rows of texts become lines of a network's report, or are rejected with the first reason found in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date
from itertools import compress
from typing import Any

from reports import report_cells
from reports.csv_report import Cells, NetworkRow, Rejected
from reports.report_cells import STATUS_LENGTH_MAX, Made
from reports.report_mapping import Columns, ReportMapping


@dataclass(frozen=True)
class Lines:
    """Understood rows, column by column; `days` are ISO texts, `numbers` lines of the file."""

    numbers: list[int]
    transaction_ids: list[str | None]
    click_ids: list[str | None]
    group_keys: list[str | None]
    line_ids: list[str | None]
    currencies: list[str]
    amounts_minor: list[int]
    words: list[str | None]
    days: list[str]

    def rows(self) -> Iterator[NetworkRow]:
        """Yield them one by one."""
        for number, transaction, click, group, line, currency, amount, word, day in zip(
            *(getattr(self, field.name) for field in fields(self)), strict=True
        ):
            yield NetworkRow(number, transaction, click, amount, currency, word, date.fromisoformat(day), group, line)


class Reader:
    """Reads the chunks of one file through its mapping; what it has read once it knows."""

    def __init__(self, mapping: ReportMapping) -> None:
        self._mapping = mapping
        self._days = report_cells.days(mapping.date_format, mapping.timezone)
        self._amounts: dict[str, Made] = {}

    def read(self, names: Sequence[str], cells: Cells) -> tuple[Lines, list[Rejected]]:
        """Return the lines of `cells`, whose columns are called `names`, and what is rejected, by line."""
        mapping, by_name = self._mapping, dict(zip(names, cells.columns, strict=True))
        reasons: dict[int, str] = {}

        def good(values: list[Any]) -> list[Any]:
            for place, reason in report_cells.reasons(values):
                reasons.setdefault(place, reason)
            return values

        def key(columns: Columns | None, name: str) -> list[Any]:
            if columns is None:
                return [None] * len(cells.lines)
            return good(report_cells.kept(report_cells.together(columns, by_name), name))

        transactions = key(mapping.transaction_id, "transaction id")
        clicks = key(mapping.click_id, "click id")
        groups = key(mapping.group_key, "group key")
        line_ids = key(mapping.line_id, "line id")
        own = line_ids if mapping.line_id is not None else None
        for place, reason in _nameless(transactions, clicks, groups, own):
            reasons.setdefault(place, reason)
        currencies = self._currencies(by_name, len(cells.lines))
        amounts = good(self._amounts_of(currencies, by_name[mapping.amount]))
        words: list[Any] = [None] * len(cells.lines)
        if mapping.status is not None:
            words = good(report_cells.kept(by_name[mapping.status], "status", STATUS_LENGTH_MAX))
        days = good(self._days(by_name[mapping.date_column]))
        every = (cells.lines, transactions, clicks, groups, line_ids, currencies, amounts, words, days)
        rejected = [*cells.rejected, *(Rejected(cells.lines[place], reason) for place, reason in reasons.items())]
        if reasons:
            is_good = [place not in reasons for place in range(len(cells.lines))]
            every = tuple(list(compress(column, is_good)) for column in every)  # type: ignore[assignment]
        return Lines(*every), sorted(rejected, key=lambda each: each.line)

    def _currencies(self, cells: dict[str, list[str]], count: int) -> list[str]:
        if self._mapping.currency is None:
            return [str(self._mapping.currency_code)] * count
        return cells[self._mapping.currency]

    def _amounts_of(self, currencies: list[str], texts: list[str]) -> list[Any]:
        if len(set(currencies)) == 1:
            made = self._amount(currencies[0])
            return [made[text] for text in texts]
        return [self._amount(currency)[text] for currency, text in zip(currencies, texts, strict=True)]

    def _amount(self, currency: str) -> Made:
        found = self._amounts.get(currency)
        if found is None:
            if len(self._amounts) > _CURRENCIES_MAX:
                # A column of anything but currencies: what it says is told row by row, and none of it kept.
                self._amounts.clear()
            mapping = self._mapping
            found = self._amounts[currency] = report_cells.amounts(
                currency=currency,
                decimal=mapping.decimal,
                thousands=mapping.thousands,
                is_negated=mapping.is_negated,
            )
        return found


_CURRENCIES_MAX = 300


def _nameless(
    transactions: list[Any], clicks: list[Any], groups: list[Any], line_ids: list[Any] | None
) -> Iterator[tuple[int, str]]:
    """Yield the places of rows that name nothing of ours, or have no id of their own where the mapping says so."""
    if None in transactions:
        for place, said in enumerate(zip(transactions, clicks, groups, strict=True)):
            if said == (None, None, None):
                yield place, "has no transaction id"
    for place, said in enumerate(line_ids or ()):
        if said is None:
            yield place, "has no id of its own"
