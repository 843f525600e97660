"""What partners take and answer on the wire."""

from collections.abc import Iterable
from typing import Any

import marshmallow as ma

from core import money
from core.http.wire import Currency, Moment, Text, Wire
from core.runtime import installed
from partners.affiliates import HOLD_DAYS_MAX, STATUSES, NewAffiliate, Payee, masked
from partners.campaigns import STATES as CAMPAIGN_STATES
from partners.campaigns import WINDOW_DAYS_MAX, NewCampaign
from partners.changes import Change
from partners.models import Affiliate, Campaign, CampaignTerms, Source
from partners.placeholders import URL_LENGTH_MAX
from partners.secrets import OVERLAP_DAYS_MAX, NewSecret, Rotation
from partners.sources import (
    DEDUPE_BY,
    PARAMETERS,
    PAYOUT_MEANS,
    SCHEMES,
    STALE,
    NewSource,
    RateLimit,
    postback_url,
)
from partners.sources import STATES as SOURCE_STATES
from partners.terms import KINDS, NewTerms, in_force

RATE_MAX = 1_000_000
AMOUNT_LENGTH_MAX = 30


def _name(length_max: int, **options: Any) -> Text:
    not_blank = ma.validate.Regexp(r"[\s\S]*\S", error="is blank")
    return Text(validate=[ma.validate.Length(1, length_max), not_blank], **options)


def _whole(lowest: int, highest: int, **options: Any) -> ma.fields.Integer:
    return ma.fields.Integer(strict=True, validate=ma.validate.Range(lowest, highest), **options)


def _one_of(words: tuple[str, ...], **options: Any) -> ma.fields.String:
    return ma.fields.String(validate=ma.validate.OneOf(words), **options)


def _columns(row: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names if hasattr(row, name)}


class ChangeSchema(Wire):
    """Body of a PATCH: the version it was decided on, and the fields to change."""

    version = ma.fields.Integer(strict=True, required=True, metadata={"description": "the version this was decided on"})

    @ma.post_load
    def _shaped(self, values: dict[str, Any], **_: object) -> Change:
        return Change(values.pop("version"), values)


class RateLimitSchema(Wire):
    """A token bucket."""

    shape = RateLimit

    per_second = _whole(1, RATE_MAX)
    burst = _whole(1, RATE_MAX)


class SourceFieldsSchema(Wire):
    """What of a source may change; what is left out when it is made takes the defaults of NewSource."""

    name = _name(100)
    allowlist = ma.fields.List(
        ma.fields.String(validate=ma.validate.Length(max=80)),
        metadata={"description": "networks; empty, the default: every address", "example": ["192.0.2.0/24"]},
    )
    stale = _one_of(STALE, metadata={"default": "hold"})
    default_currency = Currency(allow_none=True)
    parameters = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.String(),
        validate=ma.validate.Length(max=len(PARAMETERS)),
        metadata={"description": "our name for a parameter, and the network's", "example": {"payout": "commission"}},
    )
    rate_limit = ma.fields.Nested(RateLimitSchema)


class NewSourceSchema(SourceFieldsSchema):
    """Body of POST /sources."""

    shape = NewSource

    name = _name(100, required=True)
    scheme = _one_of(SCHEMES, required=True)
    payout_means = _one_of(PAYOUT_MEANS, metadata={"default": "owed_to_affiliate"})
    dedupe_by = _one_of(DEDUPE_BY, metadata={"default": "transaction_event"})


class SourceChangeSchema(ChangeSchema, SourceFieldsSchema):
    """Body of PATCH /sources/<id>; scheme, payout_means and dedupe_by never change."""

    state = _one_of(SOURCE_STATES)


class SecretSchema(ma.Schema):
    """A secret without its value."""

    id = ma.fields.String(required=True)
    created_at = Moment(required=True)
    not_after = Moment(allow_none=True, metadata={"description": "the end of its overlap, once it was rotated"})
    last_used_at = Moment(allow_none=True)
    revoked_at = Moment(allow_none=True)


class NewSecretSchema(ma.Schema):
    """A secret just made; its value is shown this once."""

    id = ma.fields.String(required=True)
    value = ma.fields.String(required=True, metadata={"example": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="})


class RevokedSchema(ma.Schema):
    """A revoked secret; without a live one left the source refuses every postback."""

    id = ma.fields.String(required=True)
    revoked_at = Moment(required=True)
    live_secrets = ma.fields.Integer(required=True)


class RotationSchema(Wire):
    """Body of POST /sources/<id>/secrets."""

    shape = Rotation

    overlap_days = _whole(0, OVERLAP_DAYS_MAX, load_default=7)


class SourceSchema(ma.Schema):
    """A source."""

    id = ma.fields.String(required=True)
    postback_url = ma.fields.String(required=True)
    name = ma.fields.String()
    scheme = ma.fields.String()
    allowlist = ma.fields.List(ma.fields.String())
    stale = ma.fields.String()
    default_currency = ma.fields.String(allow_none=True)
    payout_means = ma.fields.String()
    dedupe_by = ma.fields.String()
    parameters = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())
    rate_limit = ma.fields.Nested(RateLimitSchema)
    state = ma.fields.String()
    created_at = Moment()
    version = ma.fields.Integer(required=True)

    @ma.pre_dump
    def _seen(self, source: Source, **_: object) -> dict[str, Any]:
        return _source(source, self.fields)


class CreatedSourceSchema(SourceSchema):
    """A source just made, with its first secret."""

    secret = ma.fields.Nested(NewSecretSchema, required=True)

    @ma.pre_dump
    def _seen(self, created: tuple[Source, NewSecret], **_: object) -> dict[str, Any]:
        source, secret = created
        return {**_source(source, self.fields), "secret": secret}


class SourceDetailSchema(SourceSchema):
    """A source and its secrets, without their values."""

    secrets = ma.fields.List(ma.fields.Nested(SecretSchema))


def _source(source: Source, names: Iterable[str]) -> dict[str, Any]:
    return {
        **_columns(source, names),
        "postback_url": postback_url(installed(), source.id),
        "rate_limit": RateLimit(source.rate_per_second, source.rate_burst),
    }


class PayeeSchema(Wire):
    """Whose account it is and which."""

    shape = Payee

    name = _name(70, required=True)
    iban = Text(required=True, validate=ma.validate.Length(max=60))
    bic = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=20))


