"""A stage empties what waits: batch after batch, with helpers where workers can share, and by halves when one fails."""

import gc

import pytest
from sqlalchemy.orm import Session

from core import doorbell
from core.draining import HELPERS_MAX, drain
from core.errors import Unavailable
from core.runtime import Runtime


class Waiting:
    """Rows that wait, as numbers; `poison` is one that no batch may hold."""

    def __init__(self, count: int, *, poison: int | None = None) -> None:
        self.rows = list(range(count))
        self.poison = poison
        self.limits: list[int] = []
        self.collected = True

    def __call__(self, _session: Session, limit: int) -> int:
        """Take a batch."""
        self.limits.append(limit)
        self.collected = gc.isenabled()
        batch = self.rows[:limit]
        if self.poison in batch:
            raise ZeroDivisionError
        self.rows = self.rows[limit:]
        return len(batch)


def rung(runtime: Runtime) -> list[str]:
    return sorted(doorbell.queue(runtime.redis).job_ids)


def test_batches_follow_until_none_waits_and_the_collector_rests_meanwhile(runtime: Runtime) -> None:
    waiting = Waiting(7)

    drain(runtime, waiting, stage="accrual", limit=3)

    assert (waiting.rows, waiting.limits) == ([], [3, 3, 3, 3])
    assert (waiting.collected, gc.isenabled()) == (False, True)


def test_a_full_batch_rings_for_the_next_helper_where_workers_can_share(runtime: Runtime) -> None:
    is_shared = runtime.engine.dialect.name == "postgresql"

    drain(runtime, Waiting(2), stage="accrual", limit=3)
    assert rung(runtime) == []
    drain(runtime, Waiting(7), stage="accrual", limit=3)
    assert rung(runtime) == (["stage_accrual_helper-1"] if is_shared else [])
    drain(runtime, Waiting(7), stage="accrual", limit=3, helper=1)
    assert rung(runtime) == (["stage_accrual_helper-1", "stage_accrual_helper-2"] if is_shared else [])
    drain(runtime, Waiting(7), stage="accrual", limit=3, helper=HELPERS_MAX)
    assert len(rung(runtime)) == (2 if is_shared else 0)


def test_a_batch_that_fails_is_tried_by_halves_and_the_row_at_fault_raises(runtime: Runtime) -> None:
    waiting = Waiting(20, poison=13)

    with pytest.raises(ZeroDivisionError):
        drain(runtime, waiting, stage="accrual", limit=8)

    assert waiting.rows[0] == 13
    assert waiting.limits == [8, 8, 4, 4, 2, 1, 1]


def test_an_outage_is_not_tried_again(runtime: Runtime) -> None:
    calls = []

    def away(_session: Session, limit: int) -> int:
        calls.append(limit)
        message = "away"
        raise Unavailable(message)

    with pytest.raises(Unavailable):
        drain(runtime, away, stage="accrual", limit=8)
    assert calls == [8]
