"""Bonuses: what a person adds to a conversion, once, with a reason; it is approved and paid as any commission."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.rows import existing, locked
from core.runtime import Runtime
from ledger import journal, periods
from partners.models import Affiliate
from payouts import accrual, categories
from payouts.categories import Category
from payouts.fx_rates import Lookup
from payouts.models import Accrual
from postback import events
from postback.event_rules import EventKind, State
from postback.events import Event
from postback.models import Conversion

KIND = "bonus"
_TAKEN = ("conversion_id", "affiliate_id", "source_id", "campaign_id", "ruleset_version", "assurance")


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
    now = runtime.clock()
    today = now.date()
    row: dict[str, Any] = {
        "id": runtime.new_id("acr"),
        **{name: getattr(first, name) for name in _TAKEN},
        "kind": KIND,
        "seq": max((each.seq for each in accrued if each.kind == KIND), default=0) + 1,
        "terms": {"kind": KIND, "reason": new.reason},
        "rule_id": None,
        "category_code": new.category.code,
        "category_name": new.category.name,
        "category_account": new.category.account,
        "categorised_by": actor.id,
        "amount_minor": new.money.amount_minor,
        "currency": new.money.currency,
        "unrounded": Decimal(new.money.amount),
        "covered_fields": "",
        "is_amount_covered": False,
        "occurred_on": today,
        "payable_on": today + accrual.hold_days(session, {affiliate.id})[affiliate.id],
        "period": periods.slots(session, {today}, today=today)[today].period,
        "created_at": now,
        "version": 1,
        **Lookup(session, runtime.base_currency).frozen(new.money, today),
    }
    made = Accrual(**row)
    session.add(made)
    session.flush()
    details = {"accrual_id": made.id, "kind": KIND, "money": str(new.money)}
    accrual.move_on(session, [conversion_id])
    events.append_each(session, [(conversion_id, Event(EventKind.ACCRUED, actor, now, None, new.reason, details))])
    journal.post(runtime, session, [accrual.entry_of(row)], today=today)
    after = {"conversion_id": conversion_id, "money": str(new.money), "category": asdict(new.category)}
    audit.record(session, Act(actor, "gave", "bonus", made.id, now, after=after, reason=new.reason))
    return made


def _refuse(new: NewBonus, currency: str) -> None:
    found = list(categories.category_faults(asdict(new.category)))
    if new.money.currency != currency:
        found.append(Fault("money", f"takes {currency}, which the affiliate is paid in"))
    elif new.money.amount_minor <= 0:
        found.append(Fault("money", "takes an amount over zero"))
    if found:
        raise Invalid.of(*found)
