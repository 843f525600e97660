"""A bank's camt.053 file: what is booked becomes lines, what does not add up is refused."""

from datetime import date
from pathlib import Path

import pytest

from core.errors import Invalid
from reports.camt053 import BankRow, Pending, read

FILES = Path(__file__).parent / "files"
ACCOUNT = "DE02120300000000202051"
OCTOBER = (FILES / "october.camt053.xml").read_text(encoding="utf-8")


def refused(text: str, account: str = ACCOUNT) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(text.encode(), account)
    return [(fault.field, fault.reason) for fault in caught.value.faults]


def test_a_statement_is_read_whole() -> None:
    [statement] = read(OCTOBER.encode(), ACCOUNT)

    assert (statement.reference, statement.currency) == ("STMT-2026-10", "EUR")
    assert (statement.opened_on, statement.opening_minor) == (date(2026, 10, 1), 10000)
    assert (statement.closed_on, statement.closing_minor) == (date(2026, 10, 31), -950)
    assert statement.pending == (Pending(43, "is PDNG, not booked"),)
    assert statement.rows[0] == BankRow(
        line=17,
        booked_on=date(2026, 10, 20),
        value_on=date(2026, 10, 21),
        amount_minor=-1250,
        currency="EUR",
        end_to_end_id="E2E-1",
        text="Commission\nOctober",
        counterparty="Blog One GmbH",
        counterparty_iban="DE89370400440532013000",
        bank_reference="REF-1",
    )


def test_an_entry_of_several_transactions_becomes_one_line_for_each_that_has_its_own_amount() -> None:
    [statement] = read(OCTOBER.encode(), ACCOUNT)

    found = [(row.amount_minor, row.end_to_end_id, row.booked_on) for row in statement.rows[1:3]]
    assert found == [(-6000, "E2E-2", date(2026, 10, 22)), (-4000, None, date(2026, 10, 22))]
    assert (statement.rows[3].amount_minor, statement.rows[3].text) == (300, "Interest")


def test_an_entry_whose_transactions_do_not_make_it_up_stays_one_line_and_belongs_to_none_of_them() -> None:
    text = OCTOBER.replace('<Amt Ccy="EUR">40.00</Amt>', '<Amt Ccy="EUR">39.00</Amt>')

    [statement] = read(text.encode(), ACCOUNT)

    assert [(row.amount_minor, row.end_to_end_id) for row in statement.rows] == [
        (-1250, "E2E-1"),
        (-10000, None),
        (300, None),
    ]


def test_a_statement_that_does_not_add_up_is_refused() -> None:
    assert refused(OCTOBER.replace('"EUR">12.50', '"EUR">12.51')) == [
        (
            "file",
            "statement STMT-2026-10 does not add up: opening and lines make -9.51, its closing says -9.50",
        )
    ]


def test_another_account_and_an_entry_that_cannot_be_read_are_told_at_once() -> None:
    text = OCTOBER.replace("<Dt>2026-10-20</Dt>", "<Dt>2026-02-30</Dt>")

    found = refused(text, "DE00000000000000000000")

    assert [field for field, _ in found] == ["line 17", "account", "file"]
    assert found[0][1] == "has a date that is none: 2026-02-30"


def test_a_document_type_is_refused_before_anything_in_it_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("top secret")
    declared = f'<!DOCTYPE Document [<!ENTITY xxe SYSTEM "file://{secret}">]>'
    text = OCTOBER.replace("<Document", f"{declared}<Document", 1).replace("Commission", "&xxe;")

    found = refused(text)

    assert found == [("file", "declares a document type (DTD), which no bank statement needs")]


def test_entities_that_would_grow_without_end_are_refused() -> None:
    entities = '<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
    )
    text = OCTOBER.replace("<Document", f"<!DOCTYPE Document [{entities}]><Document", 1).replace("Interest", "&j;")

    assert refused(text)[0][0] == "file"


def test_what_is_no_xml_or_another_message_is_refused() -> None:
    assert refused("not XML")[0][1].startswith("is no well-formed XML")
    assert refused(OCTOBER[:900])[0][1].startswith("is no well-formed XML")
    assert refused(OCTOBER.replace("camt.053.001.08", "camt.052.001.08"))[0][1].startswith("is no camt.053.001")
    assert refused('<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"/>') == [
        ("file", "holds no statement")
    ]


def test_the_older_form_of_the_status_and_of_the_parties_is_read() -> None:
    text = (
        OCTOBER.replace("camt.053.001.08", "camt.053.001.02")
        .replace("<Sts><Cd>BOOK</Cd></Sts>", "<Sts>BOOK</Sts>")
        .replace("<Pty><Nm>Blog One GmbH</Nm></Pty>", "<Nm>Blog One GmbH</Nm>")
        .replace("OPBD", "PRCD")
    )

    [statement] = read(text.encode(), ACCOUNT)

    assert len(statement.rows) == 4
    assert statement.rows[0].counterparty == "Blog One GmbH"


def test_a_statement_without_a_closing_balance_is_refused() -> None:
    assert refused(OCTOBER.replace("CLBD", "CLAV")) == [("file", "statement STMT-2026-10 has no balance CLBD")]
