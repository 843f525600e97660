"""A bank's camt.053 file: what is booked becomes lines, what does not add up is refused."""

import io
import tarfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from core.errors import Invalid
from reports.bank_formats import camt053, camt053_stream
from reports.bank_formats.shape import BankRow, Pending
from tests.reports.bank_files import read

FILES = Path(__file__).parent / "files"
DOES_NOT_ADD_UP = "statement STMT-2026-10 does not add up:"
ACCOUNT = "DE02120300000000202051"
OCTOBER = (FILES.parent.parent / "files" / "october.camt053.xml").read_text(encoding="utf-8")


def refused(text: str, account: str = ACCOUNT) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        read(text.encode(), account, format="camt.053")
    return [(fault.field, fault.reason) for fault in caught.value.faults]


def test_a_statement_is_read_whole() -> None:
    [whole] = read(OCTOBER.encode(), ACCOUNT)
    statement = whole.statement

    assert (statement.reference, statement.currency) == ("STMT-2026-10", "EUR")
    assert (statement.opened_on, statement.opening_minor) == (date(2026, 10, 1), 10000)
    assert (statement.closed_on, statement.closing_minor) == (date(2026, 10, 31), -950)
    assert whole.pending == [Pending(43, "is PDNG, not booked")]
    assert whole.rows[0] == BankRow(
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
            f"{DOES_NOT_ADD_UP} opening 100.00 and lines of -109.51 make -9.51, its closing says -9.50 EUR",
        )
    ]


def test_a_line_of_another_currency_is_in_no_sum() -> None:
    assert refused(OCTOBER.replace('<Amt Ccy="EUR">3.00', '<Amt Ccy="USD">3.00')) == [
        ("file", "statement STMT-2026-10 mixes currencies: EUR, USD")
    ]


def test_another_account_and_an_entry_that_cannot_be_read_are_told_at_once() -> None:
    text = OCTOBER.replace("<Dt>2026-10-20</Dt>", "<Dt>2026-02-30</Dt>")

    found = refused(text, "DE00000000000000000000")

    assert [field for field, _ in found] == ["account", "line 17", "file"]
    assert found[1][1] == "has a date that is none: 2026-02-30"


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


# What changed between the versions, as their schemas say it.
STATUS_IS_A_WORD = range(2, 7)
PARTY_IS_NESTED = range(7, 15)
AMOUNT_IS_NEEDED = range(3, 15)


def of_version(version: int) -> str:
    """Return one statement of two entries as a bank writes it in `version` of camt.053."""
    status = "BOOK" if version in STATUS_IS_A_WORD else "<Cd>BOOK</Cd>"
    name = "<Nm>Blog One GmbH</Nm>"
    party = f"<Pty>{name}</Pty>" if version in PARTY_IS_NESTED else name
    amount = '<Amt Ccy="EUR">12.50</Amt><CdtDbtInd>DBIT</CdtDbtInd>' if version in AMOUNT_IS_NEEDED else ""
    code = "<BkTxCd><Prtry><Cd>1</Cd></Prtry></BkTxCd>"
    balances = "".join(
        f'<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount_}</Amt>'
        f"<CdtDbtInd>CRDT</CdtDbtInd><Dt>{day}</Dt></Bal>"
        for kind, amount_, day in (
            ("OPBD", "100.00", "<Dt>2026-10-01</Dt>"),
            ("CLBD", "90.50", "<DtTm>2026-10-31T23:59:00+01:00</DtTm>"),
        )
    )
    return (
        f'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02}">'
        "<BkToCstmrStmt><GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-01T06:00:00Z</CreDtTm></GrpHdr>"
        "<Stmt><Id>S</Id><CreDtTm>2026-11-01T06:00:00Z</CreDtTm>"
        f"<Acct><Id><IBAN>{ACCOUNT}</IBAN></Id></Acct>{balances}"
        f'<Ntry><Amt Ccy="EUR">12.50</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>{status}</Sts>'
        f"<BookgDt><DtTm>2026-10-20T09:30:00+02:00</DtTm></BookgDt><ValDt><Dt>2026-10-21</Dt></ValDt>{code}"
        f"<NtryDtls><TxDtls><Refs><EndToEndId>E2E-1</EndToEndId></Refs>{amount}"
        f"<RltdPties><Cdtr>{party}</Cdtr><CdtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></CdtrAcct></RltdPties>"
        "<RmtInf><Ustrd>October</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
        f'<Ntry><Amt Ccy="EUR">3</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>{status}</Sts>'
        f"<BookgDt><Dt>2026-10-25</Dt></BookgDt>{code}<AddtlNtryInf>Interest</AddtlNtryInf></Ntry>"
        "</Stmt></BkToCstmrStmt></Document>"
    )


