"""The HTTP door of approvals: requests, decisions, what else people do to a request."""

from sqlalchemy.orm import Session

from access.roles import Role
from approvals import acts, bulk_decisions, decisions, queries
from approvals.acts import Reassignment
from approvals.bulk_decisions import BulkDecision
from approvals.deciders import DECIDING_ROLES
from approvals.deciding import Refused
from approvals.decisions import Decision, ForcedDecision
from approvals.models import ApprovalComment, ApprovalRequest
from approvals.queries import RequestView
from approvals.schemas import (
    ApprovalQuery,
    ApprovalQuerySchema,
    ApprovalRequestSchema,
    ApprovalVerdictSchema,
    BulkDecisionSchema,
    BulkResultsSchema,
    CommentSchema,
    CommentsSchema,
    ForcedDecisionSchema,
    NewComment,
    NewCommentSchema,
    ReassignmentSchema,
)
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page
from core.http.wire import listing
from core.rows import existing
from core.runtime import installed

blueprint = Blueprint(
    "approvals",
    __name__,
    url_prefix="/api/v1",
    description="Rules choose a chain, people decide, the decision is bound to what was decided.",
)

READERS = actors(*DECIDING_ROLES, Role.AUDITOR, scope="approvals:read")
DECIDERS = actors(*DECIDING_ROLES)


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
        now=installed().clock(),
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
    blueprint, "POST", "/approvals/bulk",
    door=DECIDERS, body=BulkDecisionSchema, answers=BulkResultsSchema, creates=True,
)  # fmt: skip
def decide_many(session: Session, body: BulkDecision) -> dict[str, object]:
    """Decide many at once; 409 and nothing happens when those still open are no longer the count and sums sent.

    Each is decided one by one, with its own result.
    """
    return {"results": bulk_decisions.decide(installed(), session, body, actor=current_actor())}


@endpoint(
    blueprint, "POST", "/approvals/<request_id>/force",
    door=actors(Role.ADMIN), body=ForcedDecisionSchema, answers=ApprovalRequestSchema, creates=True,
)  # fmt: skip
def force(session: Session, request_id: str, body: ForcedDecision) -> RequestView:
    """Say an admin's word at a step that does not name him, with a reason.

    It counts as one person's: separation of duties and the step's quorum hold as ever.
    """
    outcome = decisions.force(installed(), session, request_id, body, actor=current_actor())
    if isinstance(outcome, Refused):
        raise decisions.problem(outcome)
    return queries.one(session, request_id)


@endpoint(
    blueprint, "POST", "/approvals/<request_id>/reassign",
    door=DECIDERS, body=ReassignmentSchema, answers=ApprovalRequestSchema, creates=True,
)  # fmt: skip
def reassign(session: Session, request_id: str, body: Reassignment) -> RequestView:
    """Put one person in another's place at a step, with a reason: one's own place, or any as an admin."""
    acts.reassign(installed(), session, request_id, body, actor=current_actor())
    return queries.one(session, request_id)


@endpoint(blueprint, "GET", "/approvals/<request_id>/comments", door=READERS, answers=CommentsSchema)
def list_comments(session: Session, request_id: str) -> dict[str, object]:
    """List what was said about a request."""
    existing(session, ApprovalRequest, request_id)
    return {"items": queries.comments(session, request_id)}


@endpoint(
    blueprint, "POST", "/approvals/<request_id>/comments",
    door=DECIDERS, body=NewCommentSchema, answers=CommentSchema, status=201, creates=True,
)  # fmt: skip
def comment(session: Session, request_id: str, body: NewComment) -> ApprovalComment:
    """Say something about a request without deciding it."""
    return acts.comment(installed(), session, request_id, body.text, actor=current_actor())
