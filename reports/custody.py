"""The custody of one conversion: every step from the click to the bank and the network's report, in time order."""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.models import Staff
from approvals.models import ApprovalDecision, ApprovalRequest
from core.http.wire import money_dict
from core.money import Money
from ledger.models import JournalEntry, JournalLine
from payouts.models import Accrual, Batch, BatchItem, Payout
from postback.models import Conversion, ConversionEvent, Receipt
from reports import match_act_queries, remittance_custody
from reports.custody_step import Step as Step
from reports.match_models import Match, MatchEvent
from reports.matching import Leg, Pass, difference
from reports.models import BankLine, Discrepancy, NetworkLine, Statement
from reports.resolving.models import Adjustment
from tracking.models import Click


def of(session: Session, conversion: Conversion) -> list[Step]:
    """Return the steps of `conversion` in the order of their time; of one moment, in the order they follow.

    What a statement shows has the time it was imported: that is when we knew.
    """
    accrued = sa.select(Accrual).where(Accrual.conversion_id == conversion.id)
    accruals = list(session.scalars(accrued.order_by(Accrual.created_at, Accrual.id)))
    payout_ids = sorted({accrual.payout_id for accrual in accruals if accrual.payout_id})
    items = list(session.scalars(sa.select(BatchItem).where(BatchItem.payout_id.in_(payout_ids))))
    steps = [
        *_click(session, conversion),
        *_receipts(session, conversion),
        *_events(session, conversion),
        *_accruals(accruals),
        *_payouts(session, payout_ids),
        *_approvals(session, payout_ids),
        *_batches(session, items),
        *_bank_lines(session, payout_ids),
        *_settlements(session, items),
        *_journal(session, conversion, accruals, items),
        *_network(session, conversion),
        *remittance_custody.of(session, conversion),
        *_words(session, [conversion.id, *payout_ids]),
        *_discrepancies(session, conversion, payout_ids),
    ]
    return sorted(steps, key=lambda step: step.at)  # stable: the order above decides within a moment


def _click(session: Session, conversion: Conversion) -> Iterator[Step]:
    click = session.get(Click, conversion.click_id) if conversion.click_id else None
    if click is not None:
        facts = {
            "click_id": click.click_id,
            "campaign_id": click.campaign_id,
            "affiliate_id": click.affiliate_id,
            "via": click.via,
        }
        sentence = f"a visitor of {click.affiliate_id} clicked on {click.campaign_id}"
        yield Step(click.clicked_at, "click", click.id, sentence, facts)


def _receipts(session: Session, conversion: Conversion) -> Iterator[Step]:
    statement = sa.select(Receipt).where(Receipt.conversion_id == conversion.id).order_by(Receipt.id)
    for receipt in session.scalars(statement):
        facts = {
            "verdict": receipt.verdict,
            "outcome": receipt.outcome,
            "reason": receipt.reason,
            "assurance": receipt.assurance,
            "peer": receipt.peer,
        }
        yield Step(receipt.received_at, "receipt", receipt.id, f"a postback came in: {receipt.outcome}", facts)


def _events(session: Session, conversion: Conversion) -> Iterator[Step]:
    statement = (
        sa.select(ConversionEvent).where(ConversionEvent.conversion_id == conversion.id).order_by(ConversionEvent.seq)
    )
    for event in session.scalars(statement):
        facts = {"event": event.kind, "actor": event.actor_id, "reason": event.reason, "receipt_id": event.receipt_id}
        yield Step(event.at, "event", f"{conversion.id}/{event.seq}", f"the conversion was {event.kind}", facts)


def _accruals(accruals: Iterable[Accrual]) -> Iterator[Step]:
    for accrual in accruals:
        money = Money(accrual.amount_minor, accrual.currency)
        facts = {
            "accrual_kind": accrual.kind,
            "money": money_dict(money),
            "terms": accrual.terms,
            "ruleset_version": accrual.ruleset_version,
            "rule_id": accrual.rule_id,
            "category_code": accrual.category_code,
            "category": accrual.category_name,
            "affiliate_id": accrual.affiliate_id,
            "payable_on": accrual.payable_on.isoformat(),
            "period": accrual.period,
        }
        became = f"{money} became owed" if accrual.amount_minor >= 0 else f"{-money} was taken back"
        sentence = f"{became}, as {accrual.category_name}"
        yield Step(accrual.created_at, "accrual", accrual.id, sentence, facts)


def _payouts(session: Session, payout_ids: list[str]) -> Iterator[Step]:
    for payout in session.scalars(sa.select(Payout).where(Payout.id.in_(payout_ids)).order_by(Payout.id)):
        money = Money(payout.amount_minor, payout.currency)
        facts = {
            "money": money_dict(money),
            "state": payout.state,
            "period": payout.period,
            "affiliate_id": payout.affiliate_id,
            "created_by": payout.created_by,
            "content_hash": payout.content_hash,
        }
        yield Step(payout.created_at, "payout", payout.id, f"it went into a payout of {money}", facts)


