"""Files from outside: each network's report in its own way, the bank's statement, our payments as a bank reads them."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from lxml import etree

from web.demo.data import COMPANY_IBAN
from web.demo.planted import REFERENCES_IN_TEXT, STRAY_DEBITS, Line, Report

OPENING = Decimal("50000.00")


@dataclass(frozen=True)
class Style:
    """How one network writes its report: its columns, in our order, and the mapping that reads them."""

    header: Sequence[str]
    mapping: Mapping[str, Any]
    delimiter: str = ","
    decimal: str = "."
    bad_rows: Sequence[Sequence[str]] = ()


# In the order of data.NETWORKS. The first has rows nobody can read: they are listed, and the others still load.
STYLES = (
    Style(
        ("Transaction ID", "Payout", "Currency", "Status", "Date"),
        {
            "transaction_id": "Transaction ID", "amount": "Payout", "currency": "Currency", "status": "Status",
            "occurred_on": {"column": "Date", "format": "%Y-%m-%d", "timezone": "UTC"},
        },
        bad_rows=(
            ("NW-BAD-1", "twelve", "EUR", "approved", "2026-01-15"), ("NW-BAD-2", "1.00", "EUR", "approved", "soon"),
        ),
    ),
    Style(
        ("Vorgang", "Provision", "Währung", "Stand", "Zeitpunkt"),
        {
            "transaction_id": "Vorgang", "amount": "Provision", "currency": "Währung", "status": "Stand",
            "occurred_on": {"column": "Zeitpunkt", "format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"},
            "delimiter": ";", "decimal": ",",
        },
        delimiter=";",
        decimal=",",
    ),
    Style(
        ("ref", "commission", "ccy", "state", "when"),
        {
            "transaction_id": "ref", "amount": "commission", "currency": "ccy", "status": "state",
            "occurred_on": {"column": "when", "format": "%d/%m/%Y", "timezone": "UTC"},
            "delimiter": "\t",
        },
        delimiter="\t",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Transfer:
    """One payment of a pain.001 file."""

    end_to_end_id: str
    amount: Decimal
    currency: str


@dataclass(frozen=True)
class PaymentFile:
    """A pain.001 file as a bank reads it: what it says it holds, and what it holds."""

    control_sum: Decimal
    count: int
    transfers: Sequence[Transfer]

    @property
    def adds_up(self) -> bool:
        """Say whether the file's own sum and count are those of its transfers."""
        total = sum((transfer.amount for transfer in self.transfers), Decimal(0))
        return (self.control_sum, self.count) == (total, len(self.transfers))


def network_report(report: Report) -> bytes:
    """Return the report as that network writes it."""
    style = STYLES[report.network]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=style.delimiter)
    writer.writerow(style.header)
    writer.writerows(_cells(line, style) for line in report.lines)
    writer.writerows(style.bad_rows)
    return text.getvalue().encode()


def payment_file(content: bytes) -> PaymentFile:
    """Read a pain.001 file."""
    root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    names = {"p": etree.QName(root).namespace or ""}

    def text(element: etree._Element, path: str) -> str:
        return element.findtext(path, "", names)

    transfers = [
        Transfer(
            text(each, "p:PmtId/p:EndToEndId"),
            Decimal(text(each, "p:Amt/p:InstdAmt")),
            next(each.iterfind("p:Amt/p:InstdAmt", names)).get("Ccy") or "",
        )
        for each in root.iterfind(".//p:CdtTrfTxInf", names)
    ]
    head = next(root.iterfind(".//p:GrpHdr", names))
    return PaymentFile(Decimal(text(head, "p:CtrlSum")), int(text(head, "p:NbOfTxs")), transfers)


def bank_statement(transfers: Sequence[Transfer], today: date) -> bytes:
    """Return a camt.053 that books every transfer and the stray debits, and adds up.

    The last transfers come without their end-to-end id: some banks only repeat it in the text.
    """
    debits = [
        *((transfer.amount, _references(transfer, place >= len(transfers) - REFERENCES_IN_TEXT))
          for place, transfer in enumerate(transfers)),
        *((amount, _described(None, text)) for text, amount in STRAY_DEBITS),
    ]  # fmt: skip
    closing = OPENING - sum((amount for amount, _ in debits), Decimal(0))
    entries = "".join(_entry(number, amount, details, today) for number, (amount, details) in enumerate(debits, 1))
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>
<GrpHdr><MsgId>DEMO-{today:%Y%m%d}</MsgId><CreDtTm>{today}T20:00:00Z</CreDtTm></GrpHdr>
<Stmt><Id>DEMO-{today:%Y%m%d}-1</Id><CreDtTm>{today}T20:00:00Z</CreDtTm>
<Acct><Id><IBAN>{COMPANY_IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>
{_balance("OPBD", OPENING, today)}{_balance("CLBD", closing, today)}{entries}</Stmt></BkToCstmrStmt></Document>
""".encode()


def _cells(line: Line, style: Style) -> Iterator[str]:
    when = style.mapping["occurred_on"]
    yield line.transaction_id
    yield str(line.amount).replace(".", style.decimal)
    yield line.currency
    yield "approved"
    yield line.occurred_at.astimezone(ZoneInfo(when["timezone"])).strftime(when["format"])


def _references(transfer: Transfer, is_in_text: bool) -> str:  # noqa: FBT001 - computed where it is passed
    if is_in_text:
        return _described(None, f"SEPA credit transfer ref {transfer.end_to_end_id} by order of 42")
    return _described(transfer.end_to_end_id, "SEPA credit transfer")


def _described(end_to_end_id: str | None, text: str) -> str:
    reference = escape(end_to_end_id or "NOTPROVIDED")
    return f"<Refs><EndToEndId>{reference}</EndToEndId></Refs><RmtInf><Ustrd>{escape(text)}</Ustrd></RmtInf>"


def _entry(number: int, amount: Decimal, details: str, today: date) -> str:
    return f"""<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>
<BookgDt><Dt>{today}</Dt></BookgDt><ValDt><Dt>{today}</Dt></ValDt><AcctSvcrRef>B{today:%Y%m%d}{number:04}</AcctSvcrRef>
<NtryDtls><TxDtls>{details}</TxDtls></NtryDtls></Ntry>
"""


def _balance(code: str, amount: Decimal, today: date) -> str:
    return f"""<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt>
<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{today}</Dt></Dt></Bal>
"""
