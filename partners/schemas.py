"""What partners take and answer on the wire."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma

from core import money
from core.account_texts import ACCOUNT_TYPES, HOLDERS
from core.http.wire import Currency, Moment, Text, Wire
from core.runtime import installed
from partners.affiliates import HOLD_DAYS_MAX, STATUSES, NewAffiliate, payee_shown
from partners.campaigns import STATES as CAMPAIGN_STATES
from partners.campaigns import WINDOW_DAYS_MAX, NewCampaign
from partners.models import Affiliate, Campaign, CampaignTerms
from partners.payees import Payee
from partners.placeholders import URL_LENGTH_MAX
from partners.tax import CYCLES, FORMS, REQUIREMENTS, TREATMENTS
from partners.terms import KINDS, TIERS_BY, TIERS_MAX, NewStep, NewTerms, NewTiers, in_force
from partners.wire_fields import ChangeSchema, columns, name, one_of, whole

AMOUNT_LENGTH_MAX = 30


class PayeeSchema(Wire):
    """Whose account it is, and one of: an IBAN, a US account, an e-mail address, free text for other ways."""

    shape = Payee

    name = name(70, required=True)
    iban = Text(validate=ma.validate.Length(max=60))
    bic = Text(load_default=None, allow_none=True, validate=ma.validate.Length(max=20))
    routing_number = Text(validate=ma.validate.Length(max=20))
    account_number = Text(validate=ma.validate.Length(max=34))
    account_type = one_of(ACCOUNT_TYPES, metadata={"default": "checking"})
    holder = one_of(HOLDERS, metadata={"default": "person"})
    email = Text(validate=ma.validate.Length(max=120))
    account = Text(validate=ma.validate.Length(1, 140))


class AffiliateFieldsSchema(Wire):
    """What of an affiliate may change; what is left out when it is made takes the defaults of NewAffiliate."""

    name = name(200)
    payee = ma.fields.Nested(PayeeSchema, allow_none=True)
    hold_days = whole(0, HOLD_DAYS_MAX, metadata={"default": 0})
    minimum_payout = ma.fields.String(
        validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX),
        metadata={"description": "in the affiliate's currency", "example": "25.00", "default": "0"},
    )
    status = one_of(STATUSES, metadata={"default": "new"})
    payment_cycle = one_of(CYCLES, metadata={"default": "every_run"})
    tax_form_required = one_of(
        REQUIREMENTS, allow_none=True, metadata={"description": "without it this affiliate's payouts wait as drafts"}
    )
    tax_form = one_of(FORMS, allow_none=True, metadata={"description": "the form handed in"})
    tax_form_received_on = ma.fields.Date(allow_none=True)
    vat_id = Text(allow_none=True, validate=ma.validate.Length(max=20))
    address = Text(allow_none=True, validate=ma.validate.Length(1, 300), metadata={"example": "Ring 1, 10115 Berlin"})
    vat_treatment = one_of(TREATMENTS, metadata={"default": "none"})
    vat_percent = Text(allow_none=True, validate=ma.validate.Length(max=8), metadata={"example": "19"})


class NewAffiliateSchema(AffiliateFieldsSchema):
    """Body of POST /affiliates."""

    shape = NewAffiliate

    name = name(200, required=True)
    currency = Currency(required=True)


class AffiliateChangeSchema(ChangeSchema, AffiliateFieldsSchema):
    """Body of PATCH /affiliates/<id>; the currency never changes."""


class MaskedPayeeSchema(ma.Schema):
    """An account as it is shown: the IBAN's first four and last five characters."""

    name = ma.fields.String()
    iban = ma.fields.String(allow_none=True, metadata={"example": "DE89…13000"})
    bic = ma.fields.String(allow_none=True)
    kind = ma.fields.String(metadata={"enum": ["iban", "us_bank", "email", "other"]})
    account = ma.fields.String(allow_none=True, metadata={"example": "021000021 …6789"})


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
    payment_cycle = ma.fields.String()
    tax_form_required = ma.fields.String(allow_none=True)
    tax_form = ma.fields.String(allow_none=True)
    tax_form_received_on = ma.fields.Date(allow_none=True)
    vat_id = ma.fields.String(allow_none=True)
    address = ma.fields.String(allow_none=True)
    vat_treatment = ma.fields.String()
    vat_percent = ma.fields.String(allow_none=True)
    created_at = Moment()
    version = ma.fields.Integer(required=True)

    @ma.pre_dump
    def _seen(self, affiliate: Affiliate, **_: object) -> dict[str, Any]:
        return {
            **columns(affiliate, self.fields),
            "payee": payee_shown(affiliate),
            "minimum_payout": money.to_text(affiliate.minimum_payout_minor, affiliate.currency),
        }


