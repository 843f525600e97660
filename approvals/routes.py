"""The HTTP door of approvals."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access.roles import Role
from approvals import decisions, policies, queries
from approvals.deciding import Refused
from approvals.decisions import Decision
from approvals.models import ApprovalPolicy
from approvals.queries import RequestView
from approvals.schemas import (
    ApprovalPolicyContentSchema,
    ApprovalPolicySchema,
    ApprovalQuery,
    ApprovalQuerySchema,
    ApprovalRequestSchema,
    ApprovalVerdictSchema,
    PolicyContent,
)
from core import versions
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import NumberedPageQuery, NumberedPageQuerySchema, listing
from core.runtime import installed

blueprint = Blueprint(
    "approvals",
    __name__,
    url_prefix="/api/v1",
    description="Rules choose a chain, people decide, the decision is bound to what was decided.",
)

READERS = actors(*policies.DECIDING_ROLES, Role.AUDITOR, scope="approvals:read")
DECIDERS = actors(*policies.DECIDING_ROLES)
RULE_READERS = actors(*policies.DECIDING_ROLES, Role.AUDITOR, scope="rules:read")


@endpoint(
    blueprint, "GET", "/approvals", door=READERS, query=ApprovalQuerySchema, answers=listing(ApprovalRequestSchema)
)  # fmt: skip
def list_requests(session: Session, query: ApprovalQuery) -> Page[RequestView]:
    """List approval requests, newest first; `waiting_for=me` is the inbox of who asks."""
    return queries.listed(
        session,
        limit=query.limit,
        after=query.after,
        states=[query.state] if query.state else [],
        subject_id=query.subject_id,
        waiting_for=current_actor().id if query.waiting_for else None,
    )


@endpoint(blueprint, "GET", "/approvals/<request_id>", door=READERS, answers=ApprovalRequestSchema)
def show_request(session: Session, request_id: str) -> RequestView:
    """Answer one request with its steps and decisions."""
    return queries.one(session, request_id)


@endpoint(
    blueprint, "POST", "/approvals/<request_id>/decisions",
    door=DECIDERS, body=ApprovalVerdictSchema, answers=ApprovalRequestSchema, creates=True,
)  # fmt: skip
def decide(session: Session, request_id: str, body: Decision) -> RequestView:
    """Approve or reject; answers the request as it stands then. People only, each once a request."""
    outcome = decisions.decide(installed(), session, request_id, body, actor=current_actor())
    if isinstance(outcome, Refused):
        raise decisions.problem(outcome)
    return queries.one(session, request_id)


@endpoint(
    blueprint, "GET", "/approval-policies",
    door=RULE_READERS, query=NumberedPageQuerySchema, answers=listing(ApprovalPolicySchema),
)  # fmt: skip
def list_policies(session: Session, query: NumberedPageQuery) -> Page[ApprovalPolicy]:
    """List policies, newest first."""
    return page(session, sa.select(ApprovalPolicy), ApprovalPolicy.version, limit=query.limit, after=query.after)


@endpoint(
    blueprint, "POST", "/approval-policies",
    door=actors(Role.ADMIN, scope="rules:write"),
    body=ApprovalPolicyContentSchema, answers=ApprovalPolicySchema, status=201, creates=True,
)  # fmt: skip
def draft_policy(session: Session, body: PolicyContent) -> ApprovalPolicy:
    """Keep a new policy as a draft; another person activates it."""
    return policies.draft(installed(), session, {"chains": body.chains}, actor=current_actor())


@endpoint(blueprint, "GET", "/approval-policies/<int:version>", door=RULE_READERS, answers=ApprovalPolicySchema)
def show_policy(session: Session, version: int) -> ApprovalPolicy:
    """Answer one policy."""
    return versions.get(session, ApprovalPolicy, version)


@endpoint(
    blueprint, "POST", "/approval-policies/<int:version>/activate",
    door=actors(Role.ADMIN), answers=ApprovalPolicySchema,
)  # fmt: skip
def activate_policy(session: Session, version: int) -> ApprovalPolicy:
    """Make a draft the policy that new requests are routed by. Not for its author; no token activates."""
    return versions.activate(installed(), session, ApprovalPolicy, version, actor=current_actor())
