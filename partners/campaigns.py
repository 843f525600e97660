"""Campaigns: what is advertised, where its clicks go, and on which terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Fault, Invalid
from core.rows import locked
from core.runtime import Runtime
from partners import placeholders, terms
from partners.changes import Change, differences
from partners.models import Campaign
from partners.terms import NewTerms

STATES = ("active", "paused")
WINDOW_DAYS_MAX = 365


@dataclass(frozen=True)
class NewCampaign:
    """What a campaign is made of."""

    name: str
    destination_url: str
    terms: NewTerms
    attribution_window_days: int = 30


def create(runtime: Runtime, session: Session, new: NewCampaign, *, actor: Actor) -> Campaign:
    """Add a campaign with the first version of its terms; raise Invalid with every fault of both."""
    _refuse(placeholders.faults(new.destination_url) + terms.faults(new.terms))
    now = runtime.clock()
    campaign = Campaign(
        id=runtime.new_id("cmp"),
        name=new.name,
        destination_url=new.destination_url,
        attribution_window_days=new.attribution_window_days,
        state="active",
        created_at=now,
        version=1,
    )
    terms.added(campaign, new.terms, now=now)
    session.add(campaign)
    audit.record(session, Act(actor, "created", "campaign", campaign.id, now, after=_facts(campaign)))
    return campaign


def change(runtime: Runtime, session: Session, campaign_id: str, wanted: Change, *, actor: Actor) -> Campaign:
    """Change name, destination_url, attribution_window_days or state; `terms` become a new version.

    Raise Conflict when the campaign has moved on from the version, Invalid with every fault.
    """
    campaign = locked(session, Campaign, campaign_id, version=wanted.version)
    values = dict(wanted.values)
    new_terms: NewTerms | None = values.pop("terms", None)
    _refuse(
        (placeholders.faults(values["destination_url"]) if "destination_url" in values else [])
        + (terms.faults(new_terms) if new_terms else [])
    )
    before, now = _facts(campaign), runtime.clock()
    for name, value in values.items():
        setattr(campaign, name, value)
    if new_terms is not None:
        terms.added(campaign, new_terms, now=now)
    campaign.version += 1
    old, new = differences(before, _facts(campaign))
    audit.record(session, Act(actor, "changed", "campaign", campaign.id, now, before=old, after=new))
    return campaign


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise Invalid.of(*faults)


def _facts(campaign: Campaign) -> Mapping[str, Any]:
    newest = campaign.terms[-1]
    return {
        "name": campaign.name,
        "destination_url": campaign.destination_url,
        "attribution_window_days": campaign.attribution_window_days,
        "state": campaign.state,
        "terms": {**newest.as_facts, "starts_at": newest.starts_at.isoformat()},
    }
