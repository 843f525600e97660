"""Approval policies: drafted by one admin, activated by another, immutable from then on."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from access.roles import Role
from approvals import routing
from approvals.models import ApprovalPolicy
from core import versions
from core.actors import Actor
from core.errors import Invalid
from core.runtime import Runtime

DECIDING_ROLES = (Role.FINANCE, Role.MANAGER, Role.ADMIN)


def draft(runtime: Runtime, session: Session, content: Mapping[str, Any], *, actor: Actor) -> ApprovalPolicy:
    """Keep `content` as the next version, a draft; raise Invalid with every fault at once."""
    faults = routing.faults(content, DECIDING_ROLES)
    if faults:
        raise Invalid.of(*faults)
    logged = {"content_hash": routing.content_hash(content)}
    return versions.draft(runtime, session, ApprovalPolicy, {"content": dict(content)}, actor=actor, logged=logged)
