"""Tables of the two-tier check: advertisers' own lists of sales, and their lines."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, Id, Json, Minor


class AdvertiserList(Base):
    """What an advertiser or a CRM says was sold through a source or campaign, in a month or on a day."""

    __tablename__ = "advertiser_lists"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source_id: Mapped[str | None] = mapped_column(sa.ForeignKey("sources.id"))  # it, or the campaign
    campaign_id: Mapped[str | None] = mapped_column(sa.ForeignKey("campaigns.id"))
    period: Mapped[str] = mapped_column(sa.String(7), index=True)
    day: Mapped[date | None]  # None: the whole month
    compares: Mapped[str] = mapped_column(sa.String(8))  # sale | payout: which of our amounts
    seed: Mapped[int] = mapped_column(sa.BigInteger)
    sample_percent: Mapped[int] = mapped_column(sa.Integer)
    mapping: Mapped[dict[str, Any]] = mapped_column(Json)
    file_name: Mapped[str] = mapped_column(sa.String(200))
    file_sha256: Mapped[str] = mapped_column(sa.String(64))
    lines: Mapped[int] = mapped_column(sa.Integer)
    rejected: Mapped[list[dict[str, Any]]] = mapped_column(Json)  # {"line": 17, "reason": ".."}
    state: Mapped[str] = mapped_column(sa.String(10))  # waiting | done | replaced
    counts: Mapped[dict[str, Any]] = mapped_column(Json)  # of the last comparison
    reconciliation_id: Mapped[str | None] = mapped_column(sa.ForeignKey("reconciliations.id"))
    next_check_at: Mapped[datetime | None] = mapped_column(index=True)  # None: it is not looked at any more
    checked_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(sa.String(500))
    imported_at: Mapped[datetime]
    imported_by: Mapped[str] = mapped_column(sa.String(120))


class AdvertiserLine(Base):
    """One line of such a list."""

    __tablename__ = "advertiser_lines"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    list_id: Mapped[str] = mapped_column(sa.ForeignKey("advertiser_lists.id"))
    line_number: Mapped[int] = mapped_column(sa.Integer)
    transaction_id: Mapped[str] = mapped_column(sa.String(255))
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(sa.String(3))
    status_word: Mapped[str | None] = mapped_column(sa.String(40))
    meaning: Mapped[str] = mapped_column(sa.String(8))  # reports.two_tier.Meaning
    occurred_on: Mapped[date]

    __table_args__ = (sa.Index("ix_advertiser_lines_transaction", "list_id", "transaction_id"),)
