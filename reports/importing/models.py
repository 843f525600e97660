"""Tables of imports that run in the background, and of the mappings that people keep."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, Id, Json


class SavedMapping(Base):
    """A mapping of a network's report that a person keeps under a name."""

    __tablename__ = "report_mappings"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    mapping: Mapped[dict[str, Any]] = mapped_column(Json)
    kept_at: Mapped[datetime]
    kept_by: Mapped[str] = mapped_column(sa.String(120))


class ReportImport(Base):
    """A network's report that a worker loads: what it is said to be, how far it is, and what came of it."""

    __tablename__ = "report_imports"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source_id: Mapped[str] = mapped_column(sa.ForeignKey("sources.id"))
    period: Mapped[str] = mapped_column(sa.String(7))
    mapping: Mapped[dict[str, Any]] = mapped_column(Json)
    file_name: Mapped[str] = mapped_column(sa.String(200))
    file_sha256: Mapped[str] = mapped_column(sa.String(64))
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    stored_as: Mapped[str] = mapped_column(sa.String(80))  # below VAR_DIR/imports, until it has ended
    state: Mapped[str] = mapped_column(sa.String(10))  # core.leasing: waiting | running | finished | failed
    asked_by: Mapped[str] = mapped_column(sa.String(120), index=True)
    asked_by_kind: Mapped[str] = mapped_column(sa.String(8))
    asked_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(sa.Integer, server_default=sa.text("0"))
    leased_until: Mapped[datetime | None]
    lines_done: Mapped[int] = mapped_column(sa.Integer, server_default=sa.text("0"))
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)  # reports.imports.Imported, without rejected rows
    error: Mapped[str | None] = mapped_column(sa.String(500))
    faults: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)  # {"field": .., "reason": ..}
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        sa.Index(
            "ix_report_imports_unfinished",
            "id",
            sqlite_where=sa.text("state IN ('waiting', 'running')"),
            postgresql_where=sa.text("state IN ('waiting', 'running')"),
        ),
    )
