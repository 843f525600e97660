"""What exactly is to be paid, and the question put to people about it: one hash stands for both."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import routing
from approvals.routing import Subject
from approvals.separation import PAYEE_EDITOR_BARRED_FOR
from core.money import Money
from partners.affiliates import editors
from partners.models import Affiliate
from partners.payees import masked_account
from payouts.formats.values import PayeeKind
from payouts.models import Accrual, Batch, BatchItem, Payout
from payouts.states import ItemState, PayoutState
from postback import covering
from postback.models import Conversion

KIND = "payout"
# The states of a conversion whose accruals count.
COUNTING = ("accrued", "reversed")
_PAYOUTS_A_STATEMENT = 500
# What is read of an accrual here: its terms and names would be most of the bytes, and of the time.
LINE = (
    Accrual.id, Accrual.payout_id, Accrual.amount_minor, Accrual.category_code, Accrual.source_id,
    Accrual.campaign_id, Accrual.assurance, Accrual.covered_fields, Accrual.is_amount_covered, Accrual.base_minor,
    Accrual.categorised_by,
)  # fmt: skip


class Owed(Protocol):
    """What of an accrual decides about its payout: an accrual itself, or a row of LINE."""

    id: Any
    amount_minor: Any
    category_code: Any
    source_id: Any
    campaign_id: Any
    assurance: Any
    covered_fields: Any
    is_amount_covered: Any
    base_minor: Any
    categorised_by: Any


@dataclass(frozen=True)
class Claim:
    """What an affiliate is to be paid now: its account as it is now, and the accruals that may be paid now."""

    affiliate: Affiliate
    accruals: Sequence[Owed]

    @cached_property
    def money(self) -> Money:
        """The sum of the accruals, never a number of its own."""
        return Money(sum(accrual.amount_minor for accrual in self.accruals), self.affiliate.currency)

    @property
    def base_minor(self) -> int:
        """The sum in the base currency, each accrual at its frozen rate; one without a rate counts as it is.

        A threshold must not be ducked under for want of a rate.
        """
        return sum(each.amount_minor if each.base_minor is None else each.base_minor for each in self.accruals)

    @cached_property
    def category_codes(self) -> list[str]:
        """The categories it is spent on, each once, sorted."""
        return sorted({accrual.category_code for accrual in self.accruals})

    @cached_property
    def content(self) -> dict[str, Any]:
        """What a decision is bound to, as plain JSON."""
        return {
            "payee": self._payee,
            "amount_minor": self.money.amount_minor,
            "currency": self.affiliate.currency,
            "category_codes": self.category_codes,
            "accrual_ids": sorted(accrual.id for accrual in self.accruals),
        }

    @property
    def _payee(self) -> dict[str, Any]:
        affiliate = self.affiliate
        if affiliate.payee_kind == PayeeKind.IBAN:
            return {"name": affiliate.payee_name, "iban": affiliate.payee_iban, "bic": affiliate.payee_bic}
        account = affiliate.payee_account
        return {
            "name": affiliate.payee_name,
            "kind": affiliate.payee_kind,
            # Enough for people to recognise it, and a hash that binds their decision to all of it.
            "account": masked_account(affiliate.payee_kind, account),
            "account_sha256": hashlib.sha256((account or "").encode()).hexdigest(),
        }

    @cached_property
    def content_hash(self) -> str:
        """The hash of `content`."""
        return routing.content_hash(self.content)

    @property
    def is_payable(self) -> bool:
        """Say whether there is somebody to pay, an account to pay to, and something to pay."""
        affiliate = self.affiliate
        return (
            affiliate.status != "suspended"
            and affiliate.payee_name is not None
            and (affiliate.payee_iban or affiliate.payee_account) is not None
            and self.money.amount_minor > 0
        )


def present(session: Session, payouts: Sequence[Payout]) -> dict[str, Claim]:
    """Return, by payout id, what `payouts` come to now: the present accounts, and the accruals not held since."""
    found: dict[str, Claim] = {}
    for start in range(0, len(payouts), _PAYOUTS_A_STATEMENT):
        chunk = payouts[start : start + _PAYOUTS_A_STATEMENT]
        accruals: defaultdict[str | None, list[Owed]] = defaultdict(list)
        ids = [payout.id for payout in chunk]
        for line in session.execute(payable().where(Accrual.payout_id.in_(ids)).with_only_columns(*LINE)):
            accruals[line.payout_id].append(line)
        affiliate_ids = {payout.affiliate_id for payout in chunk}
        # Read anew whatever this session has seen before: the question is what holds now.
        affiliates = {
            affiliate.id: affiliate
            for affiliate in session.scalars(
                sa.select(Affiliate).where(Affiliate.id.in_(affiliate_ids)).execution_options(populate_existing=True)
            )
        }
        found |= {payout.id: Claim(affiliates[payout.affiliate_id], accruals[payout.id]) for payout in chunk}
    return found


def payable() -> sa.Select[Accrual]:
    """Return the query of accruals whose conversion counts: accrued, and held by nothing that came up since.

    One that was taken back counts too: its accruals come to nothing together, and its clawback is a debt when the
    first one is in a payout already. That payout stays what was approved; the debt stands in the next one.
    """
    return (
        sa.select(Accrual)
        .join(Conversion, Conversion.id == Accrual.conversion_id)
        .where(Conversion.state.in_(COUNTING), Conversion.hold_reason.is_(None))
    )


def subject(session: Session, payout: Payout, claim: Claim, *, now: datetime) -> Subject:
    """Return the question whether `payout` may be paid as `claim` says.

    Thresholds look at the larger of this payout and what its affiliate comes to in the month with it, so that splitting
    ducks under none.
    """
    before_minor = _month_to_date_minor(session, payout, now)
    return Subject(
        kind=KIND,
        id=payout.id,
        money=claim.money,
        title=f"{claim.affiliate.name}: {claim.money} up to {payout.period}"[:300],
        facts=_facts(session, claim, now=now, before_minor=before_minor),
        content=claim.content,
        barred=_barred(session, payout, claim, now=now),
    )


def freeze(payout: Payout, claim: Claim) -> None:
    """Write on `payout` what `claim` says now."""
    affiliate = claim.affiliate
    if affiliate.payee_name is None or not (affiliate.payee_iban or affiliate.payee_account):
        message = "a payout goes to an account"
        raise ValueError(message)
    payout.payee_name = affiliate.payee_name
    payout.payee_iban = affiliate.payee_iban or ""
    payout.payee_bic = affiliate.payee_bic
    payout.payee_kind = affiliate.payee_kind
    payout.payee_account = affiliate.payee_account
    payout.amount_minor = claim.money.amount_minor
    payout.category_codes = claim.category_codes
    payout.content_hash = claim.content_hash


def _month_to_date_minor(session: Session, payout: Payout, now: datetime) -> int:
    """Return, in the base currency, the affiliate's other payouts made in the month of `now` and not turned down."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    total = session.scalar(
        sa.select(sa.func.sum(sa.func.coalesce(Accrual.base_minor, Accrual.amount_minor)))
        .join(Payout, Payout.id == Accrual.payout_id)
        .where(
            Payout.affiliate_id == payout.affiliate_id,
            Payout.id != payout.id,
            Payout.created_at >= first,
            Payout.state.not_in([PayoutState.REJECTED, PayoutState.CANCELLED]),
        )
    )
    return int(total or 0)


