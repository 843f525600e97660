"""Tables of the ledger: periods, journal entries and their lines."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import VERSION, Base, Id, Json, Minor


class Period(Base):
    """A calendar month in UTC. No row is the same as an open one; closing writes the row and freezes its snapshot."""

    __tablename__ = "periods"

    id: Mapped[str] = mapped_column(sa.String(7), primary_key=True)  # YYYY-MM
    state: Mapped[str] = mapped_column(sa.String(8))  # open | closed
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(sa.String(120))
    totals: Mapped[dict[str, Any] | None] = mapped_column(Json)
    digest: Mapped[str | None] = mapped_column(sa.String(80))  # sha256:<hex> of its sorted rows
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)


class JournalEntry(Base):
    """One balanced entry about one thing; posting it twice is impossible. Append-only (trigger)."""

    __tablename__ = "journal_entries"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(20))  # ledger.posting.EntryKind
    source_type: Mapped[str] = mapped_column(sa.String(20))  # accrual, conversion, batch_item, ..
    source_id: Mapped[str] = mapped_column(Id)
    period: Mapped[str] = mapped_column(sa.String(7), index=True)
    occurred_on: Mapped[date]  # when it happened, by its own date
    posted_on: Mapped[date]  # the date in the journal: within `period`
    posted_at: Mapped[datetime]
    description: Mapped[str] = mapped_column(sa.String(300))

    lines: Mapped[list["JournalLine"]] = relationship(order_by="JournalLine.line_number", back_populates="entry")

    __table_args__ = (sa.UniqueConstraint("kind", "source_type", "source_id"),)


class JournalLine(Base):
    """One line: a debit is positive, a credit negative. Append-only (trigger)."""

    __tablename__ = "journal_lines"

    entry_id: Mapped[str] = mapped_column(sa.ForeignKey("journal_entries.id"), primary_key=True)
    line_number: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    account: Mapped[str] = mapped_column(sa.String(120), index=True)
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(sa.String(3))
    affiliate_id: Mapped[str | None] = mapped_column(sa.String(40))

    entry: Mapped[JournalEntry] = relationship(back_populates="lines")

    __table_args__ = (
        sa.Index(
            "ix_journal_lines_affiliate_id",
            "affiliate_id",
            sqlite_where=sa.text("affiliate_id IS NOT NULL"),
            postgresql_where=sa.text("affiliate_id IS NOT NULL"),
        ),
    )
