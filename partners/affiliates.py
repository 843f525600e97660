"""Affiliates: whom we owe money, in which currency and to which account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from schwifty import BIC, IBAN
from sqlalchemy.orm import Session

from core import audit, bank_accounts, money
from core.actors import Actor
from core.audit import Act
from core.database import insert_new
from core.errors import Fault, Invalid
from core.money import MoneyError
from core.rows import locked
from core.runtime import Runtime
from partners.changes import Change, differences
from partners.models import Affiliate, PayeeEdit

STATUSES = ("new", "trusted", "suspended")
HOLD_DAYS_MAX = 365


@dataclass(frozen=True)
class Payee:
    """Whose account it is and which. No repr: an account number belongs in no log."""

    name: str
    iban: str
    bic: str | None = None

    def __repr__(self) -> str:
        return "Payee(..)"


@dataclass(frozen=True)
class NewAffiliate:
    """What an affiliate is made of; `minimum_payout` is decimal text in `currency`, which never changes."""

    name: str
    currency: str
    payee: Payee | None = None
    hold_days: int = 0
    minimum_payout: str = "0"
    status: str = "new"


def create(runtime: Runtime, session: Session, new: NewAffiliate, *, actor: Actor) -> Affiliate:
    """Add an affiliate; raise Invalid with every fault of its account and its minimum."""
    minimum_minor, payee = _checked(new.minimum_payout, new.currency, new.payee)
    now = runtime.clock()
    affiliate = Affiliate(
        id=runtime.new_id("aff"),
        name=new.name,
        status=new.status,
        currency=new.currency,
        hold_days=new.hold_days,
        minimum_payout_minor=minimum_minor,
        created_at=now,
        version=1,
    )
    _set_payee(affiliate, payee)
    session.add(affiliate)
    if payee is not None:
        session.flush()
        session.add(PayeeEdit(affiliate_id=affiliate.id, edited_at=now, edited_by=actor.id))
    audit.record(session, Act(actor, "created", "affiliate", affiliate.id, now, after=_facts(affiliate)))
    return affiliate


def change(runtime: Runtime, session: Session, affiliate_id: str, wanted: Change, *, actor: Actor) -> Affiliate:
    """Change name, payee, hold_days, minimum_payout or status; a payee that really changes is marked with who and when.

    Raise Conflict when the affiliate has moved on from the version, Invalid with every fault.
    """
    affiliate = locked(session, Affiliate, affiliate_id, version=wanted.version)
    values = dict(wanted.values)
    minimum = values.pop("minimum_payout", None)
    minimum_minor, payee = _checked(minimum or "0", affiliate.currency, values.get("payee"))
    before, payee_before, now = _facts(affiliate), _payee(affiliate), runtime.clock()
    if minimum is not None:
        affiliate.minimum_payout_minor = minimum_minor
    if "payee" in values:
        del values["payee"]
        _set_payee(affiliate, payee)
    for name, value in values.items():
        setattr(affiliate, name, value)
    if _payee(affiliate) != payee_before:
        affiliate.payee_changed_at, affiliate.payee_changed_by = now, actor.id
        insert_new(
            session,
            PayeeEdit,
            [{"affiliate_id": affiliate.id, "edited_at": now, "edited_by": actor.id}],
            key=["affiliate_id", "edited_at", "edited_by"],
        )
    affiliate.version += 1
    old, new = differences(before, _facts(affiliate))
    # Names are personal and stay out of the log; that they were changed does not.
    new["fields"] = sorted(wanted.values)
    audit.record(session, Act(actor, "changed", "affiliate", affiliate.id, now, before=old, after=new))
    return affiliate


def editors(session: Session, affiliate_id: str, *, since: datetime) -> frozenset[str]:
    """Return the ids of those who have set or changed the affiliate's account after `since`."""
    statement = sa.select(PayeeEdit.edited_by).where(
        PayeeEdit.affiliate_id == affiliate_id, PayeeEdit.edited_at > since
    )
    return frozenset(session.scalars(statement))


def masked(iban: str | None) -> str | None:
    """Return the first four and the last five characters: enough to recognise an account, too little to use it."""
    return None if iban is None else f"{iban[:4]}…{iban[-5:]}"


def _checked(minimum_payout: str, currency: str, payee: Payee | None) -> tuple[int, Payee | None]:
    found: list[Fault] = []
    minor = 0
    try:
        minor = money.parse(minimum_payout, currency).amount_minor
    except MoneyError as error:
        found.append(Fault("minimum_payout", str(error)))
    if minor < 0:
        found.append(Fault("minimum_payout", "takes zero or more"))
    if payee is not None:
        payee = _checked_payee(payee, found)
    if found:
        raise Invalid.of(*found)
    return minor, payee


def _checked_payee(payee: Payee, found: list[Fault]) -> Payee:
    """Return `payee` with IBAN and BIC in their compact form; add what is wrong to `found`."""
    faults = bank_accounts.faults(payee.iban, payee.bic, "payee")
    if faults:
        found += faults
        return payee
    return Payee(payee.name, IBAN(payee.iban).compact, BIC(payee.bic).compact if payee.bic is not None else None)


def _set_payee(affiliate: Affiliate, payee: Payee | None) -> None:
    affiliate.payee_name = payee.name if payee else None
    affiliate.payee_iban = payee.iban if payee else None
    affiliate.payee_bic = payee.bic if payee else None


def _payee(affiliate: Affiliate) -> tuple[str | None, str | None, str | None]:
    return affiliate.payee_name, affiliate.payee_iban, affiliate.payee_bic


def _facts(affiliate: Affiliate) -> Mapping[str, Any]:
    return {
        "status": affiliate.status,
        "currency": affiliate.currency,
        "payee_iban": masked(affiliate.payee_iban),
        "hold_days": affiliate.hold_days,
        "minimum_payout_minor": affiliate.minimum_payout_minor,
    }
