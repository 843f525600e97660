"""Tables of intake: receipts (every attempt), conversions (each once), their events (append-only)."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import VERSION, Base, Id, Json, Minor, Serial
from core.money import Money
from postback import covering

# Compared with a click's id, and PostgreSQL refuses to compare under two collations.
ClaimedId = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")


class Receipt(Base):
    """One postback as it came in, and what we made of it. The raw request is for people, never for a log."""

    __tablename__ = "receipts"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    # The id's own time: a range of ids is a range of time, so neither index nor partition needs another column.
    received_at: Mapped[datetime]
    # As the URL said it: an unknown source has a receipt too, so this is no foreign key.
    source_id: Mapped[str] = mapped_column(sa.String(40))
    peer: Mapped[str] = mapped_column(sa.String(45))
    method: Mapped[str] = mapped_column(sa.String(8))
    raw_query: Mapped[bytes] = mapped_column(sa.LargeBinary)
    raw_body: Mapped[bytes] = mapped_column(sa.LargeBinary)
    signature_headers: Mapped[dict[str, str]] = mapped_column(Json)
    verdict: Mapped[str] = mapped_column(sa.String(16))  # believed | refused
    reason: Mapped[str | None] = mapped_column(sa.String(40))  # postback.verification.Refusal
    faults: Mapped[list[dict[str, str]]] = mapped_column(Json)  # field, reason
    secret_id: Mapped[str | None] = mapped_column(sa.String(40))
    assurance: Mapped[str] = mapped_column(sa.String(1))  # A .. E
    covered_fields: Mapped[list[str]] = mapped_column(Json)
    dedupe_key: Mapped[str | None] = mapped_column(sa.String(300))
    outcome: Mapped[str] = mapped_column(
        sa.String(16)
    )  # accepted, duplicate, conflict, unmatched, held_late, invalid, ..
    # No foreign key: both are written in one commit, and checking it again would cost every postback a look-up.
    conversion_id: Mapped[str | None] = mapped_column(Id, index=True)
    latency_us: Mapped[int] = mapped_column(sa.BigInteger)

    # On PostgreSQL the table is partitioned by month, as ranges of ids (postback/retention.py).
    __table_args__ = (sa.Index("ix_receipts_source_id", "source_id", "id"),)


class Conversion(Base):
    """One conversion of one source, once: UNIQUE(source_id, dedupe_key) is permanent."""

    __tablename__ = "conversions"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source_id: Mapped[str] = mapped_column(sa.ForeignKey("sources.id"))
    dedupe_key: Mapped[str] = mapped_column(sa.String(300))
    content_sha256: Mapped[str] = mapped_column(sa.String(64))
    receipt_id: Mapped[str] = mapped_column(Id)  # the receipt that recorded it
    transaction_id: Mapped[str] = mapped_column(sa.String(255))
    claimed_click_id: Mapped[str] = mapped_column(ClaimedId)
    click_id: Mapped[str | None] = mapped_column(sa.ForeignKey("clicks.id"), index=True)
    campaign_id: Mapped[str | None] = mapped_column(sa.ForeignKey("campaigns.id"))
    affiliate_id: Mapped[str | None] = mapped_column(sa.ForeignKey("affiliates.id"), index=True)
    event: Mapped[str] = mapped_column(sa.String(40))
    status_word: Mapped[str | None] = mapped_column(sa.String(40))  # the network's own, kept
    payout_minor: Mapped[int | None] = mapped_column(Minor)  # what the postback told as payout
    amount_minor: Mapped[int | None] = mapped_column(Minor)  # the sale
    currency: Mapped[str] = mapped_column(sa.String(3))
    occurred_at: Mapped[datetime] = mapped_column(index=True)
    recorded_at: Mapped[datetime]
    subs: Mapped[dict[str, str]] = mapped_column(Json)
    assurance: Mapped[str] = mapped_column(sa.String(1))
    # Ours, as postback/covering.py writes them: what the proof of its first postback covered.
    covered_fields: Mapped[str] = mapped_column(sa.String(120), server_default="")
    # postback.event_rules.State. A hold stands beside the state: it can come at any time.
    state: Mapped[str] = mapped_column(sa.String(10))
    hold_reason: Mapped[str | None] = mapped_column(sa.String(40))  # late | conflict | outside_window | ..
    # Something changed after the accrual: the stage accrues the difference.
    is_accrual_due: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)

    __table_args__ = (
        sa.UniqueConstraint("source_id", "dedupe_key"),
        sa.Index("ix_conversions_state", "state", "id"),
        # Who waits for which click: of no use any more once a conversion has its own.
        sa.Index(
            "ix_conversions_claimed_click_id",
            "claimed_click_id",
            sqlite_where=sa.text("state = 'unmatched'"),
            postgresql_where=sa.text("state = 'unmatched'"),
        ),
        sa.Index("ix_conversions_transaction", "source_id", "transaction_id"),
        # Few are held, and people ask for them on every first page of a day.
        sa.Index(
            "ix_conversions_held",
            "id",
            sqlite_where=sa.text("hold_reason IS NOT NULL"),
            postgresql_where=sa.text("hold_reason IS NOT NULL"),
        ),
        sa.Index(
            "ix_conversions_accrual_due",
            "id",
            sqlite_where=sa.text("is_accrual_due"),
            postgresql_where=sa.text("is_accrual_due"),
        ),
    )

    @property
    def payout(self) -> Money | None:
        """What the postback told as payout."""
        return None if self.payout_minor is None else Money(self.payout_minor, self.currency)

    @property
    def covered(self) -> list[str]:
        """Our fields that the proof of its first postback covered, sorted."""
        return sorted(covering.fields(self.covered_fields))

    @property
    def amount(self) -> Money | None:
        """The sale."""
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)


class ReceiptSeal(Base):
    """The digest of a run of receipts, chained to the seal before it; append-only. Rows are sealed minutes later."""

    __tablename__ = "receipt_seals"

    seq: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=False)
    after_id: Mapped[str] = mapped_column(Id)  # receipts above this id
    up_to_id: Mapped[str] = mapped_column(Id)  # and below this one
    receipts: Mapped[int] = mapped_column(sa.BigInteger)
    digest: Mapped[str] = mapped_column(sa.String(64))
    previous_hash: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))
    sealed_at: Mapped[datetime]


class Reprocessing(Base):
    """A window of receipts read again under today's mapping: a dry run, and who applied it."""

    __tablename__ = "reprocessings"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source_id: Mapped[str] = mapped_column(sa.ForeignKey("sources.id"), index=True)
    since: Mapped[datetime]
    until: Mapped[datetime]  # excluded
    revision: Mapped[int] = mapped_column(sa.Integer)  # the source's, that it was read under
    content_sha256: Mapped[str] = mapped_column(sa.String(64))  # postback.replaying.content_sha256
    state: Mapped[str] = mapped_column(sa.String(10))  # planning | planned | applying | applied | stopped
    reason: Mapped[str | None] = mapped_column(sa.String(60))  # why it was stopped
    receipts: Mapped[int]  # that are to be read
    progress: Mapped[dict[str, int]] = mapped_column(Json)  # how many were read, checked and applied
    summary: Mapped[dict[str, Any]] = mapped_column(Json)  # counts, and payouts by currency before and after
    examples: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))
    applied_at: Mapped[datetime | None]
    applied_by: Mapped[str | None] = mapped_column(sa.String(120))
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)  # how many were recorded and adjusted

    __table_args__ = (sa.CheckConstraint("applied_by IS NULL OR applied_by <> created_by", name="four_eyes"),)


