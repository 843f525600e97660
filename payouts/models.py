"""Tables of payouts: versioned category rules, accruals, payouts, batches."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import VERSION, Base, ExactDecimal, Id, Json, Minor
from core.versions import Versioned


class CategoryRuleset(Versioned):
    """An ordered set of category rules; immutable once active. Version 0 is a new installation's: no rule at all."""

    __tablename__ = "category_rulesets"
    NOUN = "category ruleset"

    rules: Mapped[list[dict[str, Any]]] = mapped_column(Json)


class Accrual(Base):
    """What one conversion makes us owe, under the terms and rule of its moment.

    Append-only but for `payout_id`, and the category where a person moved it: then a Recategorisation says from where.
    """

    __tablename__ = "accruals"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    conversion_id: Mapped[str] = mapped_column(sa.ForeignKey("conversions.id"))
    kind: Mapped[str] = mapped_column(sa.String(10))  # accrue | clawback | adjust | bonus
    seq: Mapped[int] = mapped_column(sa.Integer)
    # Without foreign keys, as the ruleset's version below: copied from the conversion, whose own keys hold them.
    affiliate_id: Mapped[str] = mapped_column(Id)
    source_id: Mapped[str] = mapped_column(Id)
    campaign_id: Mapped[str] = mapped_column(Id)
    terms: Mapped[dict[str, Any]] = mapped_column(Json)  # CampaignTerms.as_facts, frozen
    ruleset_version: Mapped[int] = mapped_column(sa.Integer)
    rule_id: Mapped[str | None] = mapped_column(sa.String(60))  # None: no rule matched
    category_code: Mapped[str] = mapped_column(sa.String(40))
    category_name: Mapped[str] = mapped_column(sa.String(200))
    category_account: Mapped[str] = mapped_column(sa.String(120))
    category_department: Mapped[str | None] = mapped_column(sa.String(60))
    category_cost_centre: Mapped[str | None] = mapped_column(sa.String(60))
    amount_minor: Mapped[int] = mapped_column(Minor)  # signed: a clawback is negative
    currency: Mapped[str] = mapped_column(sa.String(3))
    unrounded: Mapped[Decimal] = mapped_column(ExactDecimal(28, 8))  # in major units, before the one rounding
    assurance: Mapped[str] = mapped_column(sa.String(1))
    covered_fields: Mapped[str] = mapped_column(sa.String(120), server_default="")  # the conversion's
    # Whether the figure that it was priced by, and its currency, were covered by the proof.
    is_amount_covered: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())
    occurred_on: Mapped[date]
    payable_on: Mapped[date]  # occurred_on and the hold days as they were then
    period: Mapped[str] = mapped_column(sa.String(7), index=True)
    created_at: Mapped[datetime]
    # What it comes to in BASE_CURRENCY; empty until the rate of its day is known, and then frozen with it.
    base_currency: Mapped[str | None] = mapped_column(sa.String(3))
    base_minor: Mapped[int | None] = mapped_column(Minor)
    fx_rate: Mapped[Decimal | None] = mapped_column(ExactDecimal(38, 18))  # units of `currency` for one of the base
    fx_date: Mapped[date | None]
    fx_source: Mapped[str | None] = mapped_column(sa.String(40))
    payout_id: Mapped[str | None] = mapped_column(sa.ForeignKey("payouts.id"))
    categorised_by: Mapped[str | None] = mapped_column(
        sa.String(120)
    )  # the person who chose its category; None: a rule
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)  # moves on with each recategorisation

    __table_args__ = (
        sa.UniqueConstraint("conversion_id", "kind", "seq"),
        # The inbox: what waits for a category.
        sa.Index(
            "ix_accruals_uncategorised",
            "id",
            sqlite_where=sa.text("category_code = 'uncategorised'"),
            postgresql_where=sa.text("category_code = 'uncategorised'"),
        ),
        # What waits for a rate.
        sa.Index(
            "ix_accruals_without_base",
            "currency",
            "occurred_on",
            sqlite_where=sa.text("base_minor IS NULL"),
            postgresql_where=sa.text("base_minor IS NULL"),
        ),
        sa.Index("ix_accruals_payable", "affiliate_id", "currency", "payout_id"),
        sa.Index(
            "ix_accruals_payout_id",
            "payout_id",
            sqlite_where=sa.text("payout_id IS NOT NULL"),
            postgresql_where=sa.text("payout_id IS NOT NULL"),
        ),
    )


