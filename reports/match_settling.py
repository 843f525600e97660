"""What a person's match means for a payout: a debit of its whole amount settles it, and then the two stay together."""

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.actors import Actor
from core.database import among
from core.errors import Conflict
from core.runtime import Runtime
from payouts import settlement
from payouts.models import BatchItem
from payouts.states import ItemState
from reports import remittance_entries
from reports.allocating import Edge
from reports.match_groups import Group
from reports.match_items import Subject
from reports.match_models import Match
from reports.matching import Leg
from reports.models import BankLine


def paid_otherwise(leg: Leg, ours: Mapping[str, Subject], edges: Iterable[Edge]) -> list[str]:
    """Return a sentence for each payout that another line than its edge's has settled: it is paid already."""
    if leg is not Leg.PAYOUT:
        return []
    paid = ((edge, ours[edge.our_id].paid_by) for edge in edges if edge.our_id in ours)
    return [
        f"{edge.our_id} was settled by {line_id}: {edge.their_id} is another payment"
        for edge, line_id in paid
        if line_id is not None and line_id != edge.their_id
    ]


def refuse_settled(session: Session, group: Group) -> None:
    """Raise Conflict when one of the group's lines has settled a payout: the books say so, and stay as they are."""
    if group.leg is not Leg.PAYOUT:
        return
    paid = sa.select(BatchItem.payout_id).where(
        among(session, BatchItem.payout_id, group.our_ids), BatchItem.bank_line_id.is_not(None)
    )
    settled = sorted(set(session.scalars(paid)))
    if settled:
        message = (
            f"{', '.join(settled)} is settled by this match, and the journal says so. If the money came back, import"
            " the statement with the credit, or send the result `returned` to POST /api/v1/batches/ID/results: the"
            " payout opens again. If another payment was meant, resolve the difference of that line"
        )
        raise Conflict(message, slug="payout-settled")


def settle(runtime: Runtime, session: Session, leg: Leg, payout_ids: Collection[str], actor: Actor) -> None:
    """Settle each of the payouts that confirmed matches pay to the last cent from one account, by its last line.

    What a network sent is posted whatever its amount.
    """
    if leg is Leg.REMITTANCE:
        remittance_entries.bring_in_line(runtime, session, actor=actor)
    if leg is not Leg.PAYOUT:
        return
    paying: dict[str, list[tuple[Match, BankLine]]] = {}
    statement = (
        sa.select(Match, BankLine)
        .join(BankLine, BankLine.id == Match.their_id)
        .where(Match.leg == leg, Match.state == "confirmed", among(session, Match.our_id, payout_ids))
        .order_by(Match.our_id, BankLine.booked_on, BankLine.id)
    )
    for match, line in session.execute(statement):
        paying.setdefault(match.our_id, []).append((match, line))
    is_open = sa.or_(
        BatchItem.state == ItemState.LIVE,
        sa.and_(BatchItem.state == ItemState.SETTLED, BatchItem.bank_line_id.is_(None)),
    )
    items = sa.select(BatchItem).where(among(session, BatchItem.payout_id, list(paying)), is_open)
    for item in session.scalars(items.order_by(BatchItem.payout_id)).all():
        lines = [line for _, line in paying[item.payout_id]]
        is_exact = all(match.difference_minor == 0 for match, _ in paying[item.payout_id])
        paid = sum(match.allocated_minor for match, _ in paying[item.payout_id])
        if not is_exact or paid != item.amount_minor or len({line.account for line in lines}) > 1:
            continue
        last = lines[-1]
        outcome = settlement.settle(
            runtime, session, item, bank_line_id=last.id, bank_account=last.account, settled_on=last.booked_on,
            actor=actor,
        )  # fmt: skip
        if outcome == "refused":
            message = f"{item.payout_id} is not on its way: no debit settles it"
            raise Conflict(message, slug="payout-not-sent")
