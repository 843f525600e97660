"""Affiliates: whom we owe money, in which currency and to which account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, money
from core.actors import Actor
from core.audit import Act
from core.database import insert_new
from core.errors import Fault, Invalid
from core.money import MoneyError
from core.rows import locked
from core.runtime import Runtime
from partners.changes import Change, differences
from partners.models import Affiliate, PayeeEdit
from partners.payees import Payee, checked, masked_account
from partners.tax import VatFields, vat_faults

STATUSES = ("new", "trusted", "suspended")
HOLD_DAYS_MAX = 365
# What is written as it comes.
_PLAIN = (
    "payment_cycle", "tax_form_required", "tax_form", "tax_form_received_on",
    "vat_id", "address", "vat_treatment", "vat_percent",
)  # fmt: skip


@dataclass(frozen=True)
class NewAffiliate:
    """What an affiliate is made of; `minimum_payout` is decimal text in `currency`, which never changes."""

    name: str
    currency: str
    payee: Payee | None = None
    hold_days: int = 0
    minimum_payout: str = "0"
    status: str = "new"
    payment_cycle: str = "every_run"
    tax_form_required: str | None = None
    tax_form: str | None = None
    tax_form_received_on: date | None = None
    vat_id: str | None = None
    address: str | None = None
    vat_treatment: str = "none"
    vat_percent: str | None = None


def create(runtime: Runtime, session: Session, new: NewAffiliate, *, actor: Actor) -> Affiliate:
    """Add an affiliate; raise Invalid with every fault of its account and its minimum."""
    found = vat_faults(_vat(new))
    minimum_minor, payee = _checked(new.minimum_payout, new.currency, new.payee, found)
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
        **{name: getattr(new, name) for name in _PLAIN},
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
    wished = {name: values.get(name, getattr(affiliate, name)) for name in VatFields.__annotations__}
    found = vat_faults(VatFields(**wished))
    minimum_minor, payee = _checked(minimum or "0", affiliate.currency, values.get("payee"), found)
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


class HasPayee(Protocol):
    """A row that says whom to pay: an affiliate, or a payout as it was asked about."""

    payee_name: Any
    payee_iban: Any
    payee_bic: Any
    payee_kind: Any
    payee_account: Any


def payee_shown(row: HasPayee) -> Mapping[str, Any] | None:
    """Return whose account it is, masked; None when there is none."""
    if row.payee_name is None:
        return None
    return {
        "name": row.payee_name,
        "iban": masked(row.payee_iban or None),
        "bic": row.payee_bic,
        "kind": row.payee_kind,
        "account": masked_account(row.payee_kind, row.payee_account),
    }


def _checked(minimum_payout: str, currency: str, payee: Payee | None, found: list[Fault]) -> tuple[int, Payee | None]:
    minor = 0
    try:
        minor = money.parse(minimum_payout, currency).amount_minor
    except MoneyError as error:
        found.append(Fault("minimum_payout", str(error)))
    if minor < 0:
        found.append(Fault("minimum_payout", "takes zero or more"))
    if payee is not None:
        payee = checked(payee, found)
    if found:
        raise Invalid.of(*found)
    return minor, payee


def _vat(source: NewAffiliate) -> VatFields:
    return VatFields(source.vat_id, source.vat_treatment, source.vat_percent)


def _set_payee(affiliate: Affiliate, payee: Payee | None) -> None:
    affiliate.payee_name = payee.name if payee else None
    affiliate.payee_iban = payee.iban if payee else None
    affiliate.payee_bic = payee.bic if payee else None
    affiliate.payee_kind = payee.kind if payee else "iban"
    affiliate.payee_account = payee.account_text if payee else None


def _payee(affiliate: Affiliate) -> tuple[str | None, ...]:
    return (
        affiliate.payee_name, affiliate.payee_iban, affiliate.payee_bic,
        affiliate.payee_kind, affiliate.payee_account,
    )  # fmt: skip


def _facts(affiliate: Affiliate) -> Mapping[str, Any]:
    return {
        "status": affiliate.status,
        "currency": affiliate.currency,
        "payee_iban": masked(affiliate.payee_iban),
        "payee_account": masked_account(affiliate.payee_kind, affiliate.payee_account),
        "tax_form_received_on": affiliate.tax_form_received_on.isoformat() if affiliate.tax_form_received_on else None,
        **{
            name: getattr(affiliate, name)
            for name in ("payment_cycle", "tax_form_required", "tax_form", "vat_treatment")
        },
        "hold_days": affiliate.hold_days,
        "minimum_payout_minor": affiliate.minimum_payout_minor,
    }
