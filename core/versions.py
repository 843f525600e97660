"""Rules in versions: drafted by one, put in force by another person, never edited, one in force at a time."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, declared_attr, mapped_column

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import Base, lock
from core.errors import Conflict, Forbidden, NotFound
from core.runtime import Runtime


class VersionState(StrEnum):
    """draft -> active -> retired, and never back."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


class Versioned(Base):
    """The columns of a table of versions; version 0 is a new installation's. `NOUN` names one for people."""

    __abstract__ = True
    NOUN: ClassVar[str]

    version: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(sa.String(8))  # VersionState
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(sa.String(120))
    activated_at: Mapped[datetime | None]
    activated_by: Mapped[str | None] = mapped_column(sa.String(120))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[sa.Index]:
        """Let at most one version be active, whoever activates at the same moment."""
        is_active = sa.text("state = 'active'")
        name = f"uq_{cls.__tablename__}_active"
        return (sa.Index(name, "state", unique=True, sqlite_where=is_active, postgresql_where=is_active),)


_VERSION_MAX = 2**31 - 1  # what the column holds
VersionedT = TypeVar("VersionedT", bound=Versioned)


def active(session: Session, table: type[VersionedT]) -> VersionedT:
    """Return the version in force; there always is one."""
    return session.scalars(sa.select(table).where(table.state == VersionState.ACTIVE)).one()


def get(session: Session, table: type[VersionedT], version: int) -> VersionedT:
    """Return a version; raise NotFound when there is none."""
    found = session.get(table, version) if version <= _VERSION_MAX else None
    if found is None:
        message = f"there is no {table.NOUN} {version}"
        raise NotFound(message)
    return found


def draft(
    runtime: Runtime,
    session: Session,
    table: type[VersionedT],
    content: Mapping[str, Any],
    *,
    actor: Actor,
    logged: Mapping[str, Any],
) -> VersionedT:
    """Keep `content`, the table's own columns, as the next version, a draft; `logged` goes to the audit log."""
    # Two drafts at once would take the same number.
    lock(session, table.__tablename__)
    newest = session.scalar(sa.select(sa.func.max(table.version))) or 0
    now = runtime.clock()
    made = table(version=newest + 1, state=VersionState.DRAFT, created_at=now, created_by=actor.id, **content)
    session.add(made)
    session.flush()
    audit.record(session, Act(actor, "drafted", table.NOUN, str(made.version), now, after=logged))
    return made


def activate(runtime: Runtime, session: Session, table: type[VersionedT], version: int, *, actor: Actor) -> VersionedT:
    """Put a draft in force and retire the version before it.

    Raise Forbidden for the draft's own author, Conflict for what is no draft.
    """
    lock(session, table.__tablename__)
    made = get(session, table, version)
    if made.state != VersionState.DRAFT:
        message = f"{table.NOUN} {version} is {made.state}, and only a draft can be put in force"
        raise Conflict(message)
    if made.created_by == actor.id:
        message = f"whoever wrote {table.NOUN} {version} cannot put it in force: another person does"
        raise Forbidden(message, slug="own-draft")
    now = runtime.clock()
    before = active(session, table)
    before.state = VersionState.RETIRED
    # First the old one goes: the database knows one active version at a time.
    session.flush()
    made.state, made.activated_at, made.activated_by = VersionState.ACTIVE, now, actor.id
    session.flush()
    old, new = {"active": before.version}, {"active": version}
    audit.record(session, Act(actor, "activated", table.NOUN, str(version), now, before=old, after=new))
    return made
