"""Tables of month end: imported statements and their lines, reconciliations, discrepancies."""

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import VERSION, Base, Id, Json, Minor


class Statement(Base):
    """One imported file: a network's report or a bank's statement."""

    __tablename__ = "statements"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(8))  # network | bank
    source_id: Mapped[str | None] = mapped_column(sa.ForeignKey("sources.id"))  # of a network report
    account: Mapped[str | None] = mapped_column(sa.String(34))  # IBAN, of a bank statement
    period: Mapped[str | None] = mapped_column(sa.String(7), index=True)  # a network report's month
    format: Mapped[str] = mapped_column(sa.String(20))  # csv | camt.053
    mapping: Mapped[dict[str, Any] | None] = mapped_column(Json)
    file_name: Mapped[str] = mapped_column(sa.String(200))
    file_sha256: Mapped[str] = mapped_column(sa.String(64))
    reference: Mapped[str | None] = mapped_column(sa.String(80))  # the bank's own statement id
    opened_on: Mapped[date | None]
    closed_on: Mapped[date | None]
    opening_minor: Mapped[int | None] = mapped_column(Minor)
    closing_minor: Mapped[int | None] = mapped_column(Minor)
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    lines: Mapped[int] = mapped_column(sa.Integer)
    new: Mapped[int] = mapped_column(sa.Integer)
    repeated: Mapped[int] = mapped_column(sa.Integer)
    rejected: Mapped[list[dict[str, Any]]] = mapped_column(Json)  # {"line": 17, "reason": ".."}
    imported_at: Mapped[datetime]
    imported_by: Mapped[str] = mapped_column(sa.String(120))


class NetworkLine(Base):
    """One line of a network's report."""

    __tablename__ = "network_lines"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    statement_id: Mapped[str] = mapped_column(sa.ForeignKey("statements.id"), index=True)
    source_id: Mapped[str] = mapped_column(sa.ForeignKey("sources.id"))
    line_key: Mapped[str] = mapped_column(sa.String(64))  # hash of its content and its occurrence among equals
    line_number: Mapped[int] = mapped_column(sa.Integer)
    transaction_id: Mapped[str | None] = mapped_column(sa.String(255))
    claimed_click_id: Mapped[str | None] = mapped_column(sa.String(255))
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(sa.String(3))
    status_word: Mapped[str | None] = mapped_column(sa.String(40))
    group_key: Mapped[str | None] = mapped_column(sa.String(255))  # what the network sums up in one line, if it says so
    occurred_on: Mapped[date]
    period: Mapped[str] = mapped_column(sa.String(7))

    __table_args__ = (
        sa.UniqueConstraint("source_id", "line_key"),
        sa.Index("ix_network_lines_transaction", "source_id", "period", "transaction_id"),
    )


class BankLine(Base):
    """One line of a bank statement: money out is negative."""

    __tablename__ = "bank_lines"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    statement_id: Mapped[str] = mapped_column(sa.ForeignKey("statements.id"), index=True)
    account: Mapped[str] = mapped_column(sa.String(34))
    line_key: Mapped[str] = mapped_column(sa.String(64))
    line_number: Mapped[int] = mapped_column(sa.Integer)
    booked_on: Mapped[date] = mapped_column(index=True)
    value_on: Mapped[date | None]
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(sa.String(3))
    end_to_end_id: Mapped[str | None] = mapped_column(sa.String(35), index=True)
    text: Mapped[str] = mapped_column(sa.Text)  # remittance information, whole
    counterparty: Mapped[str | None] = mapped_column(sa.String(200))
    counterparty_iban: Mapped[str | None] = mapped_column(sa.String(34))
    bank_reference: Mapped[str | None] = mapped_column(sa.String(80))

    __table_args__ = (sa.UniqueConstraint("account", "line_key"),)


class Reconciliation(Base):
    """One run over one period and leg, keyed by its inputs: the same inputs give the same run."""

    __tablename__ = "reconciliations"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    period: Mapped[str] = mapped_column(sa.String(7), index=True)
    leg: Mapped[str] = mapped_column(sa.String(12))  # reports.matching.Leg
    source_id: Mapped[str | None] = mapped_column(sa.ForeignKey("sources.id"))
    state: Mapped[str] = mapped_column(sa.String(10))  # waiting | running | finished | failed
    ruleset_version: Mapped[int | None]  # of match_rulesets; None: not done yet, or done before there were versions
    repeats_id: Mapped[str | None] = mapped_column(Id)  # the run that had the same inputs: its result stands
    input_sha256: Mapped[str | None] = mapped_column(sa.String(64))
    counts: Mapped[dict[str, Any]] = mapped_column(Json)
    digest: Mapped[str | None] = mapped_column(sa.String(80))
    started_by: Mapped[str] = mapped_column(sa.String(120))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(sa.String(500))


class Discrepancy(Base):
    """One difference a person has to look at. `subject_key` makes a rerun find it again instead of doubling it."""

    __tablename__ = "discrepancies"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    reconciliation_id: Mapped[str] = mapped_column(sa.ForeignKey("reconciliations.id"), index=True)
    period: Mapped[str] = mapped_column(sa.String(7), index=True)
    leg: Mapped[str] = mapped_column(sa.String(12))
    source_id: Mapped[str | None] = mapped_column(sa.ForeignKey("sources.id"))  # of leg network
    klass: Mapped[str] = mapped_column("class", sa.String(24))  # reports.matching.DiscrepancyClass
    subject_key: Mapped[str] = mapped_column(sa.String(120), unique=True)  # leg, class, our and their ids
    conversion_id: Mapped[str | None] = mapped_column(sa.ForeignKey("conversions.id"))
    payout_id: Mapped[str | None] = mapped_column(sa.ForeignKey("payouts.id"))
    remittance_id: Mapped[str | None] = mapped_column(Id)
    line_id: Mapped[str | None] = mapped_column(Id)
    ours_minor: Mapped[int | None] = mapped_column(Minor)
    ours_currency: Mapped[str | None] = mapped_column(sa.String(3))
    theirs_minor: Mapped[int | None] = mapped_column(Minor)
    theirs_currency: Mapped[str | None] = mapped_column(sa.String(3))
    state: Mapped[str] = mapped_column(sa.String(10))  # reports.matching.DiscrepancyState
    owner: Mapped[str | None] = mapped_column(sa.String(120), index=True)  # a staff id: who looks after it
    resolution: Mapped[str | None] = mapped_column(sa.String(20))
    note: Mapped[str | None] = mapped_column(sa.String(2000))
    resolved_by: Mapped[str | None] = mapped_column(sa.String(120))
    resolved_at: Mapped[datetime | None]
    created_at: Mapped[datetime]  # when the first run found it
    version: Mapped[int] = mapped_column(sa.Integer, server_default=VERSION)
