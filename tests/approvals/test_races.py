"""Decisions at the same moment, through connections of their own and with true commits."""

import threading
from collections.abc import Callable

import sqlalchemy as sa

from approvals import decisions
from approvals.deciding import Accepted, Refused, Verdict
from approvals.decisions import Decision
from approvals.models import ApprovalDecision, ApprovalPolicy, ApprovalRequest
from core.actors import Actor, ActorKind
from core.audit import AuditEntry, first_break
from core.runtime import Runtime
from tests.conftest import Caller

THREADS = 8


def rush(runtime: Runtime, request_id: str, words: list[tuple[str, Verdict]]) -> list[Accepted | Refused]:
    """Say every word at once, each trying on with the version it then sees until it is decided or refused for good."""
    outcomes: list[Accepted | Refused] = []
    barrier = threading.Barrier(len(words))

    def say(actor_id: str, verdict: Verdict) -> None:
        actor = Actor(ActorKind.STAFF, actor_id, roles=frozenset({"finance"}))
        barrier.wait()
        for version in (1, 2):
            with runtime.transaction() as session:
                outcome = decisions.decide(runtime, session, request_id, Decision(verdict, version), actor=actor)
            outcomes.append(outcome)

    threads = [threading.Thread(target=say, args=word) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_eight_threads_of_two_people_are_counted_as_two_people_and_end_in_one_outcome(
    runtime: Runtime, sign_in: Callable[..., Caller], open_request: Callable[..., str]
) -> None:
    with runtime.transaction() as session:
        finance = {"id": "finance", "approvers": {"role": "finance"}, "need": 2}
        policy = session.get_one(ApprovalPolicy, 0)
        policy.content = {"chains": [{"id": "default", "when": {}, "steps": [finance]}]}
    ann, bob = sign_in("finance").staff_id, sign_in("finance").staff_id
    for mixed in (False, True):
        request_id = open_request(f"pay_{mixed}")
        words = [
            (person, Verdict.REJECT if mixed and number % 4 == 3 else Verdict.APPROVE)
            for number in range(THREADS // 2)
            for person in (ann, bob)
        ]

        outcomes = rush(runtime, request_id, words)

        accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
        with runtime.reading() as session:
            request = session.get_one(ApprovalRequest, request_id)
            taken = session.scalars(
                sa.select(ApprovalDecision.actor_id).where(ApprovalDecision.request_id == request_id)
            ).all()
            verbs = session.scalars(sa.select(AuditEntry.verb).where(AuditEntry.subject_id == request_id)).all()
            assert first_break(session)[1] is None
        assert len(accepted) == len(taken) == len(set(taken)) == len(verbs) == request.version - 1
        assert [outcome.state.value for outcome in accepted].count(request.state) == 1
        assert request.state in ({"approved", "rejected"} if mixed else {"approved"})
