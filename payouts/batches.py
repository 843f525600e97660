"""Batches: approved payouts leave together in one file, released by someone who did not gather them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import separation
from core import audit, doorbell, rows
from core.actors import Actor
from core.audit import Act
from core.database import claim
from core.errors import Conflict, Fault, Forbidden, Invalid
from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from payouts import content, sepa
from payouts.content import Claim
from payouts.models import Batch, BatchItem, Payout
from payouts.sepa import Account, Order, Transfer
from payouts.states import BatchState, ItemState, PayoutState

METHOD = "sepa"
ITEMS_MAX = 5000
_KIND = "batch"


@dataclass(frozen=True)
class NewBatch:
    """What a batch is asked to be; without `payout_ids` every approved payout of the currency."""

    method: str
    currency: str
    payout_ids: Sequence[str] | None = None
    debtor: Account | None = None


def create(runtime: Runtime, session: Session, new: NewBatch, *, actor: Actor) -> Batch:
    """Gather approved payouts into a batch that waits for its release.

    Named payouts go all or none: Invalid names each that cannot. Unnamed ones that changed since their approval stay
    behind and are asked about anew. Raises Conflict when there is nothing to pay, or another batch was quicker.
    """
    debtor = _debtor(runtime, new)
    payouts = _named(session, new.payout_ids) if new.payout_ids is not None else _waiting(session, new.currency)
    claims = content.present(session, [payout for _path, payout in payouts])
    faults = [fault for path, payout in payouts for fault in _faults(payout, claims[payout.id], path)]
    if faults:
        raise Invalid.of(*faults)
    if not payouts:
        message = f"no approved payout in {new.currency} waits for a batch"
        raise Conflict(message, slug="nothing-to-pay")
    now = runtime.clock()
    batch = Batch(
        id=runtime.new_id("bat"),
        method=new.method,
        currency=new.currency,
        state=BatchState.BUILDING,
        created_at=now,
        created_by=actor.id,
        debtor_name=debtor.name,
        debtor_iban=debtor.iban,
        debtor_bic=debtor.bic,
        version=1,
    )
    session.add(batch)
    session.flush()
    _gather(runtime, session, batch, [payout for _path, payout in payouts])
    after = {"count": len(batch.items), "money": str(total(batch))}
    audit.record(session, Act(actor, "gathered", _KIND, batch.id, now, after=after))
    return batch


def release(runtime: Runtime, session: Session, batch_id: str, *, version: int, actor: Actor) -> Batch:
    """Write the payment file, once, and mark its payouts as sent; the same file is downloaded ever after.

    Raises Forbidden for whoever gathered the batch or decided one of its payouts, Conflict when it has moved on from
    `version` or one of its payouts is no longer what was approved, Invalid when a bank would not take an account.
    """
    batch = _building(session, batch_id, version)
    if batch.created_by == actor.id:
        message = "whoever gathered a batch cannot release it: another person does"
        raise Forbidden(message)
    payouts = _payouts(session, batch)
    decided = separation.voices(session, [payout.approval_id for payout in payouts.values() if payout.approval_id])
    if actor.id in decided:
        message = "whoever had a say in a payout's approval cannot release it: another person does"
        raise Forbidden(message, slug="has-decided")
    claims = content.present(session, list(payouts.values()))
    faults = [
        fault
        for item in batch.items
        for fault in _release_faults(payouts[item.payout_id], claims[item.payout_id], item)
    ]
    if faults:
        message = "a payout is no longer what was approved: cancel this batch and gather a new one"
        raise Conflict(message, slug="payout-changed", faults=faults)
    now = runtime.clock()
    file = sepa.pain_001(_order(runtime, batch, payouts))
    batch.file_name = f"{sepa.SCHEMA}-{batch.id}.xml"
    batch.file_content, batch.file_sha256 = file, hashlib.sha256(file).hexdigest()
    batch.released_at, batch.released_by, batch.state = now, actor.id, BatchState.RELEASED
    batch.version += 1
    _move(session, payouts.values(), PayoutState.BATCHED, PayoutState.SENT)
    entries = [
        posting.batch_sent(
            end_to_end_id=item.end_to_end_id,
            payout_id=item.payout_id,
            affiliate_id=payouts[item.payout_id].affiliate_id,
            money=Money(item.amount_minor, batch.currency),
            sent_on=now.date(),
        )
        for item in batch.items
    ]
    journal.post(runtime, session, entries, today=now.date())
    after = {"count": len(batch.items), "money": str(total(batch)), "file_sha256": batch.file_sha256}
    audit.record(session, Act(actor, "released", _KIND, batch.id, now, after=after))
    return batch


def cancel(runtime: Runtime, session: Session, batch_id: str, *, version: int, actor: Actor) -> Batch:
    """Give up a batch that was not released: its payouts are approved again, or asked about anew if they changed."""
    batch = _building(session, batch_id, version)
    _move(session, _payouts(session, batch).values(), PayoutState.BATCHED, PayoutState.APPROVED)
    for item in batch.items:
        item.state = ItemState.CANCELLED
    batch.state = BatchState.CANCELLED
    batch.version += 1
    doorbell.after_commit(session, "settlement")
    audit.record(session, Act(actor, "cancelled", _KIND, batch.id, runtime.clock()))
    return batch


def by_id(session: Session, batch_id: str) -> Batch:
    """Return a batch; raise NotFound when there is none."""
    return rows.existing(session, Batch, batch_id)


def total(batch: Batch) -> Money:
    """Return what the batch pays in all."""
    return Money(sum(item.amount_minor for item in batch.items), batch.currency)


def _debtor(runtime: Runtime, new: NewBatch) -> Account:
    faults = []
    if new.method != METHOD:
        faults.append(Fault("method", f"takes {METHOD}"))
    if new.currency != sepa.CURRENCY:
        faults.append(Fault("currency", f"{METHOD} pays in {sepa.CURRENCY} alone"))
    company = runtime.company
    debtor = new.debtor or (Account(company.name, company.iban, company.bic) if company else None)
    if debtor is None:
        faults.append(Fault("debtor", "is needed, since COMPANY_NAME and COMPANY_IBAN are not set"))
    else:
        faults += sepa.account_faults(debtor, "debtor")
    if faults or debtor is None:
        raise Invalid.of(*faults)
    return Account(debtor.name, debtor.iban.replace(" ", "").upper(), debtor.bic)


def _named(session: Session, payout_ids: Sequence[str]) -> list[tuple[str, Payout]]:
    """Lock the payouts with these ids, in one order for everybody, so that two batches never wait crosswise."""
    found = session.scalars(sa.select(Payout).where(Payout.id.in_(payout_ids)).order_by(Payout.id).with_for_update())
    by_payout_id = {payout.id: payout for payout in found}
    faults = [
        Fault(f"payout_ids.{position}", "is no payout" if payout_id not in by_payout_id else "stands here twice")
        for position, payout_id in enumerate(payout_ids)
        if payout_id not in by_payout_id or payout_id in payout_ids[:position]
    ]
    if faults:
        raise Invalid.of(*faults)
    return [(f"payout_ids.{position}", by_payout_id[payout_id]) for position, payout_id in enumerate(payout_ids)]


def _waiting(session: Session, currency: str) -> list[tuple[str, Payout]]:
    # Claimed, not waited for: what another batch is taking this moment is no longer ours to take.
    statement = (
        sa.select(Payout)
        .where(Payout.state == PayoutState.APPROVED, Payout.currency == currency)
        .order_by(Payout.id)
        .limit(ITEMS_MAX)
    )
    payouts = session.scalars(claim(statement)).all()
    claims = content.present(session, payouts)
    unchanged = [payout for payout in payouts if claims[payout.id].content_hash == payout.content_hash]
    if len(unchanged) < len(payouts):
        doorbell.after_commit(session, "settlement")
    return [(payout.id, payout) for payout in unchanged]


def _faults(payout: Payout, present: Claim, path: str) -> list[Fault]:
    if payout.state != PayoutState.APPROVED:
        return [Fault(path, f"is {payout.state}, not approved")]
    if payout.currency != sepa.CURRENCY:
        return [Fault(path, f"is in {payout.currency}, not in {sepa.CURRENCY}")]
    return _payment_faults(payout, present, path)


def _release_faults(payout: Payout, present: Claim, item: BatchItem) -> list[Fault]:
    if item.amount_minor != payout.amount_minor:
        return [Fault(payout.id, "has another amount than its item of the batch")]
    return _payment_faults(payout, present, payout.id)


def _payment_faults(payout: Payout, present: Claim, path: str) -> list[Fault]:
    if present.content_hash != payout.content_hash:
        return [Fault(path, "has changed since it was approved and must be approved anew")]
    return sepa.amount_faults(payout.amount_minor, path) + sepa.account_faults(_creditor(payout), path)


def _gather(runtime: Runtime, session: Session, batch: Batch, payouts: Sequence[Payout]) -> None:
    items = [
        {
            "batch_id": batch.id,
            "payout_id": payout.id,
            # A new one each time a payout stands in a batch: an answer to an old file must not settle a newer one.
            # Capitals and digits alone, for banks change or drop what else it might have.
            "end_to_end_id": runtime.new_id("e2e").replace("_", "").upper(),
            "amount_minor": payout.amount_minor,
            "state": ItemState.LIVE,
        }
        for payout in payouts
    ]
    # The partial unique index decides whether a payout stands in a live batch already, whatever was read before.
    session.execute(sa.insert(BatchItem), items)
    _move(session, payouts, PayoutState.APPROVED, PayoutState.BATCHED)
    session.refresh(batch, ["items"])


def _move(session: Session, payouts: Iterable[Payout], before: PayoutState, after: PayoutState) -> None:
    ids = [payout.id for payout in payouts]
    session.flush()
    moved = session.scalars(
        sa.update(Payout)
        .where(Payout.id.in_(ids), Payout.state == before)
        .values(state=after, version=Payout.version + 1)
        .returning(Payout.id)
    ).all()
    if len(moved) != len(ids):
        message = f"{len(ids) - len(moved)} of these payouts are no longer {before}"
        raise Conflict(message)


def _building(session: Session, batch_id: str, version: int) -> Batch:
    batch = rows.locked(session, Batch, batch_id, version=version)
    if batch.state != BatchState.BUILDING:
        message = f"{batch_id} is {batch.state}: only a batch that is building can be released or cancelled"
        raise Conflict(message)
    return batch


def _payouts(session: Session, batch: Batch) -> Mapping[str, Payout]:
    statement = (
        sa.select(Payout)
        .join(BatchItem, BatchItem.payout_id == Payout.id)
        .where(BatchItem.batch_id == batch.id)
        .order_by(Payout.id)
        .with_for_update(of=Payout)
    )
    return {payout.id: payout for payout in session.scalars(statement)}


def _order(runtime: Runtime, batch: Batch, payouts: Mapping[str, Payout]) -> Order:
    now = runtime.clock()
    return Order(
        id=batch.id,
        debtor=Account(batch.debtor_name, batch.debtor_iban, batch.debtor_bic),
        transfers=[
            Transfer(
                creditor=_creditor(payouts[item.payout_id]),
                amount_minor=item.amount_minor,
                end_to_end_id=item.end_to_end_id,
                text=f"Affiliate payout {payouts[item.payout_id].period} {item.end_to_end_id}",
            )
            for item in batch.items
        ],
        made_at=now,
        execute_on=now.date(),
    )


def _creditor(payout: Payout) -> Account:
    return Account(payout.payee_name, payout.payee_iban, payout.payee_bic)
