"""Self-billing documents are issued: one a settled payout, numbered without a gap, and never changed."""

import hashlib
from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import system
from core.audit import Act
from core.database import claim, insert_new
from core.errors import NotFound
from core.runtime import Company, Runtime
from partners.models import Affiliate, Campaign
from payouts import self_billing
from payouts.models import Accrual, BatchItem, Payout, SelfBill, SelfBillNumber
from payouts.self_billing import Document, Line, Party
from payouts.states import ItemState, PayoutState

ACTOR = system("stage:settlement")


def issue_next(runtime: Runtime, session: Session) -> bool:
    """Issue the document of one settled payout that has none about its settlement; say whether there was one.

    While the settings name no company nothing is issued: a document needs to say who wrote it.
    """
    if runtime.company is None:
        return False
    has_one = sa.exists().where(SelfBill.payout_id == Payout.id, SelfBill.payout_version == Payout.version)
    waiting = sa.select(Payout).where(Payout.state == PayoutState.SETTLED, ~has_one).order_by(Payout.id).limit(1)
    payout = session.scalar(claim(waiting))
    if payout is None:
        return False
    issue(runtime, session, payout, runtime.company)
    return True


def issue(runtime: Runtime, session: Session, payout: Payout, company: Company) -> SelfBill:
    """Write the document of a settled payout, held by the caller. Of one paid a second time it corrects the first."""
    now = runtime.clock()
    earlier = session.scalar(
        sa.select(SelfBill).where(SelfBill.payout_id == payout.id).order_by(SelfBill.id.desc()).limit(1)
    )
    number = _next_number(session, company.name, now.year)
    document = _document(
        session, payout, company, number_text=self_billing.number_text(now.date(), number), today=now.date(),
        corrects=None if earlier is None else earlier.content["number"],
    )  # fmt: skip
    # Here, not above: fonts and pictures cost every start 0.4 s, and few processes write a document.
    from payouts import self_bill_pdf  # noqa: PLC0415

    file = self_bill_pdf.written(document)
    issued = SelfBill(
        id=runtime.new_id("sbl"),
        payout_id=payout.id,
        affiliate_id=payout.affiliate_id,
        issuer=company.name[:70],
        year=now.year,
        number=number,
        corrects_id=None if earlier is None else earlier.id,
        payout_version=payout.version,
        content=document.as_json(),
        file=file,
        sha256=hashlib.sha256(file).hexdigest(),
        issued_at=now,
    )
    session.add(issued)
    session.flush()
    after = {"number": document.number, "payout_id": payout.id, "sha256": issued.sha256}
    audit.record(session, Act(ACTOR, "issued", "self_bill", issued.id, now, after=after))
    return issued


def of_payout(session: Session, payout_id: str) -> SelfBill:
    """Return the newest document of a payout; raise NotFound when there is none."""
    found = session.scalar(
        sa.select(SelfBill).where(SelfBill.payout_id == payout_id).order_by(SelfBill.id.desc()).limit(1)
    )
    if found is None:
        message = f"{payout_id} has no self-billing document: one is written once it is settled"
        raise NotFound(message)
    return found


def _next_number(session: Session, issuer: str, year: int) -> int:
    # The row stays locked until the commit: the next one waits, and a number whose transaction fails is given again.
    insert_new(session, SelfBillNumber, [{"issuer": issuer[:70], "year": year, "last": 0}], key=["issuer", "year"])
    counter = sa.update(SelfBillNumber).where(SelfBillNumber.issuer == issuer[:70], SelfBillNumber.year == year)
    return session.scalars(counter.values(last=SelfBillNumber.last + 1).returning(SelfBillNumber.last)).one()


def _document(
    session: Session, payout: Payout, company: Company, *, number_text: str, today: date, corrects: str | None
) -> Document:
    affiliate = session.get_one(Affiliate, payout.affiliate_id)
    item = session.scalars(
        sa.select(BatchItem).where(BatchItem.payout_id == payout.id, BatchItem.state == ItemState.SETTLED)
    ).one()
    lines, supplied_from, supplied_until = _lines(session, payout)
    treatment = affiliate.vat_treatment
    net_minor, vat_minor = self_billing.split_vat(payout.amount_minor, treatment, affiliate.vat_percent)
    return Document(
        title=self_billing.title(treatment),
        number=number_text,
        corrects=corrects,
        issued_on=today,
        supplied_from=supplied_from,
        supplied_until=supplied_until,
        paid_on=item.settled_on or today,
        supplier=Party(payout.payee_name, self_billing.address_lines(affiliate.address), affiliate.vat_id),
        customer=Party(company.name, self_billing.address_lines(company.address), company.vat_id),
        lines=lines,
        currency=payout.currency,
        net_minor=net_minor,
        vat_percent=affiliate.vat_percent if treatment == "included" else None,
        vat_minor=vat_minor,
        total_minor=payout.amount_minor,
        note=self_billing.NOTES[treatment],
        reference=item.end_to_end_id,
    )


def _lines(session: Session, payout: Payout) -> tuple[Sequence[Line], date, date]:
    """Return a line a campaign and month: ten thousand conversions are no document that anybody reads."""
    amount = sa.cast(sa.func.sum(Accrual.amount_minor), sa.BigInteger)
    found = session.execute(
        sa.select(
            Campaign.name, Accrual.period, sa.func.count(sa.distinct(Accrual.conversion_id)), amount,
            sa.func.min(Accrual.occurred_on), sa.func.max(Accrual.occurred_on),
        )
        .join(Campaign, Campaign.id == Accrual.campaign_id)
        .where(Accrual.payout_id == payout.id)
        .group_by(Campaign.id, Campaign.name, Accrual.period)
        .order_by(Accrual.period, Campaign.name, Campaign.id)
    ).all()  # fmt: skip
    lines = [Line(f"Affiliate commission, {name}, {period}", count, minor) for name, period, count, minor, *_ in found]
    return lines, min(row[4] for row in found), max(row[5] for row in found)