class NewStepSchema(Wire):
    """From which volume on which figure counts."""

    shape = NewStep

    from_ = ma.fields.String(
        data_key="from", required=True, validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX), metadata={"example": "100"}
    )
    amount = ma.fields.String(validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX), metadata={"example": "3.00"})
    percent = ma.fields.String(validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX), metadata={"example": "15"})


class NewTiersSchema(Wire):
    """Steps over what an affiliate brings the campaign in a calendar month; a step counts for what comes after it."""

    shape = NewTiers

    by = one_of(TIERS_BY, required=True)
    currency = Currency(metadata={"description": "of a sum of sales; others are not counted in it"})
    steps = ma.fields.List(ma.fields.Nested(NewStepSchema), required=True, validate=ma.validate.Length(1, TIERS_MAX))


class NewTermsSchema(Wire):
    """What a conversion earns: as told by the postback, fixed, percent of the sale, share of the network's payout."""

    shape = NewTerms

    kind = one_of(KINDS, required=True)
    amount = ma.fields.String(validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX), metadata={"example": "2.50"})
    currency = Currency()
    percent = ma.fields.String(validate=ma.validate.Length(1, AMOUNT_LENGTH_MAX), metadata={"example": "12.5"})
    tiers = ma.fields.Nested(NewTiersSchema)
    starts_at = Moment(metadata={"description": "now, when left out"})


class TermsSchema(ma.Schema):
    """One version of a campaign's terms."""

    version = ma.fields.Integer(required=True)
    kind = ma.fields.String(required=True)
    amount = ma.fields.String()
    currency = ma.fields.String()
    percent = ma.fields.String()
    tiers = ma.fields.Dict()
    starts_at = Moment(required=True)


class CampaignFieldsSchema(Wire):
    """What of a campaign may change."""

    name = name(200)
    destination_url = Text(validate=ma.validate.Length(1, URL_LENGTH_MAX))
    terms = ma.fields.Nested(NewTermsSchema)
    attribution_window_days = whole(1, WINDOW_DAYS_MAX, metadata={"default": 30})


class NewCampaignSchema(CampaignFieldsSchema):
    """Body of POST /campaigns."""

    shape = NewCampaign

    name = name(200, required=True)
    destination_url = Text(required=True, validate=ma.validate.Length(1, URL_LENGTH_MAX))
    terms = ma.fields.Nested(NewTermsSchema, required=True)


class CampaignChangeSchema(ChangeSchema, CampaignFieldsSchema):
    """Body of PATCH /campaigns/<id>; terms become a new version."""

    state = one_of(CAMPAIGN_STATES)


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
            **columns(campaign, self.fields),
            "terms": _terms(in_force(campaign.terms, installed().clock())),
            "terms_versions": [_terms(version) for version in campaign.terms],
        }


def _terms(terms: CampaignTerms) -> dict[str, Any]:
    shown = {**terms.as_facts, "starts_at": terms.starts_at}
    minor = shown.pop("amount_minor")
    if minor is not None:
        shown["amount"] = money.to_text(minor, shown["currency"])
    if terms.tiers is not None:
        shown["tiers"] = _shown_tiers(terms.tiers, terms.currency)
    return {name: value for name, value in shown.items() if value is not None}


def _shown_tiers(tiers: Mapping[str, Any], currency: str | None) -> dict[str, Any]:
    """Return tiers as they were taken: every figure as text, amounts in major units."""
    steps = []
    for step in tiers["steps"]:
        begins = step["from"] if tiers["currency"] is None else money.to_text(step["from"], tiers["currency"])
        shown = {"from": str(begins)}
        if "percent" in step:
            shown["percent"] = step["percent"]
        elif currency is not None:
            shown["amount"] = money.to_text(step["amount_minor"], currency)
        steps.append(shown)
    return {"by": tiers["by"], **({} if tiers["currency"] is None else {"currency": tiers["currency"]}), "steps": steps}