class ReprocessingPart(Base):
    """Receipts of a reprocessing that are read, and applied, in one commit: those from `low` on and below `high`."""

    __tablename__ = "reprocessing_parts"

    reprocessing_id: Mapped[str] = mapped_column(sa.ForeignKey("reprocessings.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    low: Mapped[str] = mapped_column(Id)
    high: Mapped[str] = mapped_column(Id)
    receipts: Mapped[int]
    content_sha256: Mapped[str] = mapped_column(sa.String(64))  # postback.replaying.content_sha256
    checked_at: Mapped[datetime | None]  # found as the dry run said, before anything was applied
    applied_at: Mapped[datetime | None]


class ReprocessingKey(Base):
    """A key that a part of a reprocessing would record: to the parts after it, it is taken."""

    __tablename__ = "reprocessing_keys"

    reprocessing_id: Mapped[str] = mapped_column(sa.ForeignKey("reprocessings.id"), primary_key=True)
    dedupe_key: Mapped[str] = mapped_column(sa.String(300), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.Integer)


class ConversionEvent(Base):
    """One thing that happened to a conversion; append-only, numbered from 1."""

    __tablename__ = "conversion_events"

    conversion_id: Mapped[str] = mapped_column(sa.ForeignKey("conversions.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))  # recorded, matched, conflicted, approved, rejected, ..
    at: Mapped[datetime]
    actor_kind: Mapped[str] = mapped_column(sa.String(16))
    actor_id: Mapped[str] = mapped_column(sa.String(120))
    receipt_id: Mapped[str | None] = mapped_column(Id)
    reason: Mapped[str | None] = mapped_column(sa.String(2000))
    details: Mapped[dict[str, Any]] = mapped_column(Json)
