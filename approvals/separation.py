"""Who may not decide a request: its creator, whoever edited the payee's account, whoever released it.

The database refuses the same by triggers (migration 0014): what is asked here gives the refusal its words.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals.models import ApprovalRequest, ApprovalVoice
from partners.models import PayeeEdit

# Whoever changed the account does not approve what goes to it.
PAYEE_EDITOR_BARRED_FOR = timedelta(days=30)


def barred(session: Session, requests: Iterable[ApprovalRequest]) -> Mapping[str, frozenset[str]]:
    """Return by request id the ids of those who may not decide it, those who edited the account since included."""
    found = list(requests)
    affiliate_ids = {request.facts.get("affiliate_id") for request in found} - {None}
    edits: defaultdict[str, list[PayeeEdit]] = defaultdict(list)
    if affiliate_ids:
        for edit in session.scalars(sa.select(PayeeEdit).where(PayeeEdit.affiliate_id.in_(affiliate_ids))):
            edits[edit.affiliate_id].append(edit)
    return {
        request.id: frozenset(request.barred)
        | {
            edit.edited_by
            for edit in edits.get(str(request.facts.get("affiliate_id")), [])
            if edit.edited_at > request.created_at - PAYEE_EDITOR_BARRED_FOR
        }
        for request in found
    }


def voices(session: Session, request_ids: Collection[str]) -> frozenset[str]:
    """Return the ids of all who have had a say in these requests, as themselves or as principals."""
    statement = sa.select(ApprovalVoice.human_id).where(ApprovalVoice.request_id.in_(request_ids)).distinct()
    return frozenset(session.scalars(statement))
