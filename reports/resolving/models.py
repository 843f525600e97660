"""Tables of resolutions: notes on discrepancies, adjustments under approval, claims from networks."""

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import VERSION, Base, Id, Minor

_IS_PENDING = sa.text("state = 'pending'")
_IS_OPEN = sa.text("state = 'open'")


class DiscrepancyNote(Base):
    """What somebody said about a discrepancy, without resolving it. Append-only (trigger)."""

    __tablename__ = "discrepancy_notes"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    discrepancy_id: Mapped[str] = mapped_column(sa.ForeignKey("discrepancies.id"), index=True)
    author_id: Mapped[str] = mapped_column(sa.String(120))
    text: Mapped[str] = mapped_column(sa.String(2000))
    created_at: Mapped[datetime]


class Adjustment(Base):
    """What a discrepancy moves in the journal: asked for by one person, approved by others, posted once."""

    __tablename__ = "adjustments"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    discrepancy_id: Mapped[str] = mapped_column(sa.ForeignKey("discrepancies.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(10))  # accept | write_off
    difference_minor: Mapped[int] = mapped_column(Minor)  # how much of the difference it is about: theirs minus ours
    # What `account` gains (a debit is positive) and `counter_account` loses.
    account: Mapped[str] = mapped_column(sa.String(120))
    counter_account: Mapped[str] = mapped_column(sa.String(120))
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(sa.String(3))
    reason: Mapped[str] = mapped_column(sa.String(2000))
    state: Mapped[str] = mapped_column(sa.String(10))  # pending | posted | rejected | lapsed
    occurred_on: Mapped[date | None]  # of its entry in the journal, once posted
    approval_id: Mapped[str | None] = mapped_column(sa.ForeignKey("approval_requests.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        sa.Index(
            "uq_adjustments_pending", "discrepancy_id", unique=True,
            sqlite_where=_IS_PENDING, postgresql_where=_IS_PENDING,
        ),
    )  # fmt: skip


class DiscrepancyClaim(Base):
    """What we claim from a network about one discrepancy, the dispute pack it was sent, and what it answered."""

    __tablename__ = "discrepancy_claims"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    discrepancy_id: Mapped[str] = mapped_column(sa.ForeignKey("discrepancies.id"), index=True)
    amount_minor: Mapped[int | None] = mapped_column(Minor)  # what we are short of; None: it is not about money
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    state: Mapped[str] = mapped_column(sa.String(10))  # open | won | lost | partial
    awarded_minor: Mapped[int | None] = mapped_column(Minor)  # of a partial answer
    pack: Mapped[bytes] = mapped_column(sa.LargeBinary)  # made once: every download is what was sent
    pack_sha256: Mapped[str] = mapped_column(sa.String(64))
    claimed_at: Mapped[datetime]
    claimed_by: Mapped[str] = mapped_column(sa.String(120))
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[str | None] = mapped_column(sa.String(120))
    answer_note: Mapped[str | None] = mapped_column(sa.String(2000))
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)

    __table_args__ = (
        sa.Index(
            "uq_discrepancy_claims_open", "discrepancy_id", unique=True,
            sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN,
        ),
    )  # fmt: skip
