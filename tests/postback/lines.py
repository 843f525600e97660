"""What the tests of both writers share: postbacks that are about to be written, and a database that makes them wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from prometheus_client import REGISTRY

from core.runtime import Runtime
from postback import intake
from postback.door import Door
from postback.intake import Look, Write
from postback.receipts import Attempt
from tests.postback.conftest import Network

PATIENCE_S = 30


def until(found: Callable[[], object], what: str) -> None:
    """Wait until `found` says something true."""
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, f"{what}: did not happen in {PATIENCE_S} s"
        time.sleep(0.01)


def waiting_write(runtime: Runtime, door: Door, network: Network, **changes: str) -> Write:
    """Take a signed postback as far as intake does without a writer: checked, believed, and about to be written."""
    attempt = Attempt(
        source_id=network.source_id, method="GET", peer=network.peer, query=network.signed(**changes).encode(),
        received_at=runtime.clock(), started=time.perf_counter(),
    )  # fmt: skip
    steps = intake.steps(door.memory, attempt, lambda _names: {})
    need = next(steps)
    while isinstance(need, Look):
        need = steps.send(door.look(need.source_id))
    return need


def poisoned(write: Write) -> Write:
    """Return the write with a column that takes no NULL: the database refuses it. Intake itself hands over no such."""
    assert write.belief is not None
    return write._replace(belief=write.belief._replace(assurance=None))  # type: ignore[arg-type]


def unsendable(write: Write) -> Write:
    """Return the write with a value that is no JSON: it fails before it reaches the database."""
    assert write.belief is not None
    return write._replace(belief=write.belief._replace(covered_fields=[object()]))  # type: ignore[list-item]


@contextmanager
def nobody_can_write(runtime: Runtime) -> Iterator[None]:
    """Hold the lock that every batch needs, from a connection of our own."""
    with runtime.engine.connect() as connection:
        # On SQLite the transaction itself (BEGIN IMMEDIATE) is the lock.
        is_sqlite = connection.dialect.name == "sqlite"
        connection.execute(sa.text("SELECT 1" if is_sqlite else "LOCK TABLE conversions IN EXCLUSIVE MODE"))
        yield
        connection.rollback()


def batches() -> tuple[int, int]:
    """Return how many batches this process has begun to write, and how many postbacks were in them."""
    return tuple(int(REGISTRY.get_sample_value(f"clickledger_intake_batch_{each}") or 0) for each in ("count", "sum"))  # type: ignore[return-value]


@contextmanager
def blocked_statements(admin: sa.Engine, database: str | None) -> Iterator[Callable[[], list[int]]]:
    """Yield a function that tells the backends of `database` that wait for a lock (PostgreSQL)."""
    statement = sa.text("SELECT pid FROM pg_stat_activity WHERE datname = :name AND wait_event_type = 'Lock'")
    with admin.connect() as connection:
        yield lambda: list(connection.scalars(statement, {"name": database}))