def schemas() -> Iterator[tuple[int, etree.XMLSchema]]:
    """Yield the schema of each version (files/README.md says whose they are)."""
    with tarfile.open(FILES / "camt053-xsd.tar.xz") as packed:
        for member in packed:
            schema = packed.extractfile(member)
            assert schema is not None
            yield int(member.name.split(".")[3]), etree.XMLSchema(etree.parse(schema))


def test_every_version_that_its_own_schema_takes_is_read_to_the_same_rows() -> None:
    seen = []
    for version, schema in schemas():
        content = of_version(version).encode()
        schema.assertValid(etree.fromstring(content))
        [whole] = read(content, ACCOUNT)

        assert [(row.amount_minor, row.booked_on.day, row.end_to_end_id, row.text) for row in whole.rows] == [
            (-1250, 20, "E2E-1", "October"),
            (300, 25, None, "Interest"),
        ]
        assert (whole.rows[0].counterparty, whole.rows[0].counterparty_iban) == (
            "Blog One GmbH",
            "DE89370400440532013000",
        )
        assert (whole.statement.closed_on, whole.statement.closing_minor) == (date(2026, 10, 31), 9050)
        seen.append(version)

    assert seen == list(range(2, 15))


def test_two_statements_of_one_file_are_read_apart() -> None:
    content = (FILES / "genkgo-multi-statement.xml").read_bytes()

    first, second = read(content, "NL26 VAYB 8060 4768 90")

    assert (first.statement.opening_minor, first.statement.closing_minor) == (1815, 2700)
    assert [row.amount_minor for row in second.rows] == [-700]
    assert (second.rows[0].counterparty, second.account) == ("Company Name 2", "NL26VAYB8060476890")


def test_a_page_begins_and_ends_with_interim_balances() -> None:
    page = OCTOBER.replace("OPBD", "ITBD").replace("CLBD", "ITBD")

    [whole] = read(page.encode(), ACCOUNT)

    assert (whole.statement.opening_minor, whole.statement.closing_minor) == (10000, -950)


def test_lines_are_counted_beyond_what_the_parser_counts() -> None:
    entry = OCTOBER[OCTOBER.index("      <Ntry>") : OCTOBER.index("      <Ntry>", OCTOBER.index("<Ntry>") + 1)]
    far = OCTOBER.replace(entry, "\n" * 100_000 + entry)

    [whole] = read(far.encode(), ACCOUNT)

    assert [row.line for row in whole.rows] == [100_017, 100_030, 100_030, 100_038]


def test_what_was_read_is_dropped_so_that_no_file_is_held_whole() -> None:
    entry = OCTOBER[OCTOBER.index("      <Ntry>") : OCTOBER.index("      <Ntry>", OCTOBER.index("<Ntry>") + 1)]
    content = OCTOBER.replace(entry, entry * 3000).replace("<ElctrncSeqNb>", "").encode()
    sizes = []

    for number, (_, element, _) in enumerate(camt053_stream.closed_elements(io.BytesIO(content))):
        sizes.append(sum(1 for _ in element.getroottree().iter()) if number % 100 == 0 else 0)
        camt053_stream.forget(element)

    # Of its 60,000 elements those of the 32 kB that are parsed ahead.
    assert (len(sizes), max(sizes) < 2000) == (3004, True)


def test_an_entry_that_is_too_long_to_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camt053_stream, "ENTRY_BYTES_MAX", 1000)

    with pytest.raises(Invalid, match="in one entry or header"):
        list(camt053.parts(io.BytesIO(OCTOBER.encode())))
