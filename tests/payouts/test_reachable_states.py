"""Whatever is done in whatever order, every cent accrued stands in one place, and the books say the same."""

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from core.actors import Actor, ActorKind
from core.errors import Problem
from ledger.models import JournalEntry, JournalLine
from payouts import acts, balances, batches, bundling, jobs, moving, outcomes, releasing
from payouts.batches import NewBatch
from payouts.models import Accrual, Batch, BatchItem, Payout
from payouts.states import ItemState, PayoutState
from postback.models import Conversion
from tests.conftest import EXAMPLES_TIMES
from tests.payouts.books import Books

GATHERER, RELEASER = Actor(ActorKind.STAFF, "stf_gathers"), Actor(ActorKind.STAFF, "stf_releases")
BANK = "DE02120300000000202051"
PAID = {PayoutState.SETTLED}
LEFT = {PayoutState.SENT, PayoutState.UNKNOWN, PayoutState.SETTLED}


class Payments(RuleBasedStateMachine):
    """Two affiliates of its own for each run; `books` is set on a class made for the test."""

    books: ClassVar[Books]
    runs: ClassVar[Iterator[int]]
    reached: ClassVar[set[str]]

    def __init__(self) -> None:
        super().__init__()
        self.run = next(self.runs)
        self.names = [f"aff_s{self.run}x{number}" for number in range(2)]
        self.conversions: list[str] = []
        for name in self.names:
            self.books.affiliate(name)

    @rule(which=st.integers(0, 1), minor=st.integers(1, 5000))
    def accrue(self, which: int, minor: int) -> None:
        name = f"cnv_s{self.run}x{len(self.conversions)}"
        self.conversions.append(name)
        self.books.conversion(name, affiliate_id=self.names[which], payout_minor=minor)
        jobs.accrue()

    @precondition(lambda self: self.conversions)
    @rule(chance=st.integers(0, 99))
    def refund(self, chance: int) -> None:
        conversion_id = self.conversions[chance % len(self.conversions)]
        self.books.change(Conversion, conversion_id, state="reversed", is_accrual_due=True)
        jobs.accrue()

    @rule(which=st.integers(0, 1))
    def bundle_one(self, which: int) -> None:
        with self.books.runtime.transaction() as session:
            bundling.bundle(self.books.runtime, session, self.names[which], period="2026-10")

    @rule()
    def approve(self) -> None:
        if not self._in(PayoutState.PENDING):
            self.bundle_one(0)
            self.bundle_one(1)
        for payout_id in self._in(PayoutState.PENDING):
            with self.books.runtime.transaction() as session:
                payout = moving.locked(session, payout_id)
                moving.move(self.books.runtime, session, payout, PayoutState.APPROVED, reason="seen", actor=GATHERER)

    @rule()
    def pay_all(self) -> None:
        """Do in one step what would else rarely come together: most of what can go wrong comes after it."""
        self.gather()
        self.send()

    @rule()
    def gather(self) -> None:
        if not self._in(PayoutState.APPROVED):
            self.approve()
        ids = self._in(PayoutState.APPROVED)
        if ids:
            self._try(lambda session: batches.create(
                self.books.runtime, session, NewBatch("sepa", "EUR", ids), actor=GATHERER
            ))  # fmt: skip

    @rule()
    def send(self) -> None:
        for batch in self._batches("building"):
            self._try(lambda session, batch=batch: releasing.release(
                self.books.runtime, session, batch.id, version=batch.version, actor=RELEASER
            ))  # fmt: skip

    @rule()
    def give_up_a_batch(self) -> None:
        for batch in self._batches("building"):
            self._try(lambda session, batch=batch: batches.cancel(
                self.books.runtime, session, batch.id, version=batch.version, actor=GATHERER
            ))  # fmt: skip

    @rule(chance=st.integers(0, 99), words=st.permutations(["settle", "fail", "return", "unknown"]))
    def answer(self, chance: int, words: list[str]) -> None:
        if not self._in(PayoutState.SENT):
            self.pay_all()
        with self.books.runtime.reading() as session:
            ids = [item.end_to_end_id for item in session.scalars(self._items())]
        for place, word in enumerate(words[: len(ids)]):
            with self.books.runtime.transaction() as session:
                found = sa.select(BatchItem).where(BatchItem.end_to_end_id == ids[(chance + place) % len(ids)])
                self._answer(session, session.scalars(found).one(), word)

    @rule(chance=st.integers(0, 99), act=st.sampled_from(["retry", "cancel"]))
    def act(self, chance: int, act: str) -> None:
        with self.books.runtime.reading() as session:
            found = list(session.scalars(sa.select(Payout).where(self._ours()).order_by(Payout.id)))
        if found:
            payout = found[chance % len(found)]
            do = acts.retry if act == "retry" else acts.cancel
            self._try(lambda session: do(
                self.books.runtime, session, payout.id, version=payout.version, reason="said", actor=GATHERER
            ))  # fmt: skip

    @invariant()
    def every_cent_stands_in_one_place(self) -> None:
        with self.books.runtime.reading() as session:
            for name in self.names:
                accrued = _sum(session, Accrual, Accrual.affiliate_id == name)
                in_payouts = {
                    payout.id: payout for payout in session.scalars(sa.select(Payout).where(
                        Payout.affiliate_id == name,
                        Payout.state.not_in((PayoutState.REJECTED, PayoutState.CANCELLED)),
                    ))
                }  # fmt: skip
                self.reached.update(payout.state for payout in in_payouts.values())
                # The amount of a payout is the sum of its accruals, in every state.
                for payout in in_payouts.values():
                    assert payout.amount_minor == _sum(session, Accrual, Accrual.payout_id == payout.id)
                free = sa.and_(Accrual.affiliate_id == name, Accrual.payout_id.is_(None))
                payouts_minor = sum(payout.amount_minor for payout in in_payouts.values())
                assert accrued == payouts_minor + _sum(session, Accrual, free)
                [balance] = balances.balances(session, name, today=self.books.runtime.clock().date())
                paid = sum(payout.amount_minor for payout in in_payouts.values() if payout.state in PAID)
                assert (balance.accrued, balance.paid) == (accrued, paid)
                assert accrued == balance.held + balance.payable + balance.in_payout + balance.paid
                # What the books owe is what was accrued and has not left.
                left = sum(payout.amount_minor for payout in in_payouts.values() if payout.state in LEFT)
                assert -_sum(session, JournalLine, JournalLine.affiliate_id == name) == accrued - left

    @invariant()
    def what_is_on_its_way_stands_in_clearing(self) -> None:
        with self.books.runtime.reading() as session:
            on_the_way = _sum(session, BatchItem, sa.and_(
                BatchItem.state == ItemState.LIVE,
                BatchItem.batch_id.in_(sa.select(Batch.id).where(Batch.released_at.is_not(None))),
            ))  # fmt: skip
            assert -_sum(session, JournalLine, JournalLine.account == "clearing:payouts") == on_the_way
            off = (
                sa.select(JournalEntry.id).join(JournalLine).group_by(JournalEntry.id)
                .having(sa.func.sum(JournalLine.amount_minor) != 0)
            )  # fmt: skip
            assert session.execute(off).all() == []

    @invariant()
    def no_payout_is_paid_twice(self) -> None:
        with self.books.runtime.reading() as session:
            standing = session.execute(
                sa.select(BatchItem.payout_id, sa.func.count())
                .where(BatchItem.state.in_((ItemState.LIVE, ItemState.SETTLED)))
                .group_by(BatchItem.payout_id)
                .having(sa.func.count() > 1)
            ).all()
        assert standing == []

    def _answer(self, session: Any, item: BatchItem, word: str) -> None:
        runtime, day = self.books.runtime, self.books.runtime.clock().date()
        if word == "settle":
            outcomes.settle(runtime, session, item, bank_line_id=None, bank_account=BANK, settled_on=day)
        elif word == "fail":
            outcomes.fail(runtime, session, item, reason="said", failed_on=day)
        elif word == "return":
            outcomes.take_back(runtime, session, item, reason="said", returned_on=day, bank_account=BANK)
        else:
            outcomes.lose(runtime, session, item, reason="said")

    def _ours(self) -> sa.ColumnElement[bool]:
        return Payout.affiliate_id.in_(self.names)

    def _in(self, state: PayoutState) -> list[str]:
        with self.books.runtime.reading() as session:
            found = sa.select(Payout.id).where(self._ours(), Payout.state == state).order_by(Payout.id)
            return list(session.scalars(found))

    def _batches(self, state: str) -> list[Batch]:
        with self.books.runtime.reading() as session:
            of_ours = sa.select(BatchItem.batch_id).join(Payout).where(self._ours())
            return list(session.scalars(sa.select(Batch).where(Batch.id.in_(of_ours), Batch.state == state)))

    def _items(self) -> sa.Select[BatchItem]:
        standing = BatchItem.state.in_((ItemState.LIVE, ItemState.SETTLED))
        return sa.select(BatchItem).join(Payout).where(self._ours(), standing).order_by(BatchItem.end_to_end_id)

    def _try(self, do: Any) -> None:
        try:
            with self.books.runtime.transaction() as session:
                do(session)
        except Problem:
            return


def _sum(session: Any, table: type[Any], condition: sa.ColumnElement[bool]) -> int:
    return int(session.scalar(sa.select(sa.func.coalesce(sa.func.sum(table.amount_minor), 0)).where(condition)))


@pytest.fixture
def quick(books: Books) -> Books:
    """The books, without waiting for the disk: this is about what is written, not whether it lasts."""
    if books.runtime.engine.dialect.name == "sqlite":
        with books.runtime.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
    return books


@pytest.mark.timeout(500)
def test_in_every_reachable_state_the_money_adds_up(quick: Books) -> None:
    reached: set[str] = set()
    of_books = {"books": quick, "runs": iter(range(1_000_000)), "reached": reached}
    run_state_machine_as_test(
        type("PaymentsOnTheseBooks", (Payments,), of_books),
        settings=settings(
            max_examples=12 * EXAMPLES_TIMES, stateful_step_count=40, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip

    # What chance brings differs with every change here; a run that sends nothing, or gets no answer, shows nothing.
    assert reached >= LEFT | {PayoutState.FAILED, PayoutState.RETURNED}
