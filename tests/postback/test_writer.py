"""Group commit in its thread: who shares a commit, who is refused, and who is never acknowledged and lost."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from core.errors import Unavailable
from core.runtime import Runtime
from partners import secrets
from postback import door as doors
from postback import writer as writers
from postback.answers import Status
from postback.beliefs import Recorded
from postback.door import Door
from postback.intake import Kept, Write
from postback.models import Conversion
from postback.writer import Ticket, Writer
from tests.conftest import Answer, PostgresqlDatabases
from tests.postback.conftest import TESTS, Network, Stored, secret_ids
from tests.postback.lines import (
    PATIENCE_S,
    batches,
    blocked_statements,
    nobody_can_write,
    poisoned,
    unsendable,
    until,
    waiting_write,
)
from web.app import DOOR

Wait = Callable[..., Write]


@pytest.fixture
def door(runtime: Runtime) -> Iterator[Door]:
    """A door whose writer nobody else uses."""
    door = Door(lambda: runtime)
    yield door
    door.close()


@pytest.fixture
def write(runtime: Runtime, door: Door, network: Network) -> Wait:
    """Return a believed postback that waits to be written: `write(transaction_id="T1")`."""
    return lambda **changes: waiting_write(runtime, door, network, **changes)


class Waiters:
    """Stands for the doors: takes places in the line and hears what came of them."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._told = threading.Semaphore(0)
        self._heard = 0
        self.tickets: list[Ticket] = []

    def submit(self, write: Write) -> Ticket:
        """Take a place."""
        ticket = self._writer.submit(write, self._deliver)
        self.tickets.append(ticket)
        return ticket

    def outcomes(self) -> list[object]:
        """Wait until all have heard, and return what."""
        for _ in self.tickets[self._heard :]:
            assert self._told.acquire(timeout=PATIENCE_S)
        self._heard = len(self.tickets)
        return [ticket.outcome for ticket in self.tickets]

    def _deliver(self, tickets: list[Ticket]) -> None:
        self._told.release(len(tickets))


def statuses(outcomes: list[object]) -> list[object]:
    """Return the status of each outcome, the outcome itself where it has none."""
    return [outcome.status if isinstance(outcome, Recorded) else outcome for outcome in outcomes]


def is_asked_to_come_back(answer: Answer) -> bool:
    """Say whether the sender hears 503 and when to try again."""
    return (answer.status_code, answer.data, answer.headers["Retry-After"]) == (503, b'{"status": "unavailable"}', "5")


def test_all_that_gathers_while_one_batch_commits_shares_the_next_commit(
    door: Door, write: Wait, stored: Stored, runtime: Runtime
) -> None:
    commits: list[object] = []
    sa.event.listen(runtime.engine, "commit", commits.append)
    waiters, before = Waiters(door.writer), batches()

    with nobody_can_write(runtime):
        waiters.submit(write(transaction_id="T0"))
        until(lambda: batches()[0] == before[0] + 1, "the first batch waits for the lock")
        for number in range(1, 101):
            waiters.submit(write(transaction_id=f"T{number}"))

    assert statuses(waiters.outcomes()) == [Status.UNMATCHED] * 101
    assert (batches()[0] - before[0], batches()[1] - before[1], len(commits)) == (2, 101, 2)
    assert len(stored.conversions()) == len(stored.receipts()) == len(stored.events()) == 101


def test_rows_that_cannot_be_written_are_split_off_and_refused_alone(
    door: Door, write: Wait, stored: Stored, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    waiters = Waiters(door.writer)
    writes = [write(transaction_id=f"T{number}") for number in range(20)]
    for place in (0, 7, 19):
        writes[place] = poisoned(writes[place])
    writes[12] = unsendable(writes[12])

    with nobody_can_write(runtime):
        for each in writes:
            waiters.submit(each)
    outcomes = waiters.outcomes()

    assert [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Unavailable)] == [0, 7, 12, 19]
    assert statuses(outcomes).count(Status.UNMATCHED) == 16
    assert len(stored.conversions()) == len(stored.receipts()) == len(stored.events()) == 16
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == ["postback not written"] * 4
    assert "click_id" not in caplog.text