class FxRate(Base):
    """What one unit of `base` was worth in `currency` on a day, as its source quoted it. Append-only (trigger)."""

    __tablename__ = "fx_rates"

    base: Mapped[str] = mapped_column(sa.String(3), primary_key=True)
    currency: Mapped[str] = mapped_column(sa.String(3), primary_key=True)
    rate_date: Mapped[date] = mapped_column(primary_key=True)
    rate: Mapped[Decimal] = mapped_column(ExactDecimal(20, 8))
    source: Mapped[str] = mapped_column(sa.String(40))  # ecb | csv
    imported_at: Mapped[datetime]
    imported_by: Mapped[str] = mapped_column(sa.String(120))

    __table_args__ = (sa.Index("ix_fx_rates_newest", "base", "rate_date"),)


class Recategorisation(Base):
    """A person's act: one accrual moved from one category to another, with the reason. Append-only (trigger)."""

    __tablename__ = "recategorisations"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    accrual_id: Mapped[str] = mapped_column(sa.ForeignKey("accruals.id"), index=True)
    before: Mapped[dict[str, Any]] = mapped_column(Json)  # code, name, account
    after: Mapped[dict[str, Any]] = mapped_column(Json)
    reason: Mapped[str] = mapped_column(sa.String(500))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))


class WriteOff(Base):
    """A part of an affiliate's negative balance that is given up, once somebody else has approved it."""

    __tablename__ = "write_offs"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    affiliate_id: Mapped[str] = mapped_column(sa.ForeignKey("affiliates.id"), index=True)
    amount_minor: Mapped[int] = mapped_column(Minor)  # positive: by so much the balance rises
    currency: Mapped[str] = mapped_column(sa.String(3))
    reason: Mapped[str] = mapped_column(sa.String(500))
    state: Mapped[str] = mapped_column(sa.String(10))  # payouts.write_offs.WriteOffState
    approval_id: Mapped[str | None] = mapped_column(sa.ForeignKey("approval_requests.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        # Two that wait would each see a balance that the other takes away.
        sa.Index(
            "uq_write_offs_pending",
            "affiliate_id",
            "currency",
            unique=True,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        ),
    )


class Payout(Base):
    """What one affiliate is to be paid in one currency: the sum of its accruals, never a number of its own."""

    __tablename__ = "payouts"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    affiliate_id: Mapped[str] = mapped_column(sa.ForeignKey("affiliates.id"), index=True)
    currency: Mapped[str] = mapped_column(sa.String(3))
    amount_minor: Mapped[int] = mapped_column(Minor)  # the sum of its accruals, checked against them at every step
    period: Mapped[str] = mapped_column(sa.String(7), index=True)  # up to whose end accruals were taken
    payee_name: Mapped[str] = mapped_column(sa.String(70))
    payee_iban: Mapped[str] = mapped_column(sa.String(34))
    payee_bic: Mapped[str | None] = mapped_column(sa.String(11))
    # As on the affiliate; `payee_iban` is empty where the account is no IBAN.
    payee_kind: Mapped[str] = mapped_column(sa.String(10), server_default="iban")
    payee_account: Mapped[str | None] = mapped_column(sa.String(140))
    category_codes: Mapped[list[str]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(sa.String(10))  # payouts.states
    reason: Mapped[str | None] = mapped_column(sa.String(300))  # why it waits: held as a draft, failed, returned
    approval_id: Mapped[str | None] = mapped_column(sa.ForeignKey("approval_requests.id"))
    content_hash: Mapped[str] = mapped_column(sa.String(80))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)

    __table_args__ = (sa.Index("ix_payouts_state", "state", "id"),)


class Batch(Base):
    """Payouts of one method and currency that leave together in one file."""

    __tablename__ = "batches"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    method: Mapped[str] = mapped_column(sa.String(10))  # payouts.formats.methods
    format: Mapped[str | None] = mapped_column(sa.String(20))  # None: the method's usual one
    currency: Mapped[str] = mapped_column(sa.String(3))
    state: Mapped[str] = mapped_column(sa.String(10))  # building | released | settled | cancelled
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))
    released_at: Mapped[datetime | None]
    released_by: Mapped[str | None] = mapped_column(sa.String(120))
    # Our own account that pays, as it was when the batch was made: who releases sees what will leave it.
    debtor_name: Mapped[str] = mapped_column(sa.String(70))
    debtor_iban: Mapped[str] = mapped_column(sa.String(34))  # empty where the method has no account of its own
    debtor_bic: Mapped[str | None] = mapped_column(sa.String(11))
    debtor_routing_number: Mapped[str | None] = mapped_column(sa.String(9))  # NACHA: our bank, and who we are there
    debtor_company_id: Mapped[str | None] = mapped_column(sa.String(10))
    debtor_bank_name: Mapped[str | None] = mapped_column(sa.String(40))
    file_name: Mapped[str | None] = mapped_column(sa.String(120))
    file_content: Mapped[bytes | None] = mapped_column(sa.LargeBinary)  # made once, at release; every download is it
    file_sha256: Mapped[str | None] = mapped_column(sa.String(64))
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)

    items: Mapped[list["BatchItem"]] = relationship(order_by="BatchItem.payout_id", back_populates="batch")

    __table_args__ = (sa.CheckConstraint("released_by IS NULL OR released_by <> created_by", name="four_eyes"),)


