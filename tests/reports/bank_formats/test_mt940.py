"""MT940: banks' own dialects are read, what is written is read back, and nothing of it reaches the log."""

import logging
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import money
from core.errors import Invalid
from reports.bank_formats import mt940_details
from reports.bank_formats.shape import BankRow
from tests.reports.bank_files import read

FILES = Path(__file__).parent / "files"
NAME = "statement STARTUMSE 00001/001"
ACCOUNT = "DE02120300000000202051"
SMALL = """:20:STARTUMSE
:25:12030000/0000202051
:28C:00001/001
:60F:C261001EUR100,00
:61:2610211020DR12,50NTRFKREF+//REF-1
:86:116?00UEBERWEISUNG?20EREF+E2E-1?21SVWZ+Commission?22 October
?31DE89370400440532013000?32Blog One?33 GmbH
:61:2612310102C3,NINTNONREF
:86:Interest
:62F:C261031EUR90,50
-
"""


def refused(text: str, account: str = ACCOUNT) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(text.encode(), account)
    return [(fault.field, fault.reason) for fault in caught.value.faults]


def test_a_statement_is_read_whole_under_its_german_account() -> None:
    [whole] = read(SMALL.encode(), ACCOUNT)
    statement = whole.statement

    assert (statement.reference, statement.currency, whole.account) == ("STARTUMSE 00001/001", "EUR", ACCOUNT)
    assert (statement.opened_on, statement.opening_minor) == (date(2026, 10, 1), 10000)
    assert (statement.closed_on, statement.closing_minor) == (date(2026, 10, 31), 9050)
    assert whole.rows[0] == BankRow(
        line=5,
        booked_on=date(2026, 10, 20),
        value_on=date(2026, 10, 21),
        amount_minor=-1250,
        currency="EUR",
        end_to_end_id="E2E-1",
        text="Commission October",
        counterparty="Blog One GmbH",
        counterparty_iban="DE89370400440532013000",
        bank_reference="REF-1",
    )
    # Booked in the new year what has its value in the old one.
    assert (whole.rows[1].booked_on, whole.rows[1].value_on) == (date(2027, 1, 2), date(2026, 12, 31))


def test_words_between_slashes_are_read_and_statements_follow_on() -> None:
    first, second = read((FILES / "rabobank-iban.sta").read_bytes(), "NL71RABO0123456789")

    assert [row.amount_minor for row in (*first.rows, *second.rows)] == [-2500, -1000, -2500, -1000]
    assert first.statement.closing_minor == second.statement.opening_minor == 96500
    assert first.rows[0].counterparty == "CONTRA ACCOUNT HOLDER"
    assert (first.rows[0].end_to_end_id, first.rows[0].line) == ("01-01-2013 12:00 0030000987654321", 6)
    assert (first.rows[1].counterparty, first.rows[1].end_to_end_id) == ("JOHN DOE", None)
    assert first.rows[1].text.splitlines() == ["Reference 201301234", "P001234567"]


def test_a_page_adds_up_by_itself_and_the_reversal_of_a_credit_is_money_out() -> None:
    page, other = read((FILES / "sepa_pages.sta").read_bytes())

    assert (page.account, page.statement.closing_minor) == ("50880050/0194781300888", -3050383)
    assert [row.amount_minor for row in page.rows] == [1999005, -5734, -500217, -500217]
    assert page.rows[0].end_to_end_id == "EndToEndId TFNR 22 001 00001"
    assert page.rows[0].text.startswith("Verwend CTSc-01 PPP TFNr 22 001MTLG")
    assert page.rows[1].counterparty_iban == "FR1420041010050500013M02606"
    assert [row.amount_minor for row in other.rows] == [30000, -20488]
    # Nothing marks the end of this end-to-end id: it stays in the text, whole.
    assert (other.rows[0].end_to_end_id, "TFNR 40005 00005MTLG" in other.rows[0].text) == (None, True)


def test_a_line_that_cannot_be_read_is_named_with_the_sum_that_lacks_it_and_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger=""):
        found = refused(SMALL.replace("DR12,50", "DR12.50EUR"))

    assert found == [
        ("line 5", "cannot be read as an entry (:61:)"),
        (
            "file",
            f"{NAME} does not add up: opening 100.00 and lines of 3.00 make 103.00, its closing says 90.50 EUR",
        ),
    ]
    assert caplog.text == ""


def test_what_is_missing_or_out_of_place_is_said() -> None:
    assert refused(SMALL.replace(":62F:C261031EUR90,50\n", "")) == [
        ("file", "statement STARTUMSE 00001/001 has no closing balance (:62F:)")
    ]
    assert refused(SMALL.replace("EUR90,50", "USD90,50")) == [
        ("file", "statement STARTUMSE 00001/001 mixes currencies: it opens in EUR and closes in USD")
    ]
    assert refused(SMALL, "DE00000000000000000000")[0] == (
        "account",
        "a statement is of account 12030000/0000202051, not DE00000000000000000000",
    )
    with pytest.raises(Invalid, match="a statement begins with :20:, not with :61:"):
        read(b":61:2610211020DR12,50NTRF\n", format="mt940")
    with pytest.raises(Invalid, match="line 7: a field has more than 20000 characters"):
        read(SMALL.replace("NTRFKREF", "\n".join(["x" * 9000] * 3)).encode(), ACCOUNT)


def test_a_word_between_slashes_tells_the_other_side() -> None:
    found = mt940_details.facts({}, "/TRTP/SEPA/CNTP/NL32INGB0000012345/INGBNL2A/ING BANK/TOWN/REMI/USTD//Order 7/")

    assert (found.counterparty, found.counterparty_iban, found.text) == ("ING BANK", "NL32INGB0000012345", "Order 7")


ROWS = st.lists(
    st.tuples(
        st.dates(date(2001, 1, 1), date(2079, 12, 28)),
        st.integers(-(10**9), 10**9).filter(bool),
        st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9 ().,+?'-]{0,58}[A-Za-z0-9])?", fullmatch=True),
    ),
    max_size=8,
)


def written(rows: list[tuple[date, int, str]]) -> str:
    """Return a statement with `rows`, each with its text on lines of 20 characters."""

    def balance(minor: int) -> str:
        return f"{'D' if minor < 0 else 'C'}261031EUR{money.to_text(abs(minor), 'EUR').replace('.', ',')}"

    lines = [":20:R", f":25:{ACCOUNT}EUR", f":60F:{balance(5000)}"]
    for on, minor, text in rows:
        amount = money.to_text(abs(minor), "EUR").replace(".", ",")
        lines.append(f":61:{on:%y%m%d}{on:%m%d}{'D' if minor < 0 else 'C'}{amount}NTRFNONREF")
        lines.append(f":86:{text}")
    return "\r\n".join([*lines, f":62F:{balance(5000 + sum(minor for _, minor, _ in rows))}", "-"])


@settings(max_examples=40)
@given(ROWS)
def test_what_is_written_is_read_back(rows: list[tuple[date, int, str]]) -> None:
    [whole] = read(written(rows).encode(), ACCOUNT)

    assert [(row.booked_on, row.amount_minor, row.text) for row in whole.rows] == rows
