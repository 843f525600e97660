"""Category rulesets: drafted by anyone who may, put in force by another person, never edited."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.runtime import Runtime
from payouts import categories
from payouts.models import CategoryRuleset

_LOCK = "category rulesets"


class RulesetState(StrEnum):
    """draft -> active -> retired, and never back."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


def draft(runtime: Runtime, session: Session, rules: Sequence[Mapping[str, Any]], *, actor: Actor) -> CategoryRuleset:
    """Keep `rules` as the next version, not yet in force; raise Invalid with every fault."""
    found = categories.faults(rules)
    if found:
        raise Invalid.of(*found)
    # Two drafts at once would take the same number.
    lock(session, _LOCK)
    newest = session.scalar(sa.select(sa.func.max(CategoryRuleset.version))) or 0
    now = runtime.clock()
    ruleset = CategoryRuleset(
        version=newest + 1,
        state=RulesetState.DRAFT,
        rules=[dict(rule) for rule in rules],
        created_at=now,
        created_by=actor.id,
    )
    session.add(ruleset)
    audit.record(session, Act(actor, "drafted", "category ruleset", str(newest + 1), now, after={"rules": list(rules)}))
    return ruleset


def activate(runtime: Runtime, session: Session, version: int, *, actor: Actor) -> CategoryRuleset:
    """Put a draft in force in place of the active one; raise Forbidden for its author, Conflict when it is no draft.

    What was accrued keeps its category: the version that chose it is frozen on each accrual.
    """
    lock(session, _LOCK)
    ruleset = by_version(session, version)
    if ruleset.state != RulesetState.DRAFT:
        message = f"version {version} is {ruleset.state}, and only a draft can be put in force"
        raise Conflict(message)
    if ruleset.created_by == actor.id:
        message = "whoever wrote these rules cannot put them in force: another person does"
        raise Forbidden(message)
    now = runtime.clock()
    before = active(session)
    before.state = RulesetState.RETIRED
    # First the old one goes: the database knows one active ruleset at a time.
    session.flush()
    ruleset.state, ruleset.activated_at, ruleset.activated_by = RulesetState.ACTIVE, now, actor.id
    audit.record(
        session,
        Act(
            actor, "activated", "category ruleset", str(version), now,
            before={"active": before.version}, after={"active": version},
        ),
    )  # fmt: skip
    return ruleset


def active(session: Session) -> CategoryRuleset:
    """Return the ruleset in force; there always is one."""
    return session.scalars(sa.select(CategoryRuleset).where(CategoryRuleset.state == RulesetState.ACTIVE)).one()


def by_version(session: Session, version: int) -> CategoryRuleset:
    """Return the ruleset `version`; raise NotFound when there is none."""
    ruleset = session.get(CategoryRuleset, version)
    if ruleset is None:
        message = f"there is no category ruleset {version}"
        raise NotFound(message)
    return ruleset
