"""Accrual: each recorded conversion becomes, once, what we owe for it, under the terms and rules of its moment.

A batch is thousands of conversions: plain rows are read, every decision is made on them, and each table is written at
once. An object for each row would cost more than all else that is done for a conversion.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import copying, versions
from core.actors import Actor, system
from core.database import among, claim, table_of
from core.money import Money
from core.runtime import Runtime
from ledger import journal, periods, posting
from ledger.periods import Slot
from ledger.posting import Posting
from partners import terms as campaign_terms
from partners.models import Affiliate, CampaignTerms, Source
from payouts import categories, pricing, tiers
from payouts.fx_rates import Lookup
from payouts.models import Accrual, CategoryRuleset
from payouts.pricing import PayoutMeans, Priced, Terms, Told, Unpriceable
from payouts.volumes import Volumes
from postback import covering, events
from postback.event_rules import EventKind, HoldReason, State
from postback.events import Event
from postback.models import Conversion

ACTOR: Actor = system("stage:accrual")
# What the column `unrounded` keeps of a figure that may have more decimals; the amount was rounded from all of them.
KEPT = Decimal("0.00000001")
_KIND = "accrue"
_WANTED: tuple[Any, ...] = (
    Conversion.id, Conversion.source_id, Conversion.campaign_id, Conversion.affiliate_id, Conversion.event,
    Conversion.payout_minor, Conversion.amount_minor, Conversion.currency, Conversion.occurred_at, Conversion.subs,
    Conversion.assurance, Conversion.covered_fields,
)  # fmt: skip
_Row = sa.Row[Any]


@dataclass(frozen=True)
class _Frozen:
    """One version of a campaign's terms, as it is priced by and as it is kept."""

    terms: Terms
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class _Known:
    """What a batch of conversions refers to, loaded once."""

    now: datetime
    payout_means: Mapping[str, PayoutMeans]
    usual_currency: Mapping[str, str | None]
    hold_days: Mapping[str, timedelta]
    terms: Mapping[str, Sequence[CampaignTerms]]
    frozen: Mapping[CampaignTerms, _Frozen]
    slots: Mapping[date, Slot]
    ruleset_version: int
    choose: categories.Chooser
    rates: Lookup
    volumes: Volumes


def run_batch(runtime: Runtime, session: Session, limit: int) -> int:
    """Accrue at most `limit` recorded conversions that nothing holds; return how many were taken.

    One that cannot be priced is held as `unpriceable` with the reason in its events: it waits for a person, and the
    others go on. Running again posts nothing again: UNIQUE(conversion_id, kind, seq) decides what is new.
    """
    conversions = session.execute(
        claim(
            sa.select(*_WANTED)
            .where(Conversion.state == State.RECORDED, Conversion.hold_reason.is_(None))
            .order_by(Conversion.id)
            .limit(limit)
        )
    ).all()
    if not conversions:
        return 0
    now = runtime.clock()
    known = _known(session, conversions, now, runtime.base_currency)
    rows, postings, unpriceable, happened = [], {}, [], []
    for conversion in conversions:
        version = _version(conversion, known)
        if version.facts.get("tiers") is not None:
            version = _in_tier(version, conversion, known)
        told = _told(conversion, known)
        priced = pricing.price(version.terms, told)
        if isinstance(priced, Unpriceable):
            unpriceable.append(conversion.id)
            details = {"terms": dict(version.facts)}
            event = Event(EventKind.UNPRICEABLE, ACTOR, now, reason=str(priced), details=details)
        else:
            row = _row(runtime.new_id("acr"), conversion, version, priced, known)
            rows.append(row)
            if "tier" in version.facts:
                known.volumes.count(conversion)
            postings[row["id"]] = _postings(conversion.id, row, told)
            event = Event(EventKind.ACCRUED, ACTOR, now, details={"accrual_id": row["id"]})
        happened.append((conversion.id, event))
    new = copying.insert_new(session, table_of(Accrual), rows, key=("conversion_id", "kind", "seq"))
    move_on(session, [row["conversion_id"] for row in rows], state=State.ACCRUED.value)
    move_on(session, unpriceable, hold_reason=HoldReason.UNPRICEABLE.value)
    events.append_each(session, happened)
    # For new ones alone: of a conversion accrued before, the journal knows that accrual and not this one's id.
    journal.post(runtime, session, [entry for id_ in new for entry in postings[id_]], today=now.date())
    return len(conversions)


def move_on(session: Session, ids: Sequence[str], *, by: int = 1, **values: Any) -> None:
    """Set `values` in conversions that this transaction holds locked, and move their versions on."""
    if ids:
        session.execute(
            sa.update(Conversion)
            .where(among(session, Conversion.id, ids))
            .values(**values, version=Conversion.version + by)
            .execution_options(synchronize_session=False)
        )


def payout_means(session: Session, source_ids: set[str]) -> dict[str, PayoutMeans]:
    """Return what each source means by a payout."""
    statement = sa.select(Source.id, Source.payout_means).where(Source.id.in_(source_ids))
    return {source_id: PayoutMeans(means) for source_id, means in session.execute(statement)}


def hold_days(session: Session, affiliate_ids: set[str]) -> dict[str, timedelta]:
    """Return for how long what each affiliate earns is not paid yet."""
    statement = sa.select(Affiliate.id, Affiliate.hold_days).where(among(session, Affiliate.id, affiliate_ids))
    return {affiliate_id: timedelta(days=days) for affiliate_id, days in session.execute(statement)}


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