def _approvals(session: Session, payout_ids: list[str]) -> Iterator[Step]:
    about = sa.and_(ApprovalRequest.subject_kind == "payout", ApprovalRequest.subject_id.in_(payout_ids))
    for request in session.scalars(sa.select(ApprovalRequest).where(about).order_by(ApprovalRequest.id)):
        facts = {
            "state": request.state,
            "policy_version": request.policy_version,
            "chain": request.chain_id,
            "content_hash": request.content_hash,
            "payout_id": request.subject_id,
        }
        yield Step(request.created_at, "approval_request", request.id, "approval was asked for", facts)
        if request.state == "approved" and request.finished_at and not request.decisions:
            policy = f"policy:{request.policy_version}/{request.chain_id}"
            yield Step(request.finished_at, "approved_by_policy", request.id, f"{policy} approved", {"actor": policy})
    decisions = (
        sa.select(ApprovalDecision, Staff.email)
        .join(ApprovalRequest, ApprovalRequest.id == ApprovalDecision.request_id)
        .outerjoin(Staff, _same_text(Staff.id, ApprovalDecision.actor_id))
        .where(about)
        .order_by(ApprovalDecision.id)
    )
    for decision, email in session.execute(decisions):
        facts = {
            "verdict": decision.verdict,
            "actor": decision.actor_id,
            "on_behalf_of": decision.on_behalf_of,
            "is_forced": decision.is_forced,
            "email": email,
            "step": decision.step_id,
            "comment": decision.comment,
            "content_hash": decision.content_hash,
            "approval_id": decision.request_id,
        }
        said = {"approve": "approved", "reject": "rejected"}.get(decision.verdict, decision.verdict)
        sentence = f"{email or decision.actor_id} {said}"
        yield Step(decision.decided_at, "decision", decision.id, sentence, facts)


def _batches(session: Session, items: list[BatchItem]) -> Iterator[Step]:
    batches = {
        batch.id: batch
        for batch in session.scalars(sa.select(Batch).where(Batch.id.in_({item.batch_id for item in items})))
    }
    for item in items:
        batch = batches[item.batch_id]
        facts = {"created_by": batch.created_by, "method": batch.method, "payout_id": item.payout_id}
        yield Step(batch.created_at, "batch", batch.id, "the payout was put into a batch", facts)
        if batch.released_at is not None:
            released: dict[str, Any] = {
                "released_by": batch.released_by,
                "file_name": batch.file_name,
                "file_sha256": batch.file_sha256,
                "end_to_end_id": item.end_to_end_id,
            }
            yield Step(batch.released_at, "batch_released", batch.id, "the batch left as a payment file", released)


def _bank_lines(session: Session, payout_ids: list[str]) -> Iterator[Step]:
    statement = (
        sa.select(Match, BankLine, Statement)
        .join(BankLine, BankLine.id == Match.their_id)
        .join(Statement, Statement.id == BankLine.statement_id)
        .where(Match.leg == Leg.PAYOUT, Match.state == "confirmed", Match.our_id.in_(payout_ids))
        .order_by(Match.id)
    )
    for match, line, file in session.execute(statement):
        money = Money(line.amount_minor, line.currency)
        facts = {
            "statement_id": file.id,
            "reference": file.reference,
            "line": line.line_number,
            "booked_on": line.booked_on.isoformat(),
            "money": money_dict(money),
            "account": line.account,
        }
        yield Step(file.imported_at, "bank_line", line.id, f"the bank booked {money} on {line.booked_on}", facts)
        yield _match_step(match, "bank_match", f"the bank's line is this payout, by {_by(match)}")


def _settlements(session: Session, items: list[BatchItem]) -> Iterator[Step]:
    settled = {item.end_to_end_id: item for item in items if item.settled_on is not None}
    # The item keeps the bank's day; when it was settled here, its entry in the journal says.
    posted = sa.select(JournalEntry.source_id, JournalEntry.posted_at).where(
        JournalEntry.kind == "settlement",
        JournalEntry.source_type == "batch_item",
        JournalEntry.source_id.in_(settled),
    )
    for end_to_end_id, posted_at in session.execute(posted):
        item = settled[end_to_end_id]
        facts = {
            "settled_on": item.settled_on.isoformat() if item.settled_on else None,
            "bank_line_id": item.bank_line_id,
            "batch_id": item.batch_id,
            "end_to_end_id": end_to_end_id,
        }
        yield Step(posted_at, "settlement", item.payout_id, "the payout is settled", facts)