class AffiliateFieldsSchema(Wire):
    """What of an affiliate may change; what is left out when it is made takes the defaults of NewAffiliate."""

    name = _name(200)
    payee = ma.fields.Nested(PayeeSchema, allow_none=True)
    hold_days = _whole(0, HOLD_DAYS_MAX, metadata={"default": 0})
    minimum_payout = ma.fields.String(
        validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX),
        metadata={"description": "in the affiliate's currency", "example": "25.00", "default": "0"},
    )
    status = _one_of(STATUSES, metadata={"default": "new"})


class NewAffiliateSchema(AffiliateFieldsSchema):
    """Body of POST /affiliates."""

    shape = NewAffiliate

    name = _name(200, required=True)
    currency = Currency(required=True)


class AffiliateChangeSchema(ChangeSchema, AffiliateFieldsSchema):
    """Body of PATCH /affiliates/<id>; the currency never changes."""


class MaskedPayeeSchema(ma.Schema):
    """An account as it is shown: the IBAN's first four and last five characters."""

    name = ma.fields.String()
    iban = ma.fields.String(metadata={"example": "DE89…13000"})
    bic = ma.fields.String(allow_none=True)


class AffiliateSchema(ma.Schema):
    """An affiliate."""

    id = ma.fields.String(required=True)
    name = ma.fields.String()
    status = ma.fields.String()
    currency = ma.fields.String()
    payee = ma.fields.Nested(MaskedPayeeSchema, allow_none=True)
    payee_changed_at = Moment(allow_none=True)
    payee_changed_by = ma.fields.String(allow_none=True)
    hold_days = ma.fields.Integer()
    minimum_payout = ma.fields.String(metadata={"description": "in the affiliate's currency", "example": "25.00"})
    created_at = Moment()
    version = ma.fields.Integer(required=True)

    @ma.pre_dump
    def _seen(self, affiliate: Affiliate, **_: object) -> dict[str, Any]:
        payee = {"name": affiliate.payee_name, "iban": masked(affiliate.payee_iban), "bic": affiliate.payee_bic}
        return {
            **_columns(affiliate, self.fields),
            "payee": payee if affiliate.payee_iban else None,
            "minimum_payout": money.to_text(affiliate.minimum_payout_minor, affiliate.currency),
        }


class NewTermsSchema(Wire):
    """What a conversion earns: as told by the postback, fixed, percent of the sale, share of the network's payout."""

    shape = NewTerms

    kind = _one_of(KINDS, required=True)
    amount = ma.fields.String(validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX), metadata={"example": "2.50"})
    currency = Currency()
    percent = ma.fields.String(validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX), metadata={"example": "12.5"})
    starts_at = Moment(metadata={"description": "now, when left out"})


class TermsSchema(ma.Schema):
    """One version of a campaign's terms."""

    version = ma.fields.Integer(required=True)
    kind = ma.fields.String(required=True)
    amount = ma.fields.String()
    currency = ma.fields.String()
    percent = ma.fields.String()
    starts_at = Moment(required=True)


class CampaignFieldsSchema(Wire):
    """What of a campaign may change."""

    name = _name(200)
    destination_url = Text(validate=ma.validate.Length(1, URL_LENGTH_MAX))
    terms = ma.fields.Nested(NewTermsSchema)
    attribution_window_days = _whole(1, WINDOW_DAYS_MAX, metadata={"default": 30})


class NewCampaignSchema(CampaignFieldsSchema):
    """Body of POST /campaigns."""

    shape = NewCampaign

    name = _name(200, required=True)
    destination_url = Text(required=True, validate=ma.validate.Length(1, URL_LENGTH_MAX))
    terms = ma.fields.Nested(NewTermsSchema, required=True)


class CampaignChangeSchema(ChangeSchema, CampaignFieldsSchema):
    """Body of PATCH /campaigns/<id>; terms become a new version."""

    state = _one_of(CAMPAIGN_STATES)


class CampaignSchema(ma.Schema):
    """A campaign, the terms in force now, and all their versions."""

    id = ma.fields.String(required=True)
    name = ma.fields.String()
    destination_url = ma.fields.String()
    attribution_window_days = ma.fields.Integer()
    state = ma.fields.String()
    terms = ma.fields.Nested(TermsSchema)
    terms_versions = ma.fields.List(ma.fields.Nested(TermsSchema))
    created_at = Moment()
    version = ma.fields.Integer(required=True)

    @ma.pre_dump
    def _seen(self, campaign: Campaign, **_: object) -> dict[str, Any]:
        return {
            **_columns(campaign, self.fields),
            "terms": _terms(in_force(campaign.terms, installed().clock())),
            "terms_versions": [_terms(version) for version in campaign.terms],
        }


def _terms(terms: CampaignTerms) -> dict[str, Any]:
    shown = {**terms.as_facts, "starts_at": terms.starts_at}
    minor = shown.pop("amount_minor")
    if minor is not None:
        shown["amount"] = money.to_text(minor, shown["currency"])
    return {name: value for name, value in shown.items() if value is not None}
