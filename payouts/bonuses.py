"""Bonuses: what a person adds to a conversion, once, with a reason; it is approved and paid as any commission."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.rows import existing, locked
from core.runtime import Runtime
from partners.models import Affiliate
from payouts import accrual, additions, categories
from payouts.categories import Category
from payouts.models import Accrual
from postback.event_rules import State
from postback.models import Conversion

KIND = "bonus"


@dataclass(frozen=True)
class NewBonus:
    """How much, of which category, and why."""

    money: Money
    category: Category
    reason: str


def give(runtime: Runtime, session: Session, conversion_id: str, new: NewBonus, *, actor: Actor) -> Accrual:
    """Add a bonus to an accrued conversion, in the open month; its giver is barred from approving its payout.

    No proof covers the amount: a policy that asks for covered ones sees that. A refund of the conversion leaves it.
    Raise Invalid with every fault, Conflict for a conversion that is held or is not accrued.
    """
    conversion = locked(session, Conversion, conversion_id)
    if conversion.state != State.ACCRUED or conversion.hold_reason is not None:
        message = f"{conversion_id} is {conversion.hold_reason or conversion.state}: a bonus goes to an accrued one"
        raise Conflict(message)
    accrued = session.scalars(sa.select(Accrual).where(Accrual.conversion_id == conversion_id)).all()
    first = next(each for each in accrued if each.kind == "accrue")
    affiliate = existing(session, Affiliate, first.affiliate_id)
    _refuse(new, affiliate.currency)
    wait = accrual.hold_days(session, {affiliate.id})[affiliate.id]
    addition = additions.Addition(KIND, new.money, new.category, {"kind": KIND, "reason": new.reason}, new.reason)
    made = additions.add(runtime, session, accrued, addition, wait=wait, actor=actor)
    after = {"conversion_id": conversion_id, "money": str(new.money), "category": new.category.shown}
    audit.record(session, Act(actor, "gave", "bonus", made.id, runtime.clock(), after=after, reason=new.reason))
    return made


def _refuse(new: NewBonus, currency: str) -> None:
    found = list(categories.category_faults(asdict(new.category)))
    if new.money.currency != currency:
        found.append(Fault("money", f"takes {currency}, which the affiliate is paid in"))
    elif new.money.amount_minor <= 0:
        found.append(Fault("money", "takes an amount over zero"))
    if found:
        raise Invalid.of(*found)