def _journal(
    session: Session, conversion: Conversion, accruals: list[Accrual], items: list[BatchItem]
) -> Iterator[Step]:
    sources = {
        "conversion": [conversion.id],
        "accrual": [accrual.id for accrual in accruals],
        "batch_item": [item.end_to_end_id for item in items],
        "adjustment": list(
            session.scalars(
                sa.select(Adjustment.id)
                .join(Discrepancy, Discrepancy.id == Adjustment.discrepancy_id)
                .where(Discrepancy.conversion_id == conversion.id)
            )
        ),
    }
    wheres = [
        sa.and_(JournalEntry.source_type == kind, JournalEntry.source_id.in_(ids)) for kind, ids in sources.items()
    ]
    entries = list(session.scalars(sa.select(JournalEntry).where(sa.or_(*wheres)).order_by(JournalEntry.id)))
    by_entry: dict[str, list[dict[str, Any]]] = {entry.id: [] for entry in entries}
    lines = sa.select(JournalLine).where(JournalLine.entry_id.in_(by_entry)).order_by(JournalLine.line_number)
    for line in session.scalars(lines):
        money = money_dict(Money(line.amount_minor, line.currency))
        by_entry[line.entry_id].append({"account": line.account, "money": money})
    for entry in entries:
        facts = {"entry": entry.kind, "period": entry.period, "lines": by_entry[entry.id]}
        yield Step(entry.posted_at, "journal_entry", entry.id, f"posted: {entry.description}", facts)


def _network(session: Session, conversion: Conversion) -> Iterator[Step]:
    statement = (
        sa.select(Match, NetworkLine, Statement)
        .join(NetworkLine, NetworkLine.id == Match.their_id)
        .join(Statement, Statement.id == NetworkLine.statement_id)
        .where(Match.leg == Leg.NETWORK, Match.state == "confirmed", Match.our_id == conversion.id)
    )
    for match, line, file in session.execute(statement):
        money = Money(line.amount_minor, line.currency)
        facts = {
            "statement_id": file.id,
            "line": line.line_number,
            "money": money_dict(money),
            "status": line.status_word,
            "period": line.period,
        }
        sentence = f"the network's report of {line.period} lists it with {money}"
        yield Step(file.imported_at, "network_line", line.id, sentence, facts)
        yield _match_step(match, "network_match", f"the network's line is this conversion, by {_by(match)}")


def _words(session: Session, ids: list[str]) -> Iterator[Step]:
    """What people said about matches of the conversion and its payouts, also about those that stand no more."""
    about = sa.or_(*(match_act_queries.speaks_of(id_) for id_ in ids))
    for event in session.scalars(sa.select(MatchEvent).where(about).order_by(MatchEvent.id)):
        facts = {"event": event.kind, "actor": event.actor_id, "reason": event.reason, "group_id": event.group_id}
        yield Step(event.at, "match_event", event.id, f"a person's word about a match: {event.kind}", facts)


def _discrepancies(session: Session, conversion: Conversion, payout_ids: list[str]) -> Iterator[Step]:
    about = sa.or_(Discrepancy.conversion_id == conversion.id, Discrepancy.payout_id.in_(payout_ids))
    for found in session.scalars(sa.select(Discrepancy).where(about).order_by(Discrepancy.id)):
        off = difference(found.ours_minor, found.ours_currency, found.theirs_minor, found.theirs_currency)
        facts = {
            "class": found.klass,
            "state": found.state,
            "period": found.period,
            "resolution": found.resolution,
            "difference": money_dict(Money(*off)) if off else None,
        }
        yield Step(found.created_at, "discrepancy", found.id, f"a difference was found: {found.klass}", facts)


def _by(match: Match) -> str:
    """By what two are matched: a pass, a pass that a person has confirmed, or a person alone."""
    if match.matched_by == Pass.MANUAL:
        return "hand"
    return f"{match.matched_by}, confirmed by a person" if match.made_by else match.matched_by


def _match_step(match: Match, kind: str, sentence: str) -> Step:
    facts = {
        "matched_by": match.matched_by,
        "made_by": match.made_by,
        "group_id": match.group_id,
        "allocated": money_dict(Money(match.allocated_minor, match.currency)),
        "reconciliation_id": match.reconciliation_id,
        "difference": money_dict(Money(match.difference_minor, match.currency)),
    }
    return Step(match.created_at, kind, match.id, sentence, facts)


def _same_text(left: Any, right: Any) -> sa.ColumnElement[bool]:
    # An id and an actor's name have different collations, which PostgreSQL refuses to compare unasked.
    is_same: sa.ColumnElement[bool] = sa.cast(left, sa.String) == right
    return is_same
