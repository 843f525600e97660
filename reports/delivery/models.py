"""Tables of delivery: which reports go out each month, and what went out."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import VERSION, Base, Id, Json


class ReportSchedule(Base):
    """Reports about the month before, made on a day of each month and put into a folder, and sent to people."""

    __tablename__ = "report_schedules"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    day: Mapped[int] = mapped_column(sa.Integer)  # of the month; its last day where it is shorter
    hour: Mapped[int] = mapped_column(sa.Integer)  # UTC
    waits_for_close: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.false())
    reports: Mapped[list[str]] = mapped_column(Json)
    formats: Mapped[list[str]] = mapped_column(Json)
    recipients: Mapped[list[str]] = mapped_column(Json)  # e-mail addresses
    folder: Mapped[str] = mapped_column(sa.String(100), unique=True)  # below VAR_DIR/deliveries
    state: Mapped[str] = mapped_column(sa.String(8))  # active | paused | removed
    counts_from: Mapped[datetime]  # moments before it are not made up for
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))
    failed_at: Mapped[datetime | None]  # of the last attempt, when it failed
    error: Mapped[str | None] = mapped_column(sa.String(200))
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)


class ReportDelivery(Base):
    """What one schedule has delivered about one month: the database lets there be one."""

    __tablename__ = "report_deliveries"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    schedule_id: Mapped[str] = mapped_column(sa.ForeignKey("report_schedules.id"))
    period: Mapped[str] = mapped_column(sa.String(7))
    delivered_at: Mapped[datetime]
    folder: Mapped[str] = mapped_column(sa.String(120))  # the schedule's as it was then, and the month
    files: Mapped[list[dict[str, Any]]] = mapped_column(Json)  # name, report, format, mimetype, bytes, sha256
    letters: Mapped[int] = mapped_column(sa.Integer)

    __table_args__ = (sa.UniqueConstraint("schedule_id", "period"),)
