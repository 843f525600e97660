"""What waits for one person: as an approver of an open step, or for somebody who has delegated to him."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import delegations
from approvals.deciding import RequestState, StepState
from approvals.delegating import Delegation
from approvals.models import ApprovalRequest, ApprovalStep, ApprovalVoice

# Of one principal, where a delegation has a scope or a limit that no database knows how to ask.
_LOOKED_THROUGH_MAX = 5000


def waits_for(session: Session, staff_id: str, now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition on requests that the person may decide at `now`."""
    ways = [_names(staff_id)]
    ways += [_for_principal(session, each) for each in delegations.of(session, staff_id, now)]
    return sa.and_(ApprovalRequest.state == RequestState.OPEN, _is_free(staff_id), sa.or_(*ways))


def _for_principal(session: Session, delegation: Delegation) -> sa.ColumnElement[bool]:
    principal = sa.and_(_names(delegation.from_id), _is_free(delegation.from_id))
    if not delegation.scope and delegation.limit is None:
        return principal
    rows = session.execute(
        sa.select(ApprovalRequest.id, ApprovalRequest.facts)
        .where(ApprovalRequest.state == RequestState.OPEN, principal)
        .order_by(ApprovalRequest.id)
        .limit(_LOOKED_THROUGH_MAX)
    )
    return ApprovalRequest.id.in_([row.id for row in rows if delegation.covers(row.facts)])


def _names(staff_id: str) -> sa.ColumnElement[bool]:
    """Return the condition that an active step names the person, as its policy resolved him or added later."""
    return sa.exists().where(
        ApprovalStep.request_id == ApprovalRequest.id,
        ApprovalStep.state == StepState.ACTIVE,
        sa.or_(*(_holds(column, staff_id) for column in (ApprovalStep.approver_ids, ApprovalStep.added))),
    )


def _is_free(staff_id: str) -> sa.ColumnElement[bool]:
    """Return the condition that the person has not had his say and is not barred."""
    has_spoken = sa.exists().where(ApprovalVoice.request_id == ApprovalRequest.id, ApprovalVoice.human_id == staff_id)
    return sa.and_(~has_spoken, ~_holds(ApprovalRequest.barred, staff_id))


def _holds(column: sa.orm.InstrumentedAttribute[Any], staff_id: str) -> sa.ColumnElement[bool]:
    # JSON read as text, quotes and all: the same on both databases, and open requests are few. `added` holds ids as
    # keys, and as the ends of words that carry no quote before them.
    return sa.cast(column, sa.Text).contains(f'"{staff_id}"', autoescape=True)
