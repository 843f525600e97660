"""OFX 1 and 2: the bank's own days and amounts, without a guess, in a file of bounded size."""

from datetime import date
from pathlib import Path

import pytest

from core.errors import Invalid
from reports.bank_formats import ofx
from reports.bank_formats.shape import BankRow, Rejected
from tests.reports.bank_files import read

FILES = Path(__file__).parent / "files"
CHECKING = (FILES / "checking.ofx").read_text()
SUNCORP = (FILES / "suncorp.ofx").read_text()


def test_both_versions_are_read_and_no_opening_balance_is_made_up() -> None:
    [old], [new] = read(CHECKING.encode()), read(SUNCORP.encode(), "123456789")

    assert (old.account, old.statement.reference) == ("1452687~7", "OFX 2000-01-01..2013-05-25")
    assert (old.statement.opening_minor, old.statement.closing_minor) == (None, 10099)
    assert [(row.amount_minor, row.booked_on, row.line) for row in old.rows] == [
        (1, date(2011, 3, 31), 46),
        (-3451, date(2011, 4, 5), 54),
        (-2500, date(2011, 4, 7), 62),
    ]
    assert old.rows[2].text == "RETURNED CHECK FEE, CHECK # 319 FOR $45.33 ON 04/07/11\n319"
    assert new.rows == [
        BankRow(
            line=35,
            booked_on=date(2013, 12, 15),
            value_on=None,
            amount_minor=-1685,
            currency="AUD",
            end_to_end_id=None,
            text="EFTPOS WDL HANDYWAY ALDI STORE   GEELONG WEST VICAU\n0",
            counterparty="EFTPOS WDL HANDYWAY ALDI STORE",
            counterparty_iban=None,
            bank_reference="1",
        )
    ]


def test_a_day_stays_the_bank_s_own_day_in_every_time_zone() -> None:
    text = SUNCORP.replace("<DTPOSTED>20131215", "<DTPOSTED>20131215233000.000[-7:PDT]")

    assert read(text.encode())[0].rows[0].booked_on == date(2013, 12, 15)


def test_a_bad_row_is_listed_and_good_ones_are_read() -> None:
    bad = (FILES / "decimal_error.ofx").read_bytes()
    twins = SUNCORP.replace("<TRNAMT>-16.85", "<TRNAMT>1.000,50", 1)
    foreign = SUNCORP.replace("<FITID>1<", "<CURRENCY><CURSYM>USD</CURSYM></CURRENCY><FITID>1<")

    assert read(bad)[0].rejected == [Rejected(34, "Invalid Transaction Amount: '$120'")]
    assert read(twins.encode())[0].rejected == [Rejected(35, "Invalid Transaction Amount: '1.000,50'")]
    assert read(foreign.encode())[0].rejected == [Rejected(35, "is in USD, its statement in AUD")]


def test_several_accounts_go_each_to_its_own_or_are_refused() -> None:
    content = (FILES / "multiple_accounts.ofx").read_bytes()

    assert [(whole.account, whole.statement.closing_minor) for whole in read(content)] == [
        ("9100", 11100),
        ("9200", 22200),
    ]
    with pytest.raises(Invalid, match="a statement is of account 9200, not 9100"):
        read(content, "9100")


def test_what_is_too_large_too_deep_or_declares_entities_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = SUNCORP.replace("<STMTRS>", "<STMTRS>" + "<A>" * 50 + "</A>" * 50)
    declared = SUNCORP.replace("<OFX>", '<!DOCTYPE OFX [<!ENTITY a "b">]><OFX>')

    for text, said in (
        (deep, "more than 40 deep"),
        (declared, "declares a document type"),
        ("<OFX></OFX>", "no statement"),
    ):
        with pytest.raises(Invalid, match=said):
            read(text.encode())
    monkeypatch.setattr(ofx, "BYTES_MAX", 1000)
    with pytest.raises(Invalid, match="is larger than"):
        read(SUNCORP.encode())


def test_many_entries_of_sgml_are_closed_in_one_walk() -> None:
    entry = CHECKING[CHECKING.index("\t\t\t\t\t<STMTTRN>") : CHECKING.index("</STMTTRN>") + 11]
    text = CHECKING.replace(entry, entry * 300, 1)

    [whole] = read(text.encode())

    assert ofx._closed("<OFX><CODE>0<A><B>1\n</A><![CDATA[<C>]]><D>2</OFX>") == (
        "<OFX><CODE>0</CODE><A><B>1\n</B></A><![CDATA[<C>]]><D>2</D></OFX>"
    )
    assert (len(whole.rows), whole.rows[299].line) == (302, 46 + 299 * 8)