def test_a_refused_row_of_a_receipt_takes_no_belief_with_it(door: Door, write: Wait, stored: Stored) -> None:
    waiters = Waiters(door.writer)

    waiters.submit(Write("src_none", None, row={"id": None}))
    waiters.submit(write())

    outcomes = waiters.outcomes()
    assert isinstance(outcomes[0], Unavailable)
    assert statuses(outcomes[1:]) == [Status.UNMATCHED]
    assert len(stored.conversions()) == 1


def test_a_full_line_says_so_at_once_and_whoever_stands_in_it_is_still_written(
    network: Network, stored: Stored, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "WAITING_MAX", 3)
    door: Door = network.client.application.extensions[DOOR]
    network.send(transaction_id="T0")
    before = batches()

    with ThreadPoolExecutor(4) as threads:
        with nobody_can_write(runtime):
            early = [threads.submit(network.send, transaction_id="T1")]
            until(lambda: batches()[0] == before[0] + 1, "one is being written")
            early += [threads.submit(network.send, transaction_id=f"T{number}") for number in (2, 3, 4)]
            until(lambda: len(door.writer._waiting) == 3, "three wait")
            turned_away = network.send(transaction_id="T5")
        answers = [each.result() for each in early]

    assert is_asked_to_come_back(turned_away)
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [row.transaction_id for row in stored.conversions()] == ["T0", "T1", "T2", "T3", "T4"]
    assert network.send(transaction_id="T5").json["status"] == "unmatched"


def test_who_has_left_the_line_is_not_begun_and_harms_nobody(
    door: Door, write: Wait, stored: Stored, runtime: Runtime
) -> None:
    waiters, before = Waiters(door.writer), batches()

    with nobody_can_write(runtime):
        waiters.submit(write(transaction_id="T1"))
        until(lambda: batches()[0] == before[0] + 1, "the first is being written")
        gone = door.writer.submit(write(transaction_id="T2"), lambda _: None)
        waiters.submit(write(transaction_id="T3"))
        gone.is_abandoned = True

    assert statuses(waiters.outcomes()) == [Status.UNMATCHED] * 2
    assert gone.outcome is None
    assert [row.transaction_id for row in stored.conversions()] == ["T1", "T3"]


def test_a_waiter_that_cannot_be_told_does_not_end_the_writer(door: Door, write: Wait, stored: Stored) -> None:
    def gone(_tickets: list[Ticket]) -> None:
        message = "the loop is closed"
        raise RuntimeError(message)

    door.writer.submit(write(transaction_id="T1"), gone)
    until(lambda: len(stored.conversions()) == 1, "the first is written")
    waiters = Waiters(door.writer)
    waiters.submit(write(transaction_id="T2"))

    assert statuses(waiters.outcomes()) == [Status.UNMATCHED]


