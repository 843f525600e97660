"""BAI2: banks' examples are read, and every trailer has to agree with what came."""

from datetime import date
from pathlib import Path

import pytest

from core.errors import Invalid
from reports.bank_formats.shape import BankRow, Pending
from tests.reports.bank_files import read

FILES = Path(__file__).parent / "files"
CITI = (FILES / "citi_example.bai2").read_text()
SVB = (FILES / "svb_us_example.bai2").read_text()
NWB = (FILES / "nwb_example.bai2").read_text()


def test_a_statement_with_opening_and_closing_is_read_and_its_continued_text_is_whole() -> None:
    [whole] = read(NWB.encode())

    assert (whole.account, whole.statement.currency) == ("88888888600004", "GBP")
    assert (whole.statement.opening_minor, whole.statement.closing_minor) == (36521, 33845)
    assert [row.amount_minor for row in whole.rows] == [-971, -100, -123, -1571, 89]
    assert whole.rows[4].text.endswith("BGC INTERNATIONAL-5373 CLIE NT SECCY AC TFR")
    first, second = read(SVB.encode(), "1234567890")
    assert first.statement.closing_minor == second.statement.opening_minor == 35217175
    assert second.rows[0] == BankRow(
        line=16,
        booked_on=date(2022, 2, 2),
        value_on=None,
        amount_minor=905800,
        currency="USD",
        end_to_end_id=None,
        text="SOME PAYMENT ACH OFFSET",
        counterparty=None,
        counterparty_iban=None,
        bank_reference="150675",
    )


def test_a_statement_that_does_not_add_up_is_refused_with_its_figures() -> None:
    # The example's own balances leave its one credit out.
    with pytest.raises(Invalid) as caught:
        read(CITI.encode())

    [fault] = caught.value.faults
    assert fault.reason == (
        "statement CITIGB00 2015-07-15 does not add up: opening 100.00 and lines of 0.01 make 100.01, "
        "its closing says 100.00 GBP"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("16,142,490196", "16,142,490197"),
            ("line 9", "its control total is 138884258, and what came makes 138884259"),
        ),
        (("49,138884258,7/", "49,138884258,8/"), ("line 9", "it counts 8 records, and 7 came")),
        (("\n99,282030196,2,20", ""), ("file", "ends without its trailer (99): part of it is missing")),
        (("98,138884258,1,9/\n", ""), ("file", "line 10: a record 02 does not stand here")),
        (("1,220201,,USD", "4,220201,,USD"), ("line 2", "is of a group for test_only, and not loaded")),
        (("03,1234567890,USD,010", "XY"), ("file", "line 3 begins with no record code of BAI2")),
        (("010,34726979", "010,3472x979"), ("line 3", "has an amount that is none: '3472x979'")),
    ],
)
def test_a_file_that_lacks_something_is_refused(change: tuple[str, str], said: tuple[str, str]) -> None:
    assert change[0] in SVB

    with pytest.raises(Invalid) as caught:
        read(SVB.replace(*change, 1).encode(), format="bai2")

    assert said in [(fault.field, fault.reason) for fault in caught.value.faults]


def test_codes_of_the_banks_own_have_their_directions_and_what_is_no_money_is_listed() -> None:
    head = "01,A,B,260101,0101,1,,,2/\n02,B,A,1,261020,,USD,2/\n"
    base = head + "03,77,,010,10000,,,015,{closing},,/\n{details}\n49,{total},{lines}/\n"

    def small(details: list[str], closing: int, amounts: int) -> bytes:
        total = 10000 + closing + amounts
        text = base.format(closing=closing, details="\n".join(details), total=total, lines=2 + len(details))
        return f"{text}98,{total},1,{4 + len(details)}/\n99,{total},1,{6 + len(details)}/".encode()

    [whole] = read(small(["16,935,100,,R1,C1,in/", "16,975,40,,R2,,out/", "16,890,,,,,hello/"], 10060, 140))

    assert [(row.amount_minor, row.bank_reference, row.text) for row in whole.rows] == [
        (100, "R1", "in\nC1"),
        (-40, "R2", "out"),
    ]
    assert whole.pending == [Pending(6, "is a message without money")]
    with pytest.raises(Invalid, match="has the code 915, which says neither credit nor debit"):
        read(small(["16,915,100,,,,x/"], 10060, 100))
