"""The table of clicks."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, Id


class Click(Base):
    """One click of an affiliate's visitor on a campaign. `click_id` is what the network hands back to us."""

    __tablename__ = "clicks"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    click_id: Mapped[str] = mapped_column(Id, unique=True)  # `id` without its prefix, or another tracker's own id
    campaign_id: Mapped[str] = mapped_column(sa.ForeignKey("campaigns.id"), index=True)
    affiliate_id: Mapped[str] = mapped_column(sa.ForeignKey("affiliates.id"), index=True)
    sub1: Mapped[str | None] = mapped_column(sa.String(255))
    sub2: Mapped[str | None] = mapped_column(sa.String(255))
    sub3: Mapped[str | None] = mapped_column(sa.String(255))
    sub4: Mapped[str | None] = mapped_column(sa.String(255))
    sub5: Mapped[str | None] = mapped_column(sa.String(255))
    via: Mapped[str] = mapped_column(sa.String(8))  # redirect | api
    clicked_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
