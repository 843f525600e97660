"""Sixteen threads pay the same two hundred payouts through connections of their own, with true commits."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

import sqlalchemy as sa
from lxml import etree

from approvals import decisions
from approvals.deciding import Verdict
from approvals.decisions import Decision
from approvals.models import ApprovalRequest
from core.actors import Actor, ActorKind
from core.audit import first_break
from core.errors import Problem
from core.runtime import Runtime
from payouts import batches, jobs, releasing, settlement
from payouts.batches import NewBatch
from payouts.models import Batch, BatchItem, Payout
from tests.conftest import Caller
from tests.payouts import filling
from tests.payouts.books import Books

THREADS = 16
PAYOUTS = 200


def at_once(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run `work` with each number in a thread of its own, all begun together."""
    together = threading.Barrier(threads)

    def begin(number: int) -> None:
        together.wait(30)
        work(number)

    running = [threading.Thread(target=begin, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(110)


def attempt(act: Callable[[], object]) -> None:
    """Do it; that somebody was quicker, or the database busy, is the other possible end."""
    try:
        act()
    except Problem:
        return


def test_each_payout_is_approved_gathered_and_sent_once_whoever_is_quicker(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller]
) -> None:
    count = PAYOUTS if runtime.engine.dialect.name == "postgresql" else PAYOUTS // 10
    people = [sign_in("finance").staff_id for _ in range(4)]
    filling.affiliates(runtime, [f"aff_r{number:03}" for number in range(count)])
    filling.accruals(runtime, [(f"aff_r{number:03}", 100 + number) for number in range(count)])
    jobs.bundle("2026-10")
    with runtime.reading() as session:
        request_ids = list(session.scalars(sa.select(ApprovalRequest.id)))

    def work(number: int) -> None:
        actor = Actor(ActorKind.STAFF, people[number % len(people)], roles=frozenset({"finance"}))
        chance = random.Random(number)  # noqa: S311 - seeded, not secret
        for request_id in chance.sample(request_ids, len(request_ids)):
            attempt(partial(_decide, runtime, request_id, actor))
            if chance.random() < 0.2:
                attempt(partial(_take, runtime))
            if chance.random() < 0.1:
                attempt(partial(_gather, runtime, actor))
            if chance.random() < 0.02:  # each tries every batch there is
                _release_all(runtime, actor)

    at_once(work)
    jobs.settle()
    attempt(partial(_gather, runtime, Actor(ActorKind.STAFF, people[0])))
    # Whoever had a say in a payout may not release it: what is left goes by somebody who had none.
    for person in [*people, "stf_no_say"]:
        _release_all(runtime, Actor(ActorKind.STAFF, person))

    with runtime.reading() as session:
        states = Counter(session.scalars(sa.select(Payout.state)))
        live = Counter(session.scalars(sa.select(BatchItem.payout_id).where(BatchItem.state == "live")))
        files = list(session.scalars(sa.select(Batch.file_content).where(Batch.file_content.is_not(None))))
        assert first_break(session)[1] is None
    paid = Counter(
        each.text
        for file in files
        for each in etree.fromstring(file or b"").iter("{urn:iso:std:iso:20022:tech:xsd:pain.001.001.03}EndToEndId")
    )
    assert states == {"sent": count}
    assert len(live) == count
    assert set(live.values()) == {1}
    assert (len(paid), set(paid.values())) == (count, {1})
    total = sum(100 + number for number in range(count))
    assert books.balances() == {"expense:filled": total, "clearing:payouts": -total}


def test_the_control_that_looks_and_then_writes_pays_twice(runtime: Runtime, books: Books) -> None:
    filling.affiliates(runtime, ["aff_n"])
    filling.accruals(runtime, [("aff_n", 100)])
    jobs.bundle("2026-10")
    paid: list[str] = []
    looked = threading.Barrier(2)

    def pay(_number: int) -> None:
        with runtime.reading() as session:
            ready = list(session.scalars(sa.select(Payout.id).where(Payout.state == "pending")))
        looked.wait(30)
        for payout_id in ready:
            with runtime.transaction() as session:
                # No condition on the state that was seen: the mistake that our own code does not make.
                session.execute(sa.update(Payout).where(Payout.id == payout_id).values(state="sent"))
            paid.append(payout_id)

    at_once(pay, threads=2)

    assert len(paid) == 2
    assert len(set(paid)) == 1


def _decide(runtime: Runtime, request_id: str, actor: Actor) -> None:
    with runtime.transaction() as session:
        decisions.decide(runtime, session, request_id, Decision(Verdict.APPROVE, 1), actor=actor)


def _take(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        settlement.take_finished(runtime, session)


def _gather(runtime: Runtime, actor: Actor) -> None:
    with runtime.transaction() as session:
        batches.create(runtime, session, NewBatch("sepa", "EUR"), actor=actor)


def _building(runtime: Runtime) -> list[tuple[str, int]]:
    with runtime.reading() as session:
        found = session.execute(sa.select(Batch.id, Batch.version).where(Batch.state == "building"))
        return [(row[0], row[1]) for row in found]


def _release(runtime: Runtime, actor: Actor, batch_id: str, version: int) -> None:
    with runtime.transaction() as session:
        releasing.release(runtime, session, batch_id, version=version, actor=actor)


def _release_all(runtime: Runtime, actor: Actor) -> None:
    for batch_id, version in _building(runtime):
        attempt(partial(_release, runtime, actor, batch_id, version))
