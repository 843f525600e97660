"""Decisions at the same moment, through connections of their own and with true commits."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from approvals import decisions
from approvals.deciding import Accepted, Refused, Verdict
from approvals.decisions import Decision
from approvals.models import ApprovalDecision, ApprovalPolicy, ApprovalRequest, ApprovalVoice
from core.actors import Actor, ActorKind
from core.audit import AuditEntry, first_break
from core.runtime import Runtime
from tests.conftest import Caller

THREADS = 8
MANY = 16
REQUESTS = 6


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


def at_once(work: Callable[[int], None]) -> None:
    """Do `work` for MANY numbers, each in a thread of its own, all beginning together; none may raise."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(MANY)

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - shown below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_sixteen_threads_at_the_same_requests_decide_each_once_with_exactly_its_quorum(
    runtime: Runtime,
    sign_in: Callable[..., Caller],
    open_request: Callable[..., str],
    use_steps: Callable[..., None],
    step: Callable[..., dict[str, Any]],
) -> None:
    use_steps(step("finance", need=2))
    people = [sign_in("finance").staff_id for _ in range(MANY)]
    ids = [open_request(f"pay_{number}") for number in range(REQUESTS)]
    accepted: list[tuple[str, str, str]] = []

    def decide_all(number: int) -> None:
        actor = Actor(ActorKind.STAFF, people[number], roles=frozenset({"finance"}))
        # Every fourth rejects, and each begins elsewhere, so that all meet at every request.
        verdict = Verdict.REJECT if number % 4 == 3 else Verdict.APPROVE
        for at in range(REQUESTS):
            request_id = ids[(at + number) % REQUESTS]
            for version in (1, 2):
                with runtime.transaction() as session:
                    outcome = decisions.decide(runtime, session, request_id, Decision(verdict, version), actor=actor)
                if isinstance(outcome, Accepted):
                    accepted.append((request_id, verdict, outcome.state))

    at_once(decide_all)

    with runtime.reading() as session:
        assert first_break(session)[1] is None
        for request_id in ids:
            request = session.get_one(ApprovalRequest, request_id)
            verdicts = Counter(each.verdict for each in request.decisions)
            assert request.state in {"approved", "rejected"}
            assert verdicts["approve"] == 2 if request.state == "approved" else verdicts["reject"] == 1
            assert sum(verdicts.values()) <= 2
            heard = session.scalars(
                sa.select(ApprovalVoice.human_id).where(ApprovalVoice.request_id == request_id)
            ).all()
            assert len(heard) == sum(verdicts.values()) == request.version - 1
        ends = [state for _, _, state in accepted if state != "open"]
        assert len(ends) == REQUESTS


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_naive_way_approves_more_than_once(runtime: Runtime) -> None:
    """The control: read, then write, without lock, unique key or condition; the test above would fail on it."""
    with runtime.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE naive (request_id int, person int)"))
    approvals = Counter[int]()
    lock = threading.Lock()
    all_have_read = threading.Barrier(MANY)

    def approve_all(number: int) -> None:
        for request_id in range(REQUESTS):
            with runtime.engine.begin() as connection:
                count = connection.execute(
                    sa.text("SELECT count(*) FROM naive WHERE request_id = :id"), {"id": request_id}
                ).scalar_one()
                all_have_read.wait()
                if count < 2:
                    connection.execute(
                        sa.text("INSERT INTO naive VALUES (:id, :person)"), {"id": request_id, "person": number}
                    )
                    with lock:
                        approvals[request_id] += 1

    at_once(approve_all)

    assert set(approvals.values()) == {MANY}