def _known(session: Session, conversions: Sequence[_Row], now: datetime, base_currency: str) -> _Known:
    ruleset = versions.active(session, CategoryRuleset)
    terms: defaultdict[str, list[CampaignTerms]] = defaultdict(list)
    frozen = {}
    campaign_ids = {conversion.campaign_id for conversion in conversions}
    for each in session.scalars(
        sa.select(CampaignTerms)
        .where(among(session, CampaignTerms.campaign_id, campaign_ids))
        .order_by(CampaignTerms.version)
    ):
        facts = each.as_facts
        terms[each.campaign_id].append(each)
        frozen[each] = _Frozen(pricing.thawed(facts), facts)
    days = {conversion.occurred_at.date() for conversion in conversions}
    return _Known(
        now=now,
        payout_means=payout_means(session, {conversion.source_id for conversion in conversions}),
        usual_currency=_usual_currencies(session, {conversion.source_id for conversion in conversions}),
        hold_days=hold_days(session, {conversion.affiliate_id for conversion in conversions}),
        terms=terms,
        frozen=frozen,
        # The months are held from here on: accrual and journal entry cannot land in two different ones.
        slots=periods.slots(session, days, today=now.date()),
        ruleset_version=ruleset.version,
        choose=categories.chooser(ruleset.rules),
        rates=Lookup(session, base_currency),
        volumes=Volumes(session, {each.campaign_id for each, version in frozen.items() if "tiers" in version.facts}),
    )


def _usual_currencies(session: Session, source_ids: set[str]) -> dict[str, str | None]:
    statement = sa.select(Source.id, Source.default_currency).where(Source.id.in_(source_ids))
    found: Sequence[Any] = session.execute(statement).all()
    return dict(found)


def _version(conversion: _Row, known: _Known) -> _Frozen:
    versions_ = known.terms[conversion.campaign_id]
    return known.frozen[campaign_terms.in_force(versions_, conversion.occurred_at)]


def _in_tier(version: _Frozen, conversion: _Row, known: _Known) -> _Frozen:
    """Return the terms as the affiliate's volume before the conversion makes them.

    In the order of ids, which is that of recording and of batches: where one batch ends and the next begins changes
    nothing.
    """
    before = known.volumes.before(conversion.campaign_id, conversion.affiliate_id, conversion.occurred_at.date())
    facts = tiers.chosen(version.facts, before)
    return _Frozen(pricing.thawed(facts), facts)


def _told(conversion: _Row, known: _Known) -> Told:
    means = known.payout_means[conversion.source_id]
    return Told(conversion.payout_minor, conversion.amount_minor, conversion.currency, means)


def _row(accrual_id: str, conversion: _Row, version: _Frozen, priced: Priced, known: _Known) -> dict[str, Any]:
    covered = covering.fields(conversion.covered_fields)
    is_covered = pricing.is_covered(
        version.terms,
        covered,
        is_usual_currency=conversion.currency == known.usual_currency[conversion.source_id],
    )
    occurred_on = conversion.occurred_at.date()
    base_minor = known.rates.estimated_minor(priced.money, occurred_on)
    chosen = known.choose(
        category_facts(conversion, priced.money, covered=covered, is_covered=is_covered, base_minor=base_minor)
    )
    return {
        "id": accrual_id,
        "conversion_id": conversion.id,
        "kind": _KIND,
        "seq": 1,
        "affiliate_id": conversion.affiliate_id,
        "source_id": conversion.source_id,
        "campaign_id": conversion.campaign_id,
        "terms": version.facts,
        "ruleset_version": known.ruleset_version,
        "rule_id": chosen.rule_id,
        **chosen.category.columns,
        "amount_minor": priced.money.amount_minor,
        "currency": priced.money.currency,
        "unrounded": priced.unrounded.quantize(KEPT),
        **known.rates.frozen(priced.money, occurred_on),
        "assurance": conversion.assurance,
        "covered_fields": conversion.covered_fields,
        "is_amount_covered": is_covered,
        "occurred_on": occurred_on,
        "payable_on": occurred_on + known.hold_days[conversion.affiliate_id],
        "period": known.slots[occurred_on].period,
        "created_at": known.now,
    }


def category_facts(
    conversion: _Row, owed: Money, *, covered: frozenset[str], is_covered: bool, base_minor: int | None
) -> dict[str, Any]:
    """Return what category rules may ask about a conversion and what we owe for it."""
    return {
        **conversion.subs,
        "source_id": conversion.source_id,
        "campaign_id": conversion.campaign_id,
        "affiliate_id": conversion.affiliate_id,
        "event": conversion.event,
        "currency": owed.currency,
        "assurance": conversion.assurance,
        "covered_fields": covered,
        "amount_is_covered": is_covered,
        "amount_minor": owed.amount_minor,
        "amount_base": base_minor,
    }


def _postings(conversion_id: str, row: Mapping[str, Any], told: Told) -> list[Posting]:
    made = [entry_of(row)]
    if revenue_minor := pricing.revenue_minor(told):
        money = Money(revenue_minor, told.currency)
        made.append(posting.revenue(conversion_id=conversion_id, money=money, occurred_on=row["occurred_on"]))
    return made
