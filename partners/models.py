"""Tables of who we deal with: sources and their secrets, affiliates, campaigns and their terms."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import VERSION, Base, ExactDecimal, Id, Json, Minor


class Source(Base):
    """A network, advertiser or partner that fires postbacks; it fixes everything a request may not choose."""

    __tablename__ = "sources"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100), unique=True)
    scheme: Mapped[str] = mapped_column(sa.String(16))  # pb1 | sw1 | stripe1 | body1 | token | preset
    preset: Mapped[str | None] = mapped_column(sa.String(40))  # which one, where the scheme is preset
    options: Mapped[dict[str, Any]] = mapped_column(Json, server_default="{}")  # what body1, stripe1 and token need
    allowlist: Mapped[list[str]] = mapped_column(Json)  # CIDRs; empty: every address
    stale: Mapped[str] = mapped_column(sa.String(8))  # hold | reject
    default_currency: Mapped[str | None] = mapped_column(sa.String(3))
    payout_means: Mapped[str] = mapped_column(sa.String(20))  # owed_to_affiliate | owed_to_us
    dedupe_by: Mapped[str] = mapped_column(sa.String(20))  # transaction_id | transaction_event | click_event
    parameters: Mapped[dict[str, str]] = mapped_column(Json)  # our name -> the network's name
    status_words: Mapped[dict[str, str]] = mapped_column(Json, server_default="{}")  # the network's word -> its meaning
    amount_unit: Mapped[str] = mapped_column(sa.String(8), server_default="major")  # major | minor
    duplicates: Mapped[str] = mapped_column(sa.String(16), server_default="ignore")  # postback.content.Duplicates
    reversal: Mapped[dict[str, str]] = mapped_column(Json, server_default='{"kind": "none"}')
    answers: Mapped[str] = mapped_column(sa.String(16), server_default="json")  # json | ok | gif | empty | always_200
    is_test: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())  # recorded, never paid
    rate_per_second: Mapped[int] = mapped_column(sa.Integer)
    rate_burst: Mapped[int] = mapped_column(sa.Integer)
    state: Mapped[str] = mapped_column(sa.String(8))  # active | paused | removed
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)
    # Moves on with every change of this row or of a secret of it: what a process remembers of a source counts only
    # while its revision does.
    revision: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)

    secrets: Mapped[list["SourceSecret"]] = relationship(order_by="SourceSecret.id", back_populates="source")


class SourceSecret(Base):
    """One signing secret, AES-256-GCM under the key-encryption key, bound to its source and its own id."""

    __tablename__ = "source_secrets"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source_id: Mapped[str] = mapped_column(sa.ForeignKey("sources.id"), index=True)
    sealed_value: Mapped[bytes] = mapped_column(sa.LargeBinary)
    key_format: Mapped[str] = mapped_column(sa.String(16))  # partners.secrets.KeyFormat
    created_at: Mapped[datetime]
    not_after: Mapped[datetime | None]  # set on rotation: the end of the overlap
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    source: Mapped[Source] = relationship(back_populates="secrets")


class Affiliate(Base):
    """Someone we owe money to, paid in one currency to one account."""

    __tablename__ = "affiliates"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(200))
    status: Mapped[str] = mapped_column(sa.String(16))  # new | trusted | suspended
    currency: Mapped[str] = mapped_column(sa.String(3))
    payee_name: Mapped[str | None] = mapped_column(sa.String(70))  # SEPA's own limit
    payee_iban: Mapped[str | None] = mapped_column(sa.String(34))
    payee_bic: Mapped[str | None] = mapped_column(sa.String(11))
    # Where it is paid when not to an IBAN: `payee_account` as payouts.formats.values writes it.
    payee_kind: Mapped[str] = mapped_column(sa.String(10), server_default="iban")  # iban | us_bank | email | other
    payee_account: Mapped[str | None] = mapped_column(sa.String(140))
    payee_changed_at: Mapped[datetime | None]
    payee_changed_by: Mapped[str | None] = mapped_column(sa.String(120))
    hold_days: Mapped[int] = mapped_column(sa.Integer)
    minimum_payout_minor: Mapped[int] = mapped_column(Minor)
    # every_run | weekly | biweekly | monthly | quarterly
    payment_cycle: Mapped[str] = mapped_column(sa.String(10), server_default="every_run")
    tax_form_required: Mapped[str | None] = mapped_column(sa.String(10))  # w9 | w8ben | vat_id; without it no payout
    tax_form: Mapped[str | None] = mapped_column(sa.String(10))  # w9 | w8ben: the one handed in
    tax_form_received_on: Mapped[date | None]
    # What a self-billing document says of its supplier.
    vat_id: Mapped[str | None] = mapped_column(sa.String(20))
    address: Mapped[str | None] = mapped_column(sa.String(300))  # its lines, separated by commas
    vat_treatment: Mapped[str] = mapped_column(sa.String(16), server_default="none")
    vat_percent: Mapped[str | None] = mapped_column(sa.String(8))  # included in what is paid, where the treatment is so
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)


class PayeeEdit(Base):
    """Somebody set or changed an affiliate's account: who did approves nothing that goes to it for a while."""

    __tablename__ = "payee_edits"

    affiliate_id: Mapped[str] = mapped_column(sa.ForeignKey("affiliates.id"), primary_key=True)
    edited_at: Mapped[datetime] = mapped_column(primary_key=True)
    edited_by: Mapped[str] = mapped_column(sa.String(120), primary_key=True)


class Campaign(Base):
    """What is advertised: where a click goes, and how long after it a conversion still counts."""

    __tablename__ = "campaigns"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(200))
    destination_url: Mapped[str] = mapped_column(sa.String(2000))
    attribution_window_days: Mapped[int] = mapped_column(sa.Integer)
    state: Mapped[str] = mapped_column(sa.String(8))  # active | paused
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)

    terms: Mapped[list["CampaignTerms"]] = relationship(order_by="CampaignTerms.version", back_populates="campaign")


class CampaignTerms(Base):
    """One version of a campaign's terms; immutable. The newest that starts before a conversion applies to it."""

    __tablename__ = "campaign_terms"

    campaign_id: Mapped[str] = mapped_column(sa.ForeignKey("campaigns.id"), primary_key=True)
    version: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(8))  # told | fixed | percent | share
    percent: Mapped[Decimal | None] = mapped_column(ExactDecimal(20, 8))
    amount_minor: Mapped[int | None] = mapped_column(Minor)
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    # {"by": "count" | "sum", "currency": of a sum, "steps": [{"from": .., "percent" or "amount_minor": ..}]}, or none
    tiers: Mapped[dict[str, Any] | None] = mapped_column(Json)
    starts_at: Mapped[datetime]
    created_at: Mapped[datetime]

    campaign: Mapped[Campaign] = relationship(back_populates="terms")

    @property
    def as_facts(self) -> dict[str, Any]:
        """The terms as plain JSON, as they are frozen on an accrual and written to the audit log."""
        return {
            "version": self.version,
            "kind": self.kind,
            # Without trailing zeros: the same text whether the row was just made or comes back from its column.
            "percent": None if self.percent is None else f"{self.percent.normalize():f}",
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            **({} if self.tiers is None else {"tiers": self.tiers}),
        }
