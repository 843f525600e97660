"""Tables of remittances: what networks owe or have announced for a month, and what became of it in the books."""

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import VERSION, Base, Id, Minor

_HAS_REFERENCE = sa.text("reference IS NOT NULL")
_IS_DERIVED = sa.text("origin = 'derived'")


class Remittance(Base):
    """What a network owes us for a month: announced by an invoice or advice, or derived from its report's lines."""

    __tablename__ = "remittances"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source_id: Mapped[str] = mapped_column(sa.ForeignKey("sources.id"), index=True)
    period: Mapped[str] = mapped_column(sa.String(7), index=True)
    reference: Mapped[str | None] = mapped_column(sa.String(140))  # number of the invoice or of the remittance advice
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(sa.String(3))
    due_on: Mapped[date | None]
    state: Mapped[str] = mapped_column(sa.String(12))  # reports.remitting.RemittanceState
    origin: Mapped[str] = mapped_column(sa.String(10))  # announced | derived
    created_by: Mapped[str] = mapped_column(sa.String(120))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]  # when a person last changed it: a run before that did not see it so
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)

    __table_args__ = (
        sa.Index(
            "uq_remittances_reference",
            "source_id",
            "reference",
            unique=True,
            sqlite_where=_HAS_REFERENCE,
            postgresql_where=_HAS_REFERENCE,
        ),
        sa.Index(
            "uq_remittances_derived",
            "source_id",
            "period",
            "currency",
            unique=True,
            sqlite_where=_IS_DERIVED,
            postgresql_where=_IS_DERIVED,
        ),
    )


class RemittanceEntry(Base):
    """One entry of the journal about a remittance, and why it is there. Append-only (trigger).

    A row that names another in `reverses_id` takes that one back, once, with its amount negated.
    """

    __tablename__ = "remittance_entries"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    remittance_id: Mapped[str] = mapped_column(sa.ForeignKey("remittances.id"))
    # Counted within the remittance: of two who post its next entry at once, the second finds the number taken.
    number: Mapped[int] = mapped_column(sa.Integer)
    kind: Mapped[str] = mapped_column(sa.String(10))  # reports.remitting.PartKind
    reverses_id: Mapped[str | None] = mapped_column(sa.ForeignKey("remittance_entries.id"), unique=True)
    bank_line_id: Mapped[str | None] = mapped_column(sa.ForeignKey("bank_lines.id"), index=True)
    account: Mapped[str] = mapped_column(sa.String(120))  # of the journal; its other side is what networks owe
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(sa.String(3))
    occurred_on: Mapped[date]
    reason: Mapped[str | None] = mapped_column(sa.String(2000))  # of a person's act
    created_by: Mapped[str] = mapped_column(sa.String(120))
    created_at: Mapped[datetime]

    __table_args__ = (sa.UniqueConstraint("remittance_id", "number"),)
