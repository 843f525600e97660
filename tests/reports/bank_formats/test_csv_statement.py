"""A bank's CSV by a mapping: what is written is read back, every bad row is listed, every fault told at once."""

import csv
import io
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import money
from core.errors import Invalid
from reports.bank_formats.shape import BankRow, Rejected
from tests.reports.bank_files import read

ACCOUNT = "DE02120300000000202051"
SPARKASSE = {
    "booked_on": "Buchungstag",
    "value_on": "Valuta",
    "date_format": "%d.%m.%Y",
    "amount": "Betrag",
    "currency": "Waehrung",
    "direction": {"column": "S/H", "credit": ["H"], "debit": ["S"]},
    "text": ["Art", "Zweck"],
    "counterparty": "Name",
    "counterparty_iban": "IBAN",
    "bank_reference": "Referenz",
    "decimal": ",",
    "thousands": ".",
    "delimiter": ";",
    "encoding": "cp1252",
    "skip": 2,
}
GERMAN = """Konto;DE02120300000000202051
Export vom 01.11.2026
Buchungstag;Valuta;Betrag;Waehrung;S/H;Art;Zweck;Name;IBAN;Referenz
20.10.2026;21.10.2026;1.012,50;EUR;S;Überweisung;"Commission;
October";Blog One GmbH;DE89 3704 0044 0532 0130 00;REF-1
20.10.2026;;7,00;USD;H;Gutschrift;;;;
20.10.2026;;10.12,50;EUR;S;x;;;;
20.10.2026;;1,00;EUR;?;x;;;;
32.10.2026;;1,00;EUR;S;x;;;;
21.10.2026;;1,00;EUR;S;x
"""
SMALL: dict[str, Any] = {"booked_on": "day", "amount": "sum", "currency": "=EUR", "text": "text"}


def test_each_currency_is_a_statement_of_its_own_and_bad_rows_are_listed_with_their_lines() -> None:
    euro, dollar = read(GERMAN.encode("cp1252"), ACCOUNT, mapping=SPARKASSE)

    assert euro.rows == [
        BankRow(
            line=4,
            booked_on=date(2026, 10, 20),
            value_on=date(2026, 10, 21),
            amount_minor=-101250,
            currency="EUR",
            end_to_end_id=None,
            text="Überweisung\nCommission;\nOctober",
            counterparty="Blog One GmbH",
            counterparty_iban="DE89370400440532013000",
            bank_reference="REF-1",
        )
    ]
    assert [(row.line, row.amount_minor, row.currency) for row in dollar.rows] == [(6, 700, "USD")]
    assert euro.rejected == [
        Rejected(7, "'10.12,50' is not an amount with '.' between the thousands"),
        Rejected(8, "says '?', which is neither a word for credit nor one for debit"),
        Rejected(9, "'32.10.2026' is not a date of the form %d.%m.%Y"),
        Rejected(10, "has 6 cells where the header has 10"),
    ]
    assert (dollar.rejected, dollar.statement.reference) == ([], "CSV 2026-10-20..2026-10-20")


def test_two_columns_of_debit_and_credit_take_one_amount_each() -> None:
    mapping = {"booked_on": "day", "debit": "out", "credit": "in", "currency": "=EUR"}
    content = (
        b"day,out,in\n2026-10-01,1.00,\n2026-10-01,-2.00,0.00\n2026-10-01,,3.00\n2026-10-01,1.00,1.00\n2026-10-01,,\n"
    )

    [whole] = read(content, ACCOUNT, mapping=mapping)

    assert [row.amount_minor for row in whole.rows] == [-100, -200, 300]
    assert [entry.line for entry in whole.rejected] == [5, 6]