class BatchItem(Base):
    """One payout in one batch; a payout stands in one live batch only."""

    __tablename__ = "batch_items"

    batch_id: Mapped[str] = mapped_column(sa.ForeignKey("batches.id"), primary_key=True)
    payout_id: Mapped[str] = mapped_column(sa.ForeignKey("payouts.id"), primary_key=True)
    end_to_end_id: Mapped[str] = mapped_column(sa.String(35), unique=True)  # ISO 20022's Max35Text
    amount_minor: Mapped[int] = mapped_column(Minor)
    state: Mapped[str] = mapped_column(sa.String(10))  # live | settled | failed | returned | cancelled
    reason: Mapped[str | None] = mapped_column(sa.String(300))  # what the answer said
    result_id: Mapped[str | None] = mapped_column(Id)  # the file that answered last
    settled_on: Mapped[date | None]
    bank_line_id: Mapped[str | None] = mapped_column(Id)  # the statement line that paid it
    # In another currency than the base: what it was accrued at there, and what it came to when it was paid.
    base_currency: Mapped[str | None] = mapped_column(sa.String(3))
    base_accrued_minor: Mapped[int | None] = mapped_column(Minor)
    base_settled_minor: Mapped[int | None] = mapped_column(Minor)
    fx_rate: Mapped[Decimal | None] = mapped_column(ExactDecimal(38, 18))  # of the day of settlement
    fx_date: Mapped[date | None]
    fx_source: Mapped[str | None] = mapped_column(sa.String(40))
    fx_taken_back_on: Mapped[date | None]  # the payment came back: so did its difference

    batch: Mapped[Batch] = relationship(back_populates="items")

    __table_args__ = (
        sa.Index(
            "uq_batch_items_live",
            "payout_id",
            unique=True,
            sqlite_where=sa.text("state IN ('live', 'settled')"),
            postgresql_where=sa.text("state IN ('live', 'settled')"),
        ),
    )


class BatchResult(Base):
    """A file that came back about a batch, kept as it came; the same content counts once."""

    __tablename__ = "batch_results"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    batch_id: Mapped[str] = mapped_column(sa.ForeignKey("batches.id"), index=True)
    format: Mapped[str] = mapped_column(sa.String(20))
    file_name: Mapped[str | None] = mapped_column(sa.String(200))
    sha256: Mapped[str] = mapped_column(sa.String(64))
    content: Mapped[bytes] = mapped_column(sa.LargeBinary)
    counts: Mapped[dict[str, Any]] = mapped_column(Json)  # by outcome, and `unchanged`
    received_at: Mapped[datetime]
    received_by: Mapped[str] = mapped_column(sa.String(120))

    __table_args__ = (sa.UniqueConstraint("batch_id", "sha256"),)


class SelfBillNumber(Base):
    """The last number an issuer gave in a year; its row is locked by whoever gives the next one."""

    __tablename__ = "self_bill_numbers"

    issuer: Mapped[str] = mapped_column(sa.String(70), primary_key=True)
    year: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(sa.Integer)


class SelfBill(Base):
    """A self-billing document of one settled payout: numbered without a gap, its bytes kept. Append-only (trigger)."""

    __tablename__ = "self_bills"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    payout_id: Mapped[str] = mapped_column(sa.ForeignKey("payouts.id"), index=True)
    affiliate_id: Mapped[str] = mapped_column(sa.ForeignKey("affiliates.id"), index=True)
    issuer: Mapped[str] = mapped_column(sa.String(70))
    year: Mapped[int] = mapped_column(sa.Integer)
    number: Mapped[int] = mapped_column(sa.Integer)
    corrects_id: Mapped[str | None] = mapped_column(sa.ForeignKey("self_bills.id"))
    payout_version: Mapped[int] = mapped_column(sa.Integer)  # of the settlement it is about
    content: Mapped[dict[str, Any]] = mapped_column(Json)  # payouts.self_billing.Document, as plain JSON
    file: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sha256: Mapped[str] = mapped_column(sa.String(64))  # of `file`
    issued_at: Mapped[datetime]

    __table_args__ = (sa.UniqueConstraint("issuer", "year", "number"),)
