"""Many decisions at once, over a frozen list: what was shown still holds, or nothing happens at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from approvals import decisions
from approvals.deciding import Refused, RequestState, Verdict
from approvals.decisions import Decision
from approvals.models import ApprovalRequest
from core.actors import Actor
from core.errors import Conflict, Fault, Invalid
from core.money import Money
from core.runtime import Runtime

IDS_MAX = 500


@dataclass(frozen=True)
class BulkDecision:
    """One word about `ids`: `count` and `sums`, one a currency, are what the person saw of them."""

    ids: Sequence[str]
    verdict: Verdict
    count: int
    sums: Sequence[Money]
    comment: str | None = None


@dataclass(frozen=True)
class Result:
    """What came of one of them: the state it is in now, and why the word was not taken where it was not."""

    id: str
    state: str
    refused: str | None = None
    detail: str | None = None


def decide(runtime: Runtime, session: Session, bulk: BulkDecision, *, actor: Actor) -> list[Result]:
    """Decide each of the named requests, in their order, and return each one's own result.

    Raise Conflict, with nothing decided, when those still open are no longer `count` and `sums`; Invalid for a list
    that names one twice or what is no request.
    """
    found = _locked(session, bulk)
    still_open = [request for request in found.values() if request.state == RequestState.OPEN]
    sums = _sums(still_open)
    wanted = {money.currency: money.amount_minor for money in bulk.sums}
    if len(wanted) < len(bulk.sums):
        raise Invalid.of(Fault("sums", "takes one amount a currency"))
    if len(still_open) != bulk.count or sums != wanted:
        now = " and ".join(str(Money(amount, currency)) for currency, amount in sorted(sums.items())) or "nothing"
        message = f"of these {len(still_open)} are open now, {now} in all: look again, nothing was decided"
        raise Conflict(message, slug="bulk-changed")
    return [_one(runtime, session, found[request_id], bulk, actor=actor) for request_id in bulk.ids]


def _locked(session: Session, bulk: BulkDecision) -> Mapping[str, ApprovalRequest]:
    # In one order for everybody, so that two bulk decisions never wait crosswise.
    statement = (
        sa.select(ApprovalRequest)
        .where(ApprovalRequest.id.in_(bulk.ids))
        .order_by(ApprovalRequest.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = {request.id: request for request in session.scalars(statement)}
    faults = [
        Fault(f"ids.{position}", "is no approval request" if request_id not in found else "stands here twice")
        for position, request_id in enumerate(bulk.ids)
        if request_id not in found or request_id in bulk.ids[:position]
    ]
    if faults:
        raise Invalid.of(*faults)
    return found


def _sums(requests: Sequence[ApprovalRequest]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for request in requests:
        sums[request.currency] = sums.get(request.currency, 0) + request.amount_minor
    return sums


def _one(runtime: Runtime, session: Session, request: ApprovalRequest, bulk: BulkDecision, *, actor: Actor) -> Result:
    decision = Decision(bulk.verdict, request.version, bulk.comment, request.content_hash)
    outcome = decisions.decide(runtime, session, request.id, decision, actor=actor)
    if isinstance(outcome, Refused):
        slug = outcome.reason.value.replace("_", "-")
        return Result(request.id, request.state, slug, decisions.IN_WORDS[outcome.reason])
    return Result(request.id, outcome.state)