def test_balances_that_a_person_tells_have_to_add_up() -> None:
    content = b"day,sum,text\n2026-10-01,-1.00,x\n2026-10-02,2.50-,y\n"
    told = {"opening": {"amount": "10.00", "on": "2026-09-30"}, "closing": {"amount": "6.50", "on": "2026-10-31"}}

    [whole] = read(content, ACCOUNT, mapping=SMALL | told)

    assert (whole.statement.opened_on, whole.statement.closing_minor) == (date(2026, 9, 30), 650)
    with pytest.raises(Invalid, match=r"opening 10\.00 and lines of -1\.00 make 9\.00, its closing says 6\.50 EUR"):
        read(content.replace(b"2.50-", b"2,50-"), ACCOUNT, mapping=SMALL | told)
    [credited] = read(content, ACCOUNT, mapping=SMALL | {"positive": "debit"})
    assert [row.amount_minor for row in credited.rows] == [100, 250]


def test_all_faults_of_a_mapping_are_told_at_once() -> None:
    mapping = {
        "booked_on": "date", "amount": "sum", "debit": "sum", "currency": "=EURO", "text": ["text", 7], "colour": "red",
        "decimal": ",", "thousands": ",", "delimiter": "x", "skip": -1, "date_format": "%d.%m.", "direction": {},
        "opening": {"amount": "1,0", "on": "yesterday"}, "closing": 5,
    }  # fmt: skip

    with pytest.raises(Invalid) as caught:
        read(b"day,sum,text\n", ACCOUNT, mapping=mapping)

    assert [fault.field for fault in caught.value.faults] == [
        "mapping.colour", "mapping.booked_on", "mapping.delimiter", "mapping.text", "mapping.amount",
        "mapping.thousands", "mapping.direction", "mapping.currency", "mapping.date_format", "mapping.skip",
        "mapping.opening.amount", "mapping.opening.on", "mapping.closing",
    ]  # fmt: skip
    wrongs: list[Any] = ["text", None, [], {"booked_on": "\0", "amount": "sum", "currency": "=EUR"}]
    for wrong in wrongs:
        with pytest.raises(Invalid, match="mapping"):
            read(b"day,sum,text\n", ACCOUNT, format="csv", mapping=wrong)


def test_a_file_of_another_encoding_and_one_without_an_account_are_refused() -> None:
    with pytest.raises(Invalid, match="line 2 is not utf-8: say its encoding"):
        read("day,sum,text\n2026-10-01,1.00,ü\n".encode("cp1252"), ACCOUNT, mapping=SMALL)
    with pytest.raises(Invalid, match="is needed: the file does not say whose statement it is"):
        read(b"day,sum,text\n2026-10-01,1.00,x\n", mapping=SMALL)


MARKS = st.sampled_from([(".", ""), (".", ","), (",", "."), (",", ""), (".", "'"), (",", " ")])
TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=30).map(str.strip)
ROWS = st.lists(st.tuples(st.dates(), st.integers(-(10**12), 10**12), TEXT), max_size=8)


@settings(max_examples=50)
@given(ROWS, MARKS, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y"]))
def test_what_is_written_is_read_back(
    rows: list[tuple[date, int, str]], marks: tuple[str, str], delimiter: str, date_format: str
) -> None:
    decimal, thousands = marks
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter)
    writer.writerow(["day", "sum", "text"])
    for on, minor, text in rows:
        whole, _, decimals = money.to_text(minor, "EUR").partition(".")
        amount = f"{'-' if minor < 0 else ''}{abs(int(whole)):,}".replace(",", thousands) + decimal + decimals
        day = date_format.replace("%Y", f"{on.year:04}").replace("%m", f"{on.month:02}").replace("%d", f"{on.day:02}")
        writer.writerow([day, amount, text])
    mapping = SMALL | {
        "decimal": decimal, "thousands": thousands, "delimiter": delimiter, "date_format": date_format
    }  # fmt: skip

    [found] = read(written.getvalue().encode(), ACCOUNT, mapping=mapping)

    assert found.rejected == []
    assert [(row.booked_on, row.amount_minor, row.text) for row in found.rows] == rows
