"""What becomes of a payment that was sent: settled, failed, come back, or without an answer."""

from datetime import date
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.actors import Actor, system
from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from ledger.posting import Posting
from payouts import moving
from payouts.models import Batch, BatchItem, Payout
from payouts.states import ON_THE_WAY, BatchState, ItemState, PayoutState

ACTOR = system("stage:settlement")
Settled = Literal["settled", "already", "refused"]


def settle(
    runtime: Runtime,
    session: Session,
    item: BatchItem,
    *,
    bank_line_id: str | None,
    bank_account: str,
    settled_on: date,
    actor: Actor = ACTOR,
) -> Settled:
    """Mark a sent payout as paid, by the line `bank_line_id` of `bank_account` or by a result file, and post it.

    `already`: this very line has settled it before, or a result file had, and the line is kept now. `refused`: it has
    not been sent, or another line paid it.
    """
    batch, payout = _held(session, item)
    if item.state == ItemState.SETTLED and item.bank_line_id in {bank_line_id, None}:
        item.bank_line_id = bank_line_id or item.bank_line_id
        return "already"
    if item.state != ItemState.LIVE or payout.state not in ON_THE_WAY:
        return "refused"
    item.state, item.settled_on, item.bank_line_id = ItemState.SETTLED, settled_on, bank_line_id
    reason = f"paid by {bank_line_id}" if bank_line_id else "paid, says a result file"
    moving.move(runtime, session, payout, PayoutState.SETTLED, reason=reason, actor=actor)
    _end_if_answered(session, batch)
    entry = posting.settlement(
        end_to_end_id=item.end_to_end_id,
        payout_id=payout.id,
        bank_account=bank_account,
        money=Money(item.amount_minor, batch.currency),
        settled_on=settled_on,
    )
    _post(runtime, session, entry)
    return "settled"


def fail(
    runtime: Runtime, session: Session, item: BatchItem, *, reason: str, failed_on: date, actor: Actor = ACTOR
) -> bool:
    """Note that the money did not leave: we owe it again, and a person decides what next. False: not on its way."""
    batch, payout = _held(session, item)
    if item.state != ItemState.LIVE or payout.state not in ON_THE_WAY:
        return False
    item.state, item.reason = ItemState.FAILED, reason[: moving.REASON_LENGTH_MAX]
    moving.move(runtime, session, payout, PayoutState.FAILED, reason=reason, actor=actor)
    _end_if_answered(session, batch)
    _post(runtime, session, _owed_again(item, payout, batch, "failed", failed_on))
    return True


def take_back(
    runtime: Runtime,
    session: Session,
    item: BatchItem,
    *,
    reason: str,
    returned_on: date,
    bank_account: str,
    actor: Actor = ACTOR,
) -> bool:
    """Note that a payment came back: we owe it again, and a person reopens the payout. False: it was not sent."""
    batch, payout = _held(session, item)
    was_settled = item.state == ItemState.SETTLED and payout.state == PayoutState.SETTLED
    if not was_settled and not (item.state == ItemState.LIVE and payout.state in ON_THE_WAY):
        return False
    item.state, item.reason = ItemState.RETURNED, reason[: moving.REASON_LENGTH_MAX]
    moving.move(runtime, session, payout, PayoutState.RETURNED, reason=reason, actor=actor)
    _end_if_answered(session, batch)
    # Money that no statement has shown leaving is still on its way in the books.
    account = posting.bank(bank_account) if was_settled else posting.CLEARING
    _post(runtime, session, _owed_again(item, payout, batch, "returned", returned_on, account=account))
    return True


def lose(runtime: Runtime, session: Session, item: BatchItem, *, reason: str, actor: Actor = ACTOR) -> bool:
    """Note that a sent payment has no answer. It stays in its batch: nothing may send it a second time."""
    _batch, payout = _held(session, item)
    if item.state != ItemState.LIVE or payout.state != PayoutState.SENT:
        return False
    moving.move(runtime, session, payout, PayoutState.UNKNOWN, reason=reason, actor=actor)
    return True


def pays_from(batch: Batch | sa.Row[Any]) -> str:
    """Return what the journal calls the account a batch pays from: its IBAN, or the method and our bank there."""
    if batch.debtor_iban:
        return batch.debtor_iban
    return ":".join(filter(None, (batch.method, batch.debtor_routing_number)))


def _held(session: Session, item: BatchItem) -> tuple[Batch, Payout]:
    # The batch first: of the last two items answered at once, the second must see the first.
    batch = session.get_one(Batch, item.batch_id, with_for_update=True, populate_existing=True)
    session.refresh(item, with_for_update=True)
    return batch, moving.locked(session, item.payout_id)


def _end_if_answered(session: Session, batch: Batch) -> None:
    session.flush()
    live = sa.select(BatchItem.payout_id).where(BatchItem.batch_id == batch.id, BatchItem.state == ItemState.LIVE)
    if batch.state == BatchState.RELEASED and session.scalar(live.limit(1)) is None:
        batch.state = BatchState.SETTLED
        batch.version += 1


def _owed_again(
    item: BatchItem, payout: Payout, batch: Batch, word: str, day: date, *, account: str = posting.CLEARING
) -> Posting:
    return posting.owed_again(
        end_to_end_id=item.end_to_end_id,
        payout_id=payout.id,
        affiliate_id=payout.affiliate_id,
        word=word,
        account=account,
        money=Money(item.amount_minor, batch.currency),
        happened_on=day,
    )


def _post(runtime: Runtime, session: Session, entry: Posting) -> None:
    journal.post(runtime, session, [entry], today=runtime.clock().date())
