"""The stage that tidies up."""

from collections.abc import Callable

import sqlalchemy as sa

from access.models import StaffSession
from core.http.idempotency import IdempotencyKey
from core.runtime import Runtime
from tests.conftest import Caller, TestClock
from web.jobs import purge

BODY = {"name": "A", "currency": "EUR", "hold_days": 0, "minimum_payout": "0.00"}


def test_purge_forgets_what_is_over_and_nothing_else(
    runtime: Runtime, machine: Caller, sign_in: Callable[..., Caller], clock: TestClock
) -> None:
    sign_in("finance")
    assert machine.post("/api/v1/affiliates", BODY, headers={"Idempotency-Key": "old"}).status_code == 201
    clock.advance(days=2, seconds=1)
    sign_in("finance")
    assert machine.post("/api/v1/affiliates", BODY, headers={"Idempotency-Key": "new"}).status_code == 201

    purge()

    with runtime.reading() as session:
        assert session.scalars(sa.select(IdempotencyKey.key)).all() == ["new"]
        assert [each.expires_at > clock.now for each in session.scalars(sa.select(StaffSession))] == [True]