def _facts(session: Session, claim: Claim, *, now: datetime, before_minor: int) -> Mapping[str, Any]:
    affiliate, accruals = claim.affiliate, claim.accruals
    # An account that was never changed is as old as the affiliate.
    account_since = affiliate.payee_changed_at or affiliate.created_at
    return {
        "amount_base": max(claim.base_minor, claim.base_minor + before_minor),
        "amount_alone": claim.base_minor,
        "currency": affiliate.currency,
        "affiliate_id": affiliate.id,
        "affiliate.status": affiliate.status,
        "affiliate.bank_changed_days": (now - account_since).days,
        "payee.payouts_before": _payouts_before(session, affiliate),
        "source_id": {accrual.source_id for accrual in accruals},
        "campaign_id": {accrual.campaign_id for accrual in accruals},
        "category": set(claim.category_codes),
        # A is the strongest: what is paid is as sure as its least sure part.
        "assurance": max(accrual.assurance for accrual in accruals),
        "covered_fields": frozenset.intersection(*(covering.fields(accrual.covered_fields) for accrual in accruals)),
        "amount_is_covered": all(accrual.is_amount_covered for accrual in accruals),
    }


def _payouts_before(session: Session, affiliate: Affiliate) -> int:
    """Return how many payouts have reached exactly this account: of a new one, whoever gave it to us, none."""
    same = (
        Payout.payee_kind == affiliate.payee_kind,
        Payout.payee_iban == (affiliate.payee_iban or ""),
        Payout.payee_account.is_not_distinct_from(affiliate.payee_account),
    )
    settled = sa.select(sa.func.count()).where(
        Payout.affiliate_id == affiliate.id, Payout.state == PayoutState.SETTLED, *same
    )
    return session.scalar(settled) or 0


def _barred(session: Session, payout: Payout, claim: Claim, *, now: datetime) -> frozenset[str]:
    """Return who made it, edited the account in the last days, released a batch with it, or moved a part of it.

    Whoever moved a part of it to another category may so have chosen who approves it.
    """
    moved_by = {accrual.categorised_by for accrual in claim.accruals if accrual.categorised_by is not None}
    edited = editors(session, payout.affiliate_id, since=now - PAYEE_EDITOR_BARRED_FOR)
    releasers = session.scalars(
        sa.select(Batch.released_by)
        .join(BatchItem, BatchItem.batch_id == Batch.id)
        .where(
            BatchItem.payout_id == payout.id,
            BatchItem.state != ItemState.CANCELLED,
            Batch.released_by.is_not(None),
        )
    )
    return frozenset({payout.created_by, *moved_by, *edited, *(each for each in releasers if each is not None)})
