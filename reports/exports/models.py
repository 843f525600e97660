"""Tables of exports: each file that somebody asked for, and how far the exports under a mark have come."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, Id, Json


class Export(Base):
    """One file that is made, or was: who asked for what, how far it is, and what the file is known by."""

    __tablename__ = "exports"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    report: Mapped[str] = mapped_column(sa.String(40))
    format: Mapped[str] = mapped_column(sa.String(12))
    filters: Mapped[dict[str, Any]] = mapped_column(Json)  # as texts: reports.exports.filtering reads them again
    state: Mapped[str] = mapped_column(sa.String(10))  # waiting | running | finished | failed | expired
    asked_by: Mapped[str] = mapped_column(sa.String(120), index=True)
    asked_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(sa.Integer, server_default=sa.text("0"))
    leased_until: Mapped[datetime | None]  # while it runs: after that its worker counts as gone
    rows_done: Mapped[int] = mapped_column(sa.BigInteger, server_default=sa.text("0"))
    rows: Mapped[int | None] = mapped_column(sa.BigInteger)
    stored_as: Mapped[str | None] = mapped_column(sa.String(80))  # below VAR_DIR/exports; another one for each attempt
    file_name: Mapped[str | None] = mapped_column(sa.String(120))  # what people get it as
    size_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    sha256: Mapped[str | None] = mapped_column(sa.String(64))
    error: Mapped[str | None] = mapped_column(sa.String(500))
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]

    __table_args__ = (
        sa.Index(
            "ix_exports_unfinished",
            "id",
            sqlite_where=sa.text("state IN ('waiting', 'running')"),
            postgresql_where=sa.text("state IN ('waiting', 'running')"),
        ),
    )


class ExportMark(Base):
    """Up to which moment the exports under a name have told what changed; a person's own mark has his id as name."""

    __tablename__ = "export_marks"

    name: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    until: Mapped[datetime]
    export_id: Mapped[str] = mapped_column(sa.ForeignKey("exports.id"))
    moved_at: Mapped[datetime]
    moved_by: Mapped[str] = mapped_column(sa.String(120))
