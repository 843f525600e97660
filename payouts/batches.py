"""Batches: approved payouts of one method and currency gathered, to leave together in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, bank_accounts, doorbell, rows
from core.actors import Actor
from core.audit import Act
from core.database import claim
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.runtime import Company, Runtime
from partners.models import Affiliate
from payouts import content, moving
from payouts.bundling import papers_of
from payouts.content import Claim
from payouts.formats.methods import METHODS, Method
from payouts.formats.values import Payee, PayeeKind, Payer, Payment
from payouts.gates import cooling_until, papers_missing
from payouts.models import Batch, BatchItem, Payout
from payouts.states import BatchState, ItemState, PayoutState

ITEMS_MAX = max(method.payments_max for method in METHODS.values())
_KIND = "batch"


@dataclass(frozen=True)
class NewBatch:
    """What a batch is asked to be; without `payout_ids` every approved payout that the method can pay."""

    method: str
    currency: str
    payout_ids: Sequence[str] | None = None
    debtor: Payer | None = None
    format: str | None = None


@dataclass(frozen=True)
class Weighed:
    """A payout as it stands now: what it comes to, and whether its money must wait."""

    payout: Payout
    path: str
    claim: Claim
    faults: list[Fault] = field(default_factory=list)


def create(runtime: Runtime, session: Session, new: NewBatch, *, actor: Actor) -> Batch:
    """Gather approved payouts into a batch that waits for its release.

    Named payouts go all or none: Invalid names everything wrong with each. Unnamed ones that changed since their
    approval, or must wait, stay behind. Raises Conflict when there is nothing to pay, or another batch was quicker.
    """
    method = METHODS[new.method]
    debtor = _debtor(runtime, new, method)
    is_named = new.payout_ids is not None
    found = _named(session, new.payout_ids) if new.payout_ids is not None else _waiting(session, new, method)
    weighed = weigh(runtime, session, found)
    if not is_named:
        weighed = [each for each in weighed if not each.faults][: method.payments_max]
    faults = [fault for each in weighed for fault in (each.faults or _payment_faults(each, new.currency, method))]
    if len(weighed) > method.payments_max:
        faults.append(Fault("payout_ids", f"takes at most {method.payments_max}: {new.method} has no larger files"))
    if faults:
        raise Invalid.of(*faults)
    if not weighed:
        message = f"no approved payout in {new.currency} waits for a batch by {new.method}"
        raise Conflict(message, slug="nothing-to-pay")
    now = runtime.clock()
    batch = Batch(
        id=runtime.new_id("bat"),
        method=new.method,
        format=new.format or method.usual_format,
        currency=new.currency,
        state=BatchState.BUILDING,
        created_at=now,
        created_by=actor.id,
        debtor_name=debtor.name,
        debtor_iban=debtor.iban or "",
        debtor_bic=debtor.bic,
        debtor_routing_number=debtor.routing_number,
        debtor_company_id=debtor.company_id,
        debtor_bank_name=debtor.bank_name,
        version=1,
    )
    session.add(batch)
    session.flush()
    _gather(runtime, session, batch, [each.payout for each in weighed], method)
    after = {"count": len(batch.items), "money": str(total(batch)), "method": batch.method, "format": batch.format}
    audit.record(session, Act(actor, "gathered", _KIND, batch.id, now, after=after))
    return batch


def cancel(runtime: Runtime, session: Session, batch_id: str, *, version: int, actor: Actor) -> Batch:
    """Give up a batch that was not released: its payouts are approved again, or asked about anew if they changed."""
    batch = building(session, batch_id, version)
    moving.move_all(session, payouts_of(session, batch).values(), PayoutState.BATCHED, PayoutState.APPROVED)
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


def building(session: Session, batch_id: str, version: int) -> Batch:
    """Return a batch that is building, behind its lock; raise Conflict when it moved on from `version`."""
    batch = rows.locked(session, Batch, batch_id, version=version)
    if batch.state != BatchState.BUILDING:
        message = f"{batch_id} is {batch.state}: only a batch that is building can be released or cancelled"
        raise Conflict(message)
    return batch


def payouts_of(session: Session, batch: Batch) -> Mapping[str, Payout]:
    """Return the payouts of a batch by their ids, behind their locks."""
    statement = (
        sa.select(Payout)
        .join(BatchItem, BatchItem.payout_id == Payout.id)
        .where(BatchItem.batch_id == batch.id)
        .order_by(Payout.id)
        .with_for_update(of=Payout)
    )
    return {payout.id: payout for payout in session.scalars(statement)}


def weigh(runtime: Runtime, session: Session, found: Sequence[tuple[str, Payout]]) -> list[Weighed]:
    """Return payouts with why their money must not leave now: changed since, an account too new, papers missing."""
    claims = content.present(session, [payout for _path, payout in found])
    return [Weighed(payout, path, claims[payout.id], _waits(runtime, payout, claims[payout.id], path))
            for path, payout in found]  # fmt: skip


def payment(payout: Payout, end_to_end_id: str) -> Payment:
    """Return what a file says about a payout."""
    payee = Payee(
        payout.payee_name, PayeeKind(payout.payee_kind), payout.payee_account or payout.payee_iban, payout.payee_bic
    )
    text = f"Affiliate payout {payout.period} {end_to_end_id}"
    return Payment(payee, payout.amount_minor, end_to_end_id, text)


def account_faults(payee: Payee, path: str) -> list[Fault]:
    """Return what is wrong with an IBAN and its BIC; other kinds are checked by their formats."""
    return bank_accounts.faults(payee.account, payee.bic, path) if payee.kind is PayeeKind.IBAN else []


def _debtor(runtime: Runtime, new: NewBatch, method: Method) -> Payer:
    faults = []
    if new.currency not in method.currencies:
        known = ", ".join(sorted(method.currencies)[:40])
        faults.append(Fault("currency", f"{new.method} does not know {new.currency}: it pays in {known}"))
    if new.format is not None and new.format not in method.writers:
        faults.append(Fault("format", f"{new.method} is written as {', '.join(method.writers)}"))
    company = runtime.company
    debtor = new.debtor
    if debtor is None and company is not None:
        debtor = _of_settings(company, method)
    if debtor is None and method.pays_from_an_account:
        faults.append(Fault("debtor", f"is needed, since the settings (COMPANY_..) name no account for {method.name}"))
    debtor = debtor or Payer(method.name)
    if not faults:
        faults += method.payer_faults(debtor, "debtor")
    if debtor.iban:
        faults += bank_accounts.faults(debtor.iban, debtor.bic, "debtor")
    if faults:
        raise Invalid.of(*faults)
    iban = debtor.iban.replace(" ", "").upper() if debtor.iban else None
    return replace(debtor, iban=iban)


def _of_settings(company: Company, method: Method) -> Payer | None:
    """Return the account of the settings that pays by `method`; a PayPal or Wise balance stands on none of them."""
    if not method.pays_from_an_account:
        return Payer(company.name)
    if method.name == "sepa":
        return Payer(company.name, company.iban, company.bic) if company.iban else None
    if company.ach is None:
        return None
    ach = company.ach
    return Payer(company.name, routing_number=ach.routing_number, company_id=ach.company_id, bank_name=ach.bank_name)


def _named(session: Session, payout_ids: Sequence[str]) -> list[tuple[str, Payout]]:
    """Lock the payouts with these ids, in one order for everybody, so that two batches never wait crosswise."""
    found = session.scalars(sa.select(Payout).where(Payout.id.in_(payout_ids)).order_by(Payout.id).with_for_update())
    by_payout_id = {payout.id: payout for payout in found}
    seen: set[str] = set()
    faults = []
    for position, payout_id in enumerate(payout_ids):
        if payout_id not in by_payout_id or payout_id in seen:
            reason = "is no payout" if payout_id not in by_payout_id else "stands here twice"
            faults.append(Fault(f"payout_ids.{position}", reason))
        seen.add(payout_id)
    if faults:
        raise Invalid.of(*faults)
    return [(f"payout_ids.{position}", by_payout_id[payout_id]) for position, payout_id in enumerate(payout_ids)]


def _waiting(session: Session, new: NewBatch, method: Method) -> list[tuple[str, Payout]]:
    # Claimed, not waited for: what another batch is taking this moment is no longer ours to take.
    statement = (
        sa.select(Payout)
        .where(
            Payout.state == PayoutState.APPROVED,
            Payout.currency == new.currency,
            Payout.payee_kind.in_(method.payee_kinds),
        )
        .order_by(Payout.id)
        .limit(ITEMS_MAX)
    )
    payouts = session.scalars(claim(statement)).all()
    if payouts:
        # What changed stays behind, and its approvers are asked again.
        doorbell.after_commit(session, "settlement")
    return [(payout.id, payout) for payout in payouts]


def _waits(runtime: Runtime, payout: Payout, present: Claim, path: str) -> list[Fault]:
    if payout.state not in {PayoutState.APPROVED, PayoutState.BATCHED}:
        return [Fault(path, f"is {payout.state}, not approved")]
    if present.content_hash != payout.content_hash:
        return [Fault(path, "has changed since it was approved and must be approved anew")]
    affiliate: Affiliate = present.affiliate
    now: datetime = runtime.clock()
    faults = []
    until = cooling_until(affiliate.payee_changed_at, cool_off=runtime.payee_cool_off, now=now)
    if until is not None:
        faults.append(
            Fault(path, f"goes to an account changed a short while ago: it may be paid from {until:%Y-%m-%d %H:%M} UTC")
        )
    if missing := papers_missing(papers_of(affiliate), today=now.date()):
        faults.append(Fault(path, f"waits for its affiliate's papers: {missing}"))
    return faults


def _payment_faults(each: Weighed, currency: str, method: Method) -> list[Fault]:
    if each.payout.state != PayoutState.APPROVED:
        return [Fault(each.path, f"is {each.payout.state}, not approved")]
    if each.payout.currency != currency:
        return [Fault(each.path, f"is in {each.payout.currency}, not in {currency}")]
    asked = payment(each.payout, "")
    return account_faults(asked.payee, each.path) + method.payment_faults(asked, currency, each.path)


def _gather(runtime: Runtime, session: Session, batch: Batch, payouts: Sequence[Payout], method: Method) -> None:
    items = [
        {
            "batch_id": batch.id,
            "payout_id": payout.id,
            "end_to_end_id": _end_to_end_id(runtime, method),
            "amount_minor": payout.amount_minor,
            "state": ItemState.LIVE,
        }
        for payout in payouts
    ]
    # The partial unique index decides whether a payout stands in a live batch already, whatever was read before.
    session.execute(sa.insert(BatchItem), items)
    moving.move_all(session, payouts, PayoutState.APPROVED, PayoutState.BATCHED)
    session.refresh(batch, ["items"])


def _end_to_end_id(runtime: Runtime, method: Method) -> str:
    # A new one each time a payout stands in a batch: an answer to an old file must not settle a newer one.
    # Capitals and digits alone, for banks change or drop what else it might have.
    whole = runtime.new_id("e2e").replace("_", "").upper()
    # The end of an id is its random part: 70 bits in 14 characters, and unique in the table besides.
    return whole if len(whole) <= method.reference_length else f"P{whole[1 - method.reference_length :]}"
