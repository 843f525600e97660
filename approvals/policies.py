"""Approval policies: drafted by one admin, activated by another, immutable from then on."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from approvals import deciders, delegations, policy_checks, routing
from approvals.models import ApprovalPolicy
from core import versions
from core.actors import Actor
from core.errors import Invalid
from core.runtime import Runtime


def draft(runtime: Runtime, session: Session, content: Mapping[str, Any], *, actor: Actor) -> ApprovalPolicy:
    """Keep `content` as the next version, a draft; raise Invalid with every fault at once."""
    _check(runtime, session, content)
    logged = {"content_hash": routing.content_hash(content)}
    return versions.draft(runtime, session, ApprovalPolicy, {"content": dict(content)}, actor=actor, logged=logged)


def activate(runtime: Runtime, session: Session, version: int, *, actor: Actor) -> ApprovalPolicy:
    """Put a draft in force for requests to come.

    Raise Forbidden for its author, Conflict for what is no draft, Invalid when the people it needs have gone since.
    """
    activated = versions.activate(runtime, session, ApprovalPolicy, version, actor=actor)
    _check(runtime, session, activated.content)
    return activated


def _check(runtime: Runtime, session: Session, content: Mapping[str, Any]) -> None:
    roster = deciders.load(session).roster(delegations.pairs(session, runtime.clock()))
    faults = policy_checks.faults(content, roster)
    if faults:
        raise Invalid.of(*faults)
