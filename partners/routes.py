"""The HTTP door of partners."""

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import PageQuery, PageQuerySchema, listing
from core.rows import existing
from core.runtime import installed
from partners import affiliates, campaigns, secrets, sources
from partners.affiliates import NewAffiliate
from partners.campaigns import NewCampaign
from partners.changes import Change
from partners.models import Affiliate, Campaign, Source
from partners.schemas import (
    AffiliateChangeSchema,
    AffiliateSchema,
    CampaignChangeSchema,
    CampaignSchema,
    NewAffiliateSchema,
    NewCampaignSchema,
)
from partners.secrets import NewSecret, Revoked, Rotation
from partners.source_schemas import (
    CreatedSourceSchema,
    NewSecretSchema,
    NewSourceSchema,
    RevokedSchema,
    RotationSchema,
    SourceChangeSchema,
    SourceDetailSchema,
    SourceSchema,
)
from partners.sources import NewSource

blueprint = Blueprint(
    "partners",
    __name__,
    url_prefix="/api/v1",
    description="Who we deal with: sources and their secrets, affiliates, campaigns and their terms.",
)

# Roles by their words: access lies on this same floor. tests/web/test_doors.py knows a word that is no role.
_EVERYONE = ("admin", "affiliate_manager", "finance", "manager", "auditor")
_READS_SOURCES = actors("admin", "auditor", scope="sources:read")
_WRITES_SOURCES = actors("admin", scope="sources:write")
_READS_AFFILIATES = actors(*_EVERYONE, scope="affiliates:read")
_WRITES_AFFILIATES = actors("admin", "affiliate_manager", scope="affiliates:write")
_READS_CAMPAIGNS = actors(*_EVERYONE, scope="campaigns:read")
_WRITES_CAMPAIGNS = actors("admin", "affiliate_manager", scope="campaigns:write")


@endpoint(
    blueprint, "POST", "/sources", door=_WRITES_SOURCES, body=NewSourceSchema, answers=CreatedSourceSchema,
    status=201, creates=True, step_up=True,
)  # fmt: skip
def create_source(session: Session, body: NewSource) -> tuple[Source, NewSecret]:
    """Add a source. Its secret is in this answer and in no other."""
    return sources.create(installed(), session, body, actor=current_actor())


@endpoint(
    blueprint, "GET", "/sources", door=_READS_SOURCES, query=PageQuerySchema, answers=listing(SourceSchema)
)  # fmt: skip
def list_sources(session: Session, query: PageQuery) -> Page[Source]:
    """List the sources, newest first."""
    return page(session, sa.select(Source), Source.id, limit=query.limit, after=query.after)


@endpoint(blueprint, "GET", "/sources/<source_id>", door=_READS_SOURCES, answers=SourceDetailSchema)
def show_source(session: Session, source_id: str) -> Source:
    """Show a source and its secrets without their values."""
    return existing(session, Source, source_id)


@endpoint(
    blueprint, "PATCH", "/sources/<source_id>", door=_WRITES_SOURCES, body=SourceChangeSchema,
    answers=SourceDetailSchema,
)  # fmt: skip
def change_source(session: Session, source_id: str, body: Change) -> Source:
    """Change what may change of a source; a paused one answers 503, a removed one 410."""
    return sources.change(installed(), session, source_id, body, actor=current_actor())


@endpoint(
    blueprint, "POST", "/sources/<source_id>/secrets", door=_WRITES_SOURCES, body=RotationSchema,
    answers=NewSecretSchema, status=201, creates=True, step_up=True,
)  # fmt: skip
def rotate_secret(session: Session, source_id: str, body: Rotation) -> NewSecret:
    """Make a new secret, shown in this answer alone; the older ones stay good for the overlap. Three live at most."""
    return secrets.rotate(
        installed(), session, source_id, overlap_days=body.overlap_days, value=body.value, actor=current_actor()
    )


@endpoint(
    blueprint, "DELETE", "/sources/<source_id>/secrets/<secret_id>", door=_WRITES_SOURCES, answers=RevokedSchema
)  # fmt: skip
def revoke_secret(session: Session, source_id: str, secret_id: str) -> Revoked:
    """Revoke a secret at once. The last live one may go too: the source then refuses every postback."""
    return secrets.revoke(installed(), session, source_id, secret_id, actor=current_actor())


@endpoint(
    blueprint, "POST", "/affiliates", door=_WRITES_AFFILIATES, body=NewAffiliateSchema, answers=AffiliateSchema,
    status=201, creates=True,
)  # fmt: skip
def create_affiliate(session: Session, body: NewAffiliate) -> Affiliate:
    """Add an affiliate."""
    return affiliates.create(installed(), session, body, actor=current_actor())


@endpoint(
    blueprint, "GET", "/affiliates", door=_READS_AFFILIATES, query=PageQuerySchema, answers=listing(AffiliateSchema)
)  # fmt: skip
def list_affiliates(session: Session, query: PageQuery) -> Page[Affiliate]:
    """List the affiliates, newest first, with their accounts masked."""
    return page(session, sa.select(Affiliate), Affiliate.id, limit=query.limit, after=query.after)


@endpoint(blueprint, "GET", "/affiliates/<affiliate_id>", door=_READS_AFFILIATES, answers=AffiliateSchema)
def show_affiliate(session: Session, affiliate_id: str) -> Affiliate:
    """Show an affiliate with its account masked."""
    return existing(session, Affiliate, affiliate_id)


@endpoint(
    blueprint, "PATCH", "/affiliates/<affiliate_id>", door=_WRITES_AFFILIATES, body=AffiliateChangeSchema,
    answers=AffiliateSchema,
)  # fmt: skip
def change_affiliate(session: Session, affiliate_id: str, body: Change) -> Affiliate:
    """Change an affiliate; a change of its account is marked with who made it and when."""
    return affiliates.change(installed(), session, affiliate_id, body, actor=current_actor())


@endpoint(
    blueprint, "POST", "/campaigns", door=_WRITES_CAMPAIGNS, body=NewCampaignSchema, answers=CampaignSchema,
    status=201, creates=True,
)  # fmt: skip
def create_campaign(session: Session, body: NewCampaign) -> Campaign:
    """Add a campaign with the first version of its terms."""
    return campaigns.create(installed(), session, body, actor=current_actor())


@endpoint(
    blueprint, "GET", "/campaigns", door=_READS_CAMPAIGNS, query=PageQuerySchema, answers=listing(CampaignSchema)
)  # fmt: skip
def list_campaigns(session: Session, query: PageQuery) -> Page[Campaign]:
    """List the campaigns, newest first."""
    statement = sa.select(Campaign).options(selectinload(Campaign.terms))
    return page(session, statement, Campaign.id, limit=query.limit, after=query.after)


@endpoint(blueprint, "GET", "/campaigns/<campaign_id>", door=_READS_CAMPAIGNS, answers=CampaignSchema)
def show_campaign(session: Session, campaign_id: str) -> Campaign:
    """Show a campaign with every version of its terms."""
    return existing(session, Campaign, campaign_id)


@endpoint(
    blueprint, "PATCH", "/campaigns/<campaign_id>", door=_WRITES_CAMPAIGNS, body=CampaignChangeSchema,
    answers=CampaignSchema,
)  # fmt: skip
def change_campaign(session: Session, campaign_id: str, body: Change) -> Campaign:
    """Change a campaign. New terms become a new version that counts from its start on; none is ever edited."""
    return campaigns.change(installed(), session, campaign_id, body, actor=current_actor())
