"""The HTTP door of what decides who decides: policies, groups, limits, delegations."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import groups
from access.roles import Role
from approvals import delegations, dry_run, limits, policies
from approvals.deciders import DECIDING_ROLES
from approvals.delegations import NewDelegation
from approvals.dry_run import DryRun
from approvals.models import ApprovalDelegation, ApprovalPolicy
from approvals.policy_schemas import (
    ApprovalPolicyContentSchema,
    ApprovalPolicySchema,
    DelegationQuery,
    DelegationQuerySchema,
    DelegationSchema,
    DryRunQuestion,
    DryRunQuestionSchema,
    DryRunSchema,
    EveryonesLimitsSchema,
    GroupsSchema,
    Limits,
    LimitsBodySchema,
    LimitsSchema,
    NewDelegationSchema,
    PolicyContent,
)
from core import versions
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.paging import Page, page
from core.http.wire import NumberedPageQuery, NumberedPageQuerySchema, listing
from core.runtime import installed

blueprint = Blueprint(
    "approval_rules",
    __name__,
    url_prefix="/api/v1",
    description="Who decides: policies in versions, groups, limits, delegations.",
)

READERS = actors(*DECIDING_ROLES, Role.AUDITOR, scope="rules:read")
DECIDERS = actors(*DECIDING_ROLES)
# People only: no token chooses who approves.
ADMINS = actors(Role.ADMIN)


@endpoint(
    blueprint, "GET", "/approval-policies",
    door=READERS, query=NumberedPageQuerySchema, answers=listing(ApprovalPolicySchema),
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
    """Keep a new policy as a draft, or name everything wrong with it at once; another person activates it."""
    return policies.draft(installed(), session, body.content, actor=current_actor())


@endpoint(blueprint, "GET", "/approval-policies/<int:version>", door=READERS, answers=ApprovalPolicySchema)
def show_policy(session: Session, version: int) -> ApprovalPolicy:
    """Answer one policy."""
    return versions.get(session, ApprovalPolicy, version)


@endpoint(blueprint, "POST", "/approval-policies/<int:version>/activate", door=ADMINS, answers=ApprovalPolicySchema)
def activate_policy(session: Session, version: int) -> ApprovalPolicy:
    """Make a draft the policy that new requests are routed by. Not for its author; no token activates."""
    return policies.activate(installed(), session, version, actor=current_actor())


@endpoint(
    blueprint, "POST", "/approval-policies/<int:version>/dry-run",
    door=READERS, body=DryRunQuestionSchema, answers=DryRunSchema, transaction=False,
)  # fmt: skip
def dry_run_policy(version: int, body: DryRunQuestion) -> DryRun:
    """Answer how a month's requests would have been routed by this version, and what differs; nothing is changed."""
    # It may read a whole month: no writer waits for it.
    with installed().reading() as session:
        return dry_run.run(session, version, body.period)


@endpoint(blueprint, "GET", "/approval-groups", door=READERS, answers=GroupsSchema)
def list_groups(session: Session) -> dict[str, object]:
    """List the groups that have a member."""
    return {"items": [_group(name, ids) for name, ids in groups.members(session).items()]}


@endpoint(blueprint, "PUT", "/approval-groups/<name>/members/<staff_id>", door=ADMINS, answers=GroupsSchema)
def add_to_group(session: Session, name: str, staff_id: str) -> dict[str, object]:
    """Put a person into a group, which is there from its first member on. Nobody adds himself."""
    groups.add(installed(), session, name, staff_id, actor=current_actor())
    return {"items": [_group(each, ids) for each, ids in groups.members(session).items() if each == name]}


@endpoint(blueprint, "DELETE", "/approval-groups/<name>/members/<staff_id>", door=ADMINS, status=204)
def remove_from_group(session: Session, name: str, staff_id: str) -> None:
    """Take a person out of a group."""
    groups.remove(installed(), session, name, staff_id, actor=current_actor())


@endpoint(blueprint, "GET", "/approval-limits", door=READERS, answers=EveryonesLimitsSchema)
def list_limits(session: Session) -> dict[str, object]:
    """List everybody who may approve by limit."""
    return {"items": [{"staff_id": who, "limits": each} for who, each in limits.everyone(session).items()]}


@endpoint(blueprint, "PUT", "/approval-limits/<staff_id>", door=ADMINS, body=LimitsBodySchema, answers=LimitsSchema)
def set_limits(session: Session, staff_id: str, body: Limits) -> dict[str, object]:
    """Give a person exactly these limits. Nobody sets his own."""
    kept = limits.replace(installed(), session, staff_id, body.limits, actor=current_actor())
    return {"staff_id": staff_id, "limits": kept}


@endpoint(
    blueprint, "GET", "/delegations", door=READERS, query=DelegationQuerySchema, answers=listing(DelegationSchema)
)  # fmt: skip
def list_delegations(session: Session, query: DelegationQuery) -> Page[ApprovalDelegation]:
    """List delegations, newest first."""
    statement = sa.select(ApprovalDelegation)
    if query.staff_id is not None:
        ends = (ApprovalDelegation.from_id, ApprovalDelegation.to_id)
        statement = statement.where(sa.or_(*(end == query.staff_id for end in ends)))
    return page(session, statement, ApprovalDelegation.id, limit=query.limit, after=query.after)


@endpoint(
    blueprint, "POST", "/delegations",
    door=DECIDERS, body=NewDelegationSchema, answers=DelegationSchema, status=201, creates=True,
)  # fmt: skip
def delegate(session: Session, body: NewDelegation) -> ApprovalDelegation:
    """Let another decide for oneself between two moments; `out_of_office` is one, too."""
    return delegations.create(installed(), session, body, actor=current_actor())


@endpoint(blueprint, "POST", "/delegations/<delegation_id>/revoke", door=DECIDERS, answers=DelegationSchema)
def revoke_delegation(session: Session, delegation_id: str) -> ApprovalDelegation:
    """End a delegation now."""
    return delegations.revoke(installed(), session, delegation_id, actor=current_actor())


def _group(name: str, ids: frozenset[str]) -> dict[str, object]:
    return {"name": name, "member_ids": sorted(ids)}
