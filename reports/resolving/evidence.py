"""What a dispute pack shows a network: its own line, our conversion, and everything that proves it."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.http.wire import moment_text, money_dict
from core.money import Money
from ledger.models import JournalEntry, JournalLine
from payouts.models import Accrual
from postback.models import Conversion, ConversionEvent, Receipt
from reports.matching import DiscrepancyClass
from reports.models import Discrepancy, NetworkLine, Statement
from reports.taxonomy import KINDS
from tracking.models import Click

Part = dict[str, Any]


def of(session: Session, found: Discrepancy) -> dict[str, Any]:
    """Return the parts of the pack about `found` by name, as plain JSON in a fixed order.

    No affiliate's name or account, and no person of ours is in it. Receipts are as they are kept: without secrets.
    """
    parts: dict[str, Any] = {"discrepancy": _discrepancy(found)}
    line = session.get(NetworkLine, found.line_id) if found.line_id else None
    if line is not None:
        parts["network-line"] = _line(session, line)
    conversion = session.get(Conversion, found.conversion_id) if found.conversion_id else None
    if conversion is not None:
        parts["conversion"] = _conversion(conversion) | {"events": list(_events(session, conversion.id))}
        parts["journal"] = list(_journal(session, conversion.id))
        parts |= {f"receipts/{id_}": part for id_, part in _receipts(session, conversion)}
    click = _click(session, conversion, line)
    if click is not None:
        parts["click"] = _shown_click(click)
    return parts


def _discrepancy(found: Discrepancy) -> Part:
    return {
        "id": found.id,
        "class": found.klass,
        "means": KINDS[DiscrepancyClass(found.klass)].means,
        "period": found.period,
        "leg": found.leg,
        "ours": _money(found.ours_minor, found.ours_currency),
        "theirs": _money(found.theirs_minor, found.theirs_currency),
        "found_at": moment_text(found.created_at),
    }


def _line(session: Session, line: NetworkLine) -> Part:
    file = session.get_one(Statement, line.statement_id)
    return {
        "id": line.id,
        "line": line.line_number,
        "transaction_id": line.transaction_id,
        "click_id": line.claimed_click_id,
        "money": _money(line.amount_minor, line.currency),
        "status": line.status_word,
        "occurred_on": line.occurred_on.isoformat(),
        "period": line.period,
        "file": {
            "name": file.file_name,
            "sha256": file.file_sha256,
            "format": file.format,
            "imported_at": moment_text(file.imported_at),
        },
    }


def _conversion(conversion: Conversion) -> Part:
    return {
        "id": conversion.id,
        "transaction_id": conversion.transaction_id,
        "click_id": conversion.claimed_click_id,
        "event": conversion.event,
        "status": conversion.status_word,
        "payout": _money(conversion.payout_minor, conversion.currency),
        "amount": _money(conversion.amount_minor, conversion.currency),
        "currency": conversion.currency,
        "occurred_at": moment_text(conversion.occurred_at),
        "recorded_at": moment_text(conversion.recorded_at),
        "content_sha256": conversion.content_sha256,
        "receipt_id": conversion.receipt_id,
        "assurance": conversion.assurance,
        "covered_fields": conversion.covered,
        "state": conversion.state,
    }


def _events(session: Session, conversion_id: str) -> Iterator[Part]:
    statement = (
        sa.select(ConversionEvent).where(ConversionEvent.conversion_id == conversion_id).order_by(ConversionEvent.seq)
    )
    for event in session.scalars(statement):
        # Who of ours did it and why is for us: what happened, and by which postback, is for the network.
        yield {"seq": event.seq, "kind": event.kind, "at": moment_text(event.at), "receipt_id": event.receipt_id}


def _receipts(session: Session, conversion: Conversion) -> Iterator[tuple[str, Part]]:
    statement = (
        sa.select(Receipt)
        .where(sa.or_(Receipt.conversion_id == conversion.id, Receipt.id == conversion.receipt_id))
        .order_by(Receipt.id)
    )
    for receipt in session.scalars(statement):
        yield (
            receipt.id,
            {
                "id": receipt.id,
                "received_at": moment_text(receipt.received_at),
                "peer": receipt.peer,
                "method": receipt.method,
                "query": receipt.raw_query.decode("utf-8", "backslashreplace"),
                "body": receipt.raw_body.decode("utf-8", "backslashreplace"),
                "signature_headers": receipt.signature_headers,
                "verdict": receipt.verdict,
                "outcome": receipt.outcome,
                "assurance": receipt.assurance,
                "covered_fields": receipt.covered_fields,
                "dedupe_key": receipt.dedupe_key,
            },
        )


def _journal(session: Session, conversion_id: str) -> Iterator[Part]:
    accruals = sa.select(Accrual.id).where(Accrual.conversion_id == conversion_id)
    about = sa.or_(
        sa.and_(JournalEntry.source_type == "conversion", JournalEntry.source_id == conversion_id),
        sa.and_(JournalEntry.source_type == "accrual", JournalEntry.source_id.in_(accruals)),
    )
    statement = (
        sa.select(JournalEntry, JournalLine)
        .join(JournalLine, JournalLine.entry_id == JournalEntry.id)
        .where(about)
        .order_by(JournalEntry.id, JournalLine.line_number)
    )
    for entry, line in session.execute(statement):
        yield {
            "entry": entry.id,
            "kind": entry.kind,
            "period": entry.period,
            "occurred_on": entry.occurred_on.isoformat(),
            "posted_at": moment_text(entry.posted_at),
            "description": entry.description,
            "line": line.line_number,
            "account": line.account,
            "money": _money(line.amount_minor, line.currency),
        }


def _click(session: Session, conversion: Conversion | None, line: NetworkLine | None) -> Click | None:
    if conversion is not None and conversion.click_id is not None:
        return session.get(Click, conversion.click_id)
    claimed = line.claimed_click_id if line is not None else None
    return session.scalar(sa.select(Click).where(Click.click_id == claimed)) if claimed else None


def _shown_click(click: Click) -> Part:
    return {
        "id": click.id,
        "click_id": click.click_id,
        "campaign_id": click.campaign_id,
        "clicked_at": moment_text(click.clicked_at),
        "recorded_at": moment_text(click.recorded_at),
        "via": click.via,
    }


def _money(amount_minor: int | None, currency: str | None) -> dict[str, str] | None:
    return None if amount_minor is None or currency is None else money_dict(Money(amount_minor, currency))
