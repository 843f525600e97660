"""Tables of a month's close: snapshots of what was closed, and who asked for it to be opened again."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, Id, Json


class PeriodSnapshot(Base):
    """A month as one close found it; number 1 is its first close. Append-only (trigger)."""

    __tablename__ = "period_snapshots"

    period: Mapped[str] = mapped_column(sa.String(7), primary_key=True)
    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    # 1: a close from before snapshots were kept: its digest alone. 2: the rows of every kind stand in the parts.
    format: Mapped[int] = mapped_column(sa.Integer)
    closed_at: Mapped[datetime]
    closed_by: Mapped[str] = mapped_column(sa.String(120))
    totals: Mapped[dict[str, Any]] = mapped_column(Json)  # reports.report.of_month, at the close
    kinds: Mapped[dict[str, Any]] = mapped_column(Json)  # by name: rows and their digest
    digest: Mapped[str] = mapped_column(sa.String(80))  # sha256:<hex> over totals and kinds


class PeriodSnapshotPart(Base):
    """Some thousand rows of one kind, sorted, a line of JSON each, compressed (zlib). Append-only (trigger).

    No foreign key: parts are written while the digest of the snapshot they belong to is still being counted.
    """

    __tablename__ = "period_snapshot_parts"

    period: Mapped[str] = mapped_column(sa.String(7), primary_key=True)
    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    part: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(sa.LargeBinary)


class PeriodReopening(Base):
    """One person asks for a closed month to be opened again, another confirms it."""

    __tablename__ = "period_reopenings"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    period: Mapped[str] = mapped_column(sa.String(7))
    snapshot_number: Mapped[int] = mapped_column(sa.Integer)  # the close that it takes back; 0: one without a snapshot
    reason: Mapped[str] = mapped_column(sa.String(2000))
    state: Mapped[str] = mapped_column(sa.String(10))  # reports.reopening.ReopeningState
    asked_at: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(sa.String(120))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(sa.String(120))

    __table_args__ = (
        sa.CheckConstraint(
            "state <> 'confirmed' OR (decided_by IS NOT NULL AND decided_by <> asked_by)", name="four_eyes"
        ),
        sa.Index("ix_period_reopenings_period", "period"),
        sa.Index(
            "uq_period_reopenings_asked",
            "period",
            unique=True,
            sqlite_where=sa.text("state = 'asked'"),
            postgresql_where=sa.text("state = 'asked'"),
        ),
    )
