"""Tables of matching: edges between our items and theirs, what people said about them, aliases, rules in versions."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, Id, Json, Minor
from core.versions import Versioned

_IS_TAKEN_WHOLE = sa.text("is_whole AND state = 'confirmed'")
_IS_ACTIVE = sa.text("state = 'active'")


class Match(Base):
    """An edge: one of our items and one of theirs, found to be the same by a pass or said to be so by a person.

    Edges that were decided together share a group. Theirs minus ours, summed over a group, is the group's difference.
    An item that an edge takes whole has no other confirmed edge that does so; the database holds it.
    """

    __tablename__ = "matches"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    group_id: Mapped[str] = mapped_column(Id, index=True, server_default="")  # an edge alone: its own id
    # No foreign key: the run writes its edges in its own commit, and a look-up for each was a fifth of the time.
    reconciliation_id: Mapped[str] = mapped_column(Id, index=True)
    leg: Mapped[str] = mapped_column(sa.String(12))
    matched_by: Mapped[str] = mapped_column(sa.String(20))  # reports.matching.Pass
    our_id: Mapped[str] = mapped_column(Id)  # cnv_.. on leg network, pay_.. on leg payout
    their_id: Mapped[str] = mapped_column(Id)  # a network line or a bank line
    # How much of theirs this edge takes, in the sign that `difference_minor` reckons theirs in.
    allocated_minor: Mapped[int] = mapped_column(Minor, server_default=sa.text("0"))
    difference_minor: Mapped[int] = mapped_column(Minor)  # theirs minus ours
    currency: Mapped[str] = mapped_column(sa.String(3))
    state: Mapped[str] = mapped_column(sa.String(10), server_default="confirmed")  # confirmed | suggested
    is_whole: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.true())  # takes both items whole: one to one
    score: Mapped[int | None] = mapped_column(sa.Integer)  # 0 to 100, of a suggestion
    made_by: Mapped[str | None] = mapped_column(sa.String(120))  # a person; None: a pass
    created_at: Mapped[datetime]

    __table_args__ = (
        sa.Index(
            "uq_matches_our_whole",
            "leg",
            "our_id",
            unique=True,
            sqlite_where=_IS_TAKEN_WHOLE,
            postgresql_where=_IS_TAKEN_WHOLE,
        ),
        sa.Index(
            "uq_matches_their_whole",
            "leg",
            "their_id",
            unique=True,
            sqlite_where=_IS_TAKEN_WHOLE,
            postgresql_where=_IS_TAKEN_WHOLE,
        ),
        sa.UniqueConstraint("leg", "our_id", "their_id"),
        sa.Index("ix_matches_their_id", "leg", "their_id"),
    )


class MatchEvent(Base):
    """What was done about a group of edges, by whom and why. Append-only (trigger). Runs' suggestions are not told."""

    __tablename__ = "match_events"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    leg: Mapped[str] = mapped_column(sa.String(12))
    group_id: Mapped[str] = mapped_column(Id, index=True)
    kind: Mapped[str] = mapped_column(sa.String(10))  # confirmed | rejected | matched | unmatched | split | merged
    actor_kind: Mapped[str] = mapped_column(sa.String(16))
    actor_id: Mapped[str] = mapped_column(sa.String(120))
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(sa.String(2000))
    # The edges before and after: our_id, their_id, allocated_minor.
    details: Mapped[dict[str, Any]] = mapped_column(Json)


class MatchRejection(Base):
    """Two items that a person said are not the same: no pass pairs or suggests them again."""

    __tablename__ = "match_rejections"

    leg: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    our_id: Mapped[str] = mapped_column(Id, primary_key=True)
    their_id: Mapped[str] = mapped_column(Id, primary_key=True)
    event_id: Mapped[str] = mapped_column(sa.ForeignKey("match_events.id"))


class MatchAlias(Base):
    """A text that stands for one of our items, a source or an affiliate; learnt from a match that a person made."""

    __tablename__ = "match_aliases"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    leg: Mapped[str] = mapped_column(sa.String(12))
    meaning_kind: Mapped[str] = mapped_column(sa.String(12))  # source | affiliate | transaction
    meaning: Mapped[str] = mapped_column(sa.String(255))  # an id, or a transaction id
    alias: Mapped[str] = mapped_column(sa.String(255))  # normalised
    scope: Mapped[str] = mapped_column(sa.String(64), server_default="")  # the source or account it is valid for
    learnt_from: Mapped[str] = mapped_column(Id)  # the group of edges
    state: Mapped[str] = mapped_column(sa.String(10))  # active | dropped
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))

    __table_args__ = (
        sa.Index(
            "uq_match_aliases_active",
            "leg",
            "scope",
            "alias",
            unique=True,
            sqlite_where=_IS_ACTIVE,
            postgresql_where=_IS_ACTIVE,
        ),
    )


class MatchRuleset(Versioned):
    """Which passes a run makes, in which order and with what limits; version 0 is a new installation's."""

    __tablename__ = "match_rulesets"
    NOUN = "match ruleset"

    passes: Mapped[list[dict[str, Any]]] = mapped_column(Json)  # {"pass": reports.matching.Pass, ..its limits}