def test_who_waits_too_long_hears_503_and_a_retry_finds_it_recorded_or_records_it(
    network: Network, stored: Stored, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.send(transaction_id="T0")
    monkeypatch.setattr(doors, "WAIT_S_MAX", 0.2)
    before = batches()

    with nobody_can_write(runtime):
        being_written = network.send(transaction_id="T1")
        until(lambda: batches()[0] == before[0] + 1, "the first is being written")
        in_line = network.send(transaction_id="T2")
    monkeypatch.setattr(doors, "WAIT_S_MAX", 30.0)

    # The commit went on without its sender, who knows nothing of it; the other one was never begun.
    until(lambda: len(stored.conversions()) == 2, "what was begun is written")
    assert is_asked_to_come_back(being_written)
    assert is_asked_to_come_back(in_line)
    assert network.send(transaction_id="T1").json["status"] == "duplicate"
    assert network.send(transaction_id="T2").json["status"] == "unmatched"
    assert [row.transaction_id for row in stored.conversions()] == ["T0", "T1", "T2"]


def test_a_transaction_that_gives_way_in_a_deadlock_is_done_again(
    door: Door, write: Wait, stored: Stored, runtime: Runtime, postgresql_databases: PostgresqlDatabases
) -> None:
    if runtime.engine.dialect.name == "sqlite":
        pytest.skip("SQLite lets one writer in at a time: there is no circle to wait in")
    writes = {name: write(transaction_id=name) for name in "ABCD"}
    waiters, deadlocks = Waiters(door.writer), _deadlocks(runtime)
    waiters.submit(writes["D"])
    waiters.outcomes()

    with (
        runtime.engine.connect() as before,
        runtime.engine.connect() as other,
        blocked_statements(postgresql_databases.admin, runtime.engine.url.database) as blocked,
    ):
        # A look for circles is made once, this long after the wait began: so the writer is who finds itself in one.
        other.execute(sa.text("SET LOCAL deadlock_timeout = '20s'"))
        _insert(before, writes["C"])
        _insert(other, writes["B"])
        waiters.submit(writes["C"])
        until(blocked, "the batch of C waits for the first connection")
        waiters.submit(writes["A"])
        waiters.submit(writes["B"])
        before.rollback()
        until(
            lambda: any(_waits_for(other, backend) for backend in blocked()),
            "the batch of A and B waits for the second",
        )
        _insert(other, writes["A"])
        other.rollback()

    assert statuses(waiters.outcomes()[1:]) == [Status.UNMATCHED] * 3
    assert sorted(row.transaction_id for row in stored.conversions()) == ["A", "B", "C", "D"]
    until(lambda: _deadlocks(runtime) == deadlocks + 1, "PostgreSQL counts the deadlock")


def test_what_rests_on_a_source_that_has_moved_on_is_not_written_and_the_rest_of_its_batch_is(
    door: Door, write: Wait, new_network: Callable[..., Network], stored: Stored, runtime: Runtime
) -> None:
    other = new_network()
    early, untouched = write(transaction_id="T1"), waiting_write(runtime, door, other, transaction_id="T2")
    row = Write(early.source_id, early.revision, row={"id": None})
    waiters = Waiters(door.writer)
    with runtime.transaction() as session:
        [secret_id] = secret_ids(session, early.source_id)
        secrets.revoke(runtime, session, early.source_id, secret_id, actor=TESTS)

    with nobody_can_write(runtime):
        for each in (early, untouched, row):
            waiters.submit(each)

    assert statuses(waiters.outcomes()) == [None, Status.UNMATCHED, None]
    assert [conversion.source_id for conversion in stored.conversions()] == [other.source_id]
    assert len(stored.receipts()) == 1


def test_closing_writes_what_waits(door: Door, write: Wait, stored: Stored, runtime: Runtime) -> None:
    before = batches()
    with nobody_can_write(runtime):
        tickets = [door.writer.submit(write(transaction_id="T0"), lambda _: None)]
        until(lambda: batches()[0] == before[0] + 1, "the first batch waits for the lock")
        tickets += [door.writer.submit(write(transaction_id=f"T{number}"), lambda _: None) for number in range(1, 301)]
    door.writer.close()

    assert statuses([ticket.outcome for ticket in tickets]) == [Status.UNMATCHED] * 301
    assert len(stored.conversions()) == 301
    assert door.writer._thread not in threading.enumerate()


def test_a_row_alone_comes_back_as_kept(door: Door, network: Network, stored: Stored, runtime: Runtime) -> None:
    write = waiting_write(runtime, door, network, payout="0.0000001")
    waiters = Waiters(door.writer)

    waiters.submit(write)

    assert waiters.outcomes() == [Kept()]
    assert [receipt.outcome for receipt in stored.receipts()] == ["invalid"]


def _insert(connection: sa.Connection, write: Write) -> None:
    """Insert a conversion of the same key, as another process would that is not done with it."""
    belief = write.belief
    assert belief is not None
    names = [column.name for column in Conversion.__table__.columns if column.name not in ("id", "dedupe_key")]
    columns = ", ".join(names)
    copied = f"INSERT INTO conversions (id, dedupe_key, {columns}) SELECT :id, :key, {columns} FROM conversions LIMIT 1"  # noqa: S608
    connection.execute(sa.text(copied), {"id": f"cnv_{belief.dedupe_key}", "key": belief.dedupe_key})


def _waits_for(connection: sa.Connection, backend: int) -> bool:
    waits = sa.text("SELECT pg_backend_pid() = ANY (pg_blocking_pids(:backend))")
    return bool(connection.scalar(waits, {"backend": backend}))


def _deadlocks(runtime: Runtime) -> int:
    with runtime.engine.connect() as connection:
        statement = sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(connection.scalar(statement) or 0)
