"""Approval policies: drafted by one admin, activated by another, immutable from then on."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from approvals import routing
from approvals.models import ApprovalPolicy
from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.runtime import Runtime

DECIDING_ROLES = (Role.FINANCE, Role.MANAGER, Role.ADMIN)
_LOCK = "approval-policies"


def active(session: Session) -> ApprovalPolicy:
    """Return the policy that new requests are routed by; there always is one."""
    return session.scalars(sa.select(ApprovalPolicy).where(ApprovalPolicy.state == "active")).one()


def get(session: Session, version: int) -> ApprovalPolicy:
    """Return the policy `version`; raise NotFound when there is none."""
    policy = session.get(ApprovalPolicy, version)
    if policy is None:
        message = f"there is no approval policy {version}"
        raise NotFound(message)
    return policy


def draft(runtime: Runtime, session: Session, content: Mapping[str, Any], *, actor: Actor) -> ApprovalPolicy:
    """Keep `content` as the next version, a draft; raise Invalid with every fault at once."""
    faults = routing.faults(content, DECIDING_ROLES)
    if faults:
        raise Invalid.of(*faults)
    lock(session, _LOCK)
    newest = session.scalar(sa.select(sa.func.max(ApprovalPolicy.version))) or 0
    now = runtime.clock()
    policy = ApprovalPolicy(
        version=newest + 1, state="draft", content=dict(content), created_at=now, created_by=actor.id
    )
    session.add(policy)
    session.flush()
    after = {"content_hash": routing.content_hash(content)}
    audit.record(session, Act(actor, "drafted", "approval policy", str(policy.version), now, after=after))
    return policy


def activate(runtime: Runtime, session: Session, version: int, *, actor: Actor) -> ApprovalPolicy:
    """Make a draft the active policy and retire the one before it; open requests keep theirs.

    Raise Forbidden for the draft's own author, Conflict for what is no draft.
    """
    lock(session, _LOCK)
    policy = get(session, version)
    if policy.state != "draft":
        message = f"approval policy {version} is {policy.state}; only a draft is activated"
        raise Conflict(message)
    if policy.created_by == actor.id:
        message = "a policy is activated by another person than its author"
        raise Forbidden(message, slug="own-draft")
    now = runtime.clock()
    earlier = active(session)
    earlier.state = "retired"
    # Written first: at no moment may two be active, and the index would say so.
    session.flush()
    policy.state, policy.activated_at, policy.activated_by = "active", now, actor.id
    session.flush()
    audit.record(
        session,
        Act(
            actor, "activated", "approval policy", str(version), now,
            before={"active": earlier.version}, after={"active": version},
        ),
    )  # fmt: skip
    return policy
