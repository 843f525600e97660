"""Accrual: each recorded conversion becomes, once, what we owe for it, under the terms and rules of its moment."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import versions
from core.actors import Actor, system
from core.database import claim, insert_new
from core.money import Money
from core.runtime import Runtime
from ledger import journal, periods, posting
from ledger.periods import Slot
from ledger.posting import Posting
from partners import terms as campaign_terms
from partners.models import Affiliate, CampaignTerms, Source
from payouts import categories, pricing
from payouts.categories import Chosen
from payouts.models import Accrual, CategoryRuleset
from payouts.pricing import PayoutMeans, Priced, Terms, TermsKind, Told, Unpriceable
from postback import covering, events
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Conversion

ACTOR: Actor = system("stage:accrual")
_KIND = "accrue"
# What the column `unrounded` keeps of a figure that may have more decimals; the amount was rounded from all of them.
_KEPT = Decimal("0.00000001")


@dataclass(frozen=True)
class _Known:
    """What a batch of conversions refers to, loaded once."""

    sources: Mapping[str, Source]
    affiliates: Mapping[str, Affiliate]
    terms: Mapping[str, Sequence[CampaignTerms]]
    slots: Mapping[date, Slot]
    ruleset_version: int
    choose: categories.Chooser


def run_batch(runtime: Runtime, session: Session, limit: int) -> int:
    """Accrue at most `limit` recorded conversions that nothing holds; return how many were taken.

    One that cannot be priced is held as `unpriceable` with the reason in its events: it waits for a person, and the
    others go on. Running again posts nothing again: UNIQUE(conversion_id, kind, seq) decides what is new.
    """
    conversions = session.scalars(
        claim(
            sa.select(Conversion)
            .where(Conversion.state == State.RECORDED, Conversion.hold_reason.is_(None))
            .order_by(Conversion.id)
            .limit(limit)
        )
    ).all()
    if not conversions:
        return 0
    now = runtime.clock()
    today = now.date()
    known = _known(session, conversions, today)
    rows, postings, happened = [], {}, []
    for conversion in conversions:
        terms = campaign_terms.in_force(known.terms[_given(conversion.campaign_id)], conversion.occurred_at)
        priced = pricing.price(_terms(terms), _told(conversion, known))
        if isinstance(priced, Unpriceable):
            conversion.hold_reason = HoldReason.UNPRICEABLE
            event = Event(EventKind.UNPRICEABLE, ACTOR, now, reason=str(priced), details={"terms": terms.as_facts})
        else:
            row = _row(runtime, conversion, terms, priced, known)
            rows.append(row)
            postings[row["id"]] = _postings(conversion, row, known)
            conversion.state = State.ACCRUED
            event = Event(EventKind.ACCRUED, ACTOR, now, details={"accrual_id": row["id"]})
        happened.append((conversion, event))
    new = insert_new(session, Accrual, rows, key=["conversion_id", "kind", "seq"])
    events.append_each(session, happened)
    # For new ones alone: of a conversion accrued before, the journal knows that accrual and not this one's id.
    journal.post(runtime, session, [entry for row in new for entry in postings[row.id]], today=today)
    return len(conversions)


def _known(session: Session, conversions: Sequence[Conversion], today: date) -> _Known:
    ruleset = versions.active(session, CategoryRuleset)
    days = {conversion.occurred_at.date() for conversion in conversions}
    terms: defaultdict[str, list[CampaignTerms]] = defaultdict(list)
    campaign_ids = {conversion.campaign_id for conversion in conversions}
    for version in session.scalars(
        sa.select(CampaignTerms).where(CampaignTerms.campaign_id.in_(campaign_ids)).order_by(CampaignTerms.version)
    ):
        terms[version.campaign_id].append(version)
    source_ids = {conversion.source_id for conversion in conversions}
    affiliate_ids = {conversion.affiliate_id for conversion in conversions}
    sources = session.scalars(sa.select(Source).where(Source.id.in_(source_ids)))
    affiliates = session.scalars(sa.select(Affiliate).where(Affiliate.id.in_(affiliate_ids)))
    return _Known(
        sources={source.id: source for source in sources},
        affiliates={affiliate.id: affiliate for affiliate in affiliates},
        terms=terms,
        # The months are held from here on: accrual and journal entry cannot land in two different ones.
        slots=periods.slots(session, days, today=today),
        ruleset_version=ruleset.version,
        choose=categories.chooser(ruleset.rules),
    )


def _terms(terms: CampaignTerms) -> Terms:
    return Terms(TermsKind(terms.kind), terms.percent, terms.amount_minor, terms.currency)


def _told(conversion: Conversion, known: _Known) -> Told:
    means = PayoutMeans(known.sources[conversion.source_id].payout_means)
    return Told(conversion.payout_minor, conversion.amount_minor, conversion.currency, means)


def _row(
    runtime: Runtime, conversion: Conversion, terms: CampaignTerms, priced: Priced, known: _Known
) -> dict[str, Any]:
    affiliate = known.affiliates[_given(conversion.affiliate_id)]
    is_covered = pricing.is_covered(
        _terms(terms),
        covering.fields(conversion.covered_fields),
        is_usual_currency=conversion.currency == known.sources[conversion.source_id].default_currency,
    )
    chosen = _category(conversion, priced.money, known, is_covered=is_covered)
    occurred_on = conversion.occurred_at.date()
    return {
        "id": runtime.new_id("acr"),
        "conversion_id": conversion.id,
        "kind": _KIND,
        "seq": 1,
        "affiliate_id": affiliate.id,
        "source_id": conversion.source_id,
        "campaign_id": _given(conversion.campaign_id),
        "terms": terms.as_facts,
        "ruleset_version": known.ruleset_version,
        "rule_id": chosen.rule_id,
        "category_code": chosen.category.code,
        "category_name": chosen.category.name,
        "category_account": chosen.category.account,
        "amount_minor": priced.money.amount_minor,
        "currency": priced.money.currency,
        "unrounded": priced.unrounded.quantize(_KEPT),
        "assurance": conversion.assurance,
        "covered_fields": conversion.covered_fields,
        "is_amount_covered": is_covered,
        "occurred_on": occurred_on,
        "payable_on": occurred_on + timedelta(days=affiliate.hold_days),
        "period": known.slots[occurred_on].period,
        "created_at": runtime.clock(),
    }


def _category(conversion: Conversion, owed: Money, known: _Known, *, is_covered: bool) -> Chosen:
    facts = {
        **conversion.subs,
        "source_id": conversion.source_id,
        "campaign_id": conversion.campaign_id,
        "affiliate_id": conversion.affiliate_id,
        "event": conversion.event,
        "currency": owed.currency,
        "assurance": conversion.assurance,
        "covered_fields": covering.fields(conversion.covered_fields),
        "amount_is_covered": is_covered,
        "amount_minor": owed.amount_minor,
    }
    return known.choose(facts)


def entry_of(row: Mapping[str, Any]) -> Posting:
    """Return the journal entry of an accrual's row."""
    return posting.accrual(
        accrual_id=row["id"],
        conversion_id=row["conversion_id"],
        affiliate_id=row["affiliate_id"],
        account=row["category_account"],
        money=Money(row["amount_minor"], row["currency"]),
        occurred_on=row["occurred_on"],
    )


def _postings(conversion: Conversion, row: Mapping[str, Any], known: _Known) -> list[Posting]:
    made = [entry_of(row)]
    told = _told(conversion, known)
    if told.payout_means is PayoutMeans.OWED_TO_US and told.payout_minor is not None:
        money = Money(told.payout_minor, told.currency)
        made.append(posting.revenue(conversion_id=conversion.id, money=money, occurred_on=row["occurred_on"]))
    return made


def _given(value: str | None) -> str:
    """Return what every recorded conversion has: matching its click gave it a campaign and an affiliate."""
    if value is None:
        message = "a recorded conversion has its campaign and affiliate"
        raise ValueError(message)
    return value
