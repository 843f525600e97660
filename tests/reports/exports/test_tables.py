"""Cells as text, totals by currency, and filters whose faults are all told at once."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.money import EXPONENTS
from reports.exports import filtering
from reports.exports.catalogue import REPORTS
from reports.exports.filtering import Filters
from reports.exports.schemas import ReportQuerySchema
from reports.exports.tables import Cell, Column, Kind, Totals, text_of

COLUMNS = (
    Column("name", "Name"),
    Column("count", "Count", Kind.COUNT),
    Column("ours", "Ours", Kind.MONEY, "ours_currency"),
    Column("ours_currency", "Ours in"),
    Column("amount", "Amount", Kind.MONEY),
    Column("currency", "Currency"),
)
MOMENT = datetime(2026, 10, 3, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("kind", "cell", "currency", "text"),
    [
        (Kind.MONEY, 1234, "EUR", "12.34"),
        (Kind.MONEY, -5, "EUR", "-0.05"),
        (Kind.MONEY, 1234, "JPY", "1234"),
        (Kind.MONEY, -1, "KWD", "-0.001"),
        (Kind.MONEY, 1234, None, ""),
        (Kind.PERCENT, 9833, None, "98.33"),
        (Kind.PERCENT, 0, None, "0.00"),
        (Kind.COUNT, 1000000, None, "1000000"),
        (Kind.DATE, date(2026, 10, 3), None, "2026-10-03"),
        (Kind.MOMENT, MOMENT, None, "2026-10-03T10:00:00.000005Z"),
        (Kind.TEXT, None, None, ""),
    ],
)
def test_a_cell_is_written_exactly(kind: Kind, cell: Cell, currency: str | None, text: str) -> None:
    assert text_of(kind, cell, currency) == text


CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
AMOUNTS = st.none() | st.integers(-(10**15), 10**15)


@given(st.lists(st.tuples(st.text(), st.integers(0, 99), AMOUNTS, CURRENCIES, AMOUNTS, CURRENCIES)))
def test_totals_are_the_sums_of_each_currency_by_itself(rows: list[tuple[Cell, ...]]) -> None:
    totals = Totals(COLUMNS)

    assert list(totals.watching(rows)) == rows

    found = {total.currency: total for total in totals.lines()}
    for currency in ("EUR", "JPY", "KWD"):
        sums = found[currency].sums if currency in found else {}
        assert sums.get("amount", 0) == sum(row[4] or 0 for row in rows if row[5] == currency)  # type: ignore[misc]
        assert sums.get("ours", 0) == sum(row[2] or 0 for row in rows if row[3] == currency)  # type: ignore[misc]
        assert sums.get("count", 0) == sum(row[1] for row in rows if row[5] == currency)  # type: ignore[misc]
    assert sum(total.rows for total in totals.lines()) == len(rows)


def test_every_fault_of_the_filters_is_told_at_once() -> None:
    given = {
        "period": "2026-13", "as_of": "31.10.2026", "currency": "ABC", "colour": "red", "since": "2026-10-01",
        "affiliate_id": "'; --", "mark": "", "leg": 7,
    }  # fmt: skip

    with pytest.raises(Invalid) as caught:
        filtering.read(given, takes=filtering.NAMES, needs=("state",), path="filters.")

    assert [(fault.field, fault.reason) for fault in caught.value.faults] == [
        ("filters.period", "takes a month, such as 2026-10"),
        ("filters.as_of", "takes a day, such as 2026-10-31"),
        ("filters.currency", "'ABC' is not a currency of ISO 4217"),
        ("filters.colour", f"is no filter here: the report takes {', '.join(filtering.NAMES)}"),
        ("filters.since", "takes an RFC 3339 time with its offset, such as 2026-10-03T10:00:00Z"),
        ("filters.affiliate_id", "takes up to 40 letters, digits and . _ -"),
        ("filters.mark", "takes a name of up to 80 letters, digits, spaces and . _ -"),
        ("filters.leg", "takes up to 40 letters, digits and . _ -"),
        ("filters.state", "is needed"),
    ]


def test_until_lies_behind_since_and_a_mark_says_since_when() -> None:
    given = {"since": "2026-10-03T10:00:00Z", "until": "2026-10-03T11:59:59+02:00", "mark": "Xero"}

    with pytest.raises(Invalid) as caught:
        filtering.read(given, takes=("since", "until", "mark"))

    assert [str(fault.reason) for fault in caught.value.faults] == [
        "is before since", "goes without a mark: the mark says since when",
    ]  # fmt: skip


@given(
    st.builds(
        Filters,
        period=st.none() | st.dates(date(1, 1, 1)).map(lambda day: f"{day.year:04}-{day.month:02}"),
        currency=st.none() | st.sampled_from(sorted(EXPONENTS)),
        as_of=st.none() | st.dates(),
        since=st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2020, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis' own form
        until=st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    )
)
def test_filters_that_were_shown_are_read_as_the_same(filters: Filters) -> None:
    assert filtering.read(filters.shown(), takes=filtering.NAMES) == filters


def test_every_report_says_what_it_is_in_the_same_way() -> None:
    for name, report in REPORTS.items():
        names = [column.name for column in report.columns]
        assert name == report.name
        assert len(set(names)) == len(names), name
        assert set(report.needs) <= set(report.takes) <= set(filtering.NAMES), name
        # In a PDF the word "Total" stands in the first column.
        assert report.columns[0].kind not in {Kind.MONEY, Kind.COUNT, Kind.PERCENT}, name
        for column in report.columns:
            assert column.kind is not Kind.MONEY or column.currency in names, (name, column.name)
    assert set(ReportQuerySchema().fields) == {"format", *filtering.NAMES}
