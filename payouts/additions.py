"""Accruals that people add to a conversion: bonuses, and what of a negative balance is written off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from core.actors import Actor
from core.money import Money
from core.runtime import Runtime
from ledger import journal, periods
from payouts import accrual
from payouts.categories import Category
from payouts.fx_rates import Lookup
from payouts.models import Accrual
from postback import events
from postback.event_rules import EventKind
from postback.events import Event

# Kinds that are no part of what a conversion's terms come to: a change of the conversion leaves them as they are.
KINDS = ("bonus", "write_off")
_TAKEN = ("conversion_id", "affiliate_id", "source_id", "campaign_id", "ruleset_version", "assurance")


@dataclass(frozen=True)
class Addition:
    """What is added; `terms` is what the accrual keeps of why."""

    kind: str
    money: Money
    category: Category
    terms: Mapping[str, Any]
    reason: str


def add(
    runtime: Runtime,
    session: Session,
    accrued: Sequence[Accrual],
    new: Addition,
    *,
    wait: timedelta,
    actor: Actor,
) -> Accrual:
    """Add one accrual to a conversion that the caller holds locked and whose accruals are `accrued`, and post it.

    It goes to the open month and is payable after `wait`. No proof covers the amount: a policy that asks for covered
    ones sees that.
    """
    first = next(each for each in accrued if each.kind == "accrue")
    now = runtime.clock()
    today = now.date()
    row: dict[str, Any] = {
        "id": runtime.new_id("acr"),
        **{name: getattr(first, name) for name in _TAKEN},
        "kind": new.kind,
        "seq": max((each.seq for each in accrued if each.kind == new.kind), default=0) + 1,
        "terms": dict(new.terms),
        "rule_id": None,
        **new.category.columns,
        "categorised_by": actor.id,
        "amount_minor": new.money.amount_minor,
        "currency": new.money.currency,
        "unrounded": Decimal(new.money.amount),
        "covered_fields": "",
        "is_amount_covered": False,
        "occurred_on": today,
        "payable_on": today + wait,
        "period": periods.slots(session, {today}, today=today)[today].period,
        "created_at": now,
        "version": 1,
        **Lookup(session, runtime.base_currency).frozen(new.money, today),
    }
    made = Accrual(**row)
    session.add(made)
    session.flush()
    details = {"accrual_id": made.id, "kind": new.kind, "money": str(new.money)}
    accrual.move_on(session, [first.conversion_id])
    happened = Event(EventKind.ACCRUED, actor, now, None, new.reason, details)
    events.append_each(session, [(first.conversion_id, happened)])
    journal.post(runtime, session, [accrual.entry_of(row)], today=today)
    return made
