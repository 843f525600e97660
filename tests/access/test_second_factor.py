"""Second factors: published vectors, codes that count once, and failures that slow down whoever makes them."""

import base64
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from access import lockout, people, second_factor, totp
from access.models import RecoveryCode, SecondFactor
from core.actors import system
from core.errors import Conflict, Invalid
from core.runtime import Runtime
from tests.conftest import PASSWORD, TestClock

# RFC 6238, appendix B, SHA-1: its eight digits end in these six.
SEED = base64.b32encode(b"12345678901234567890").decode()
VECTORS = [
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
    (20000000000, "353130"),
]  # fmt: skip
BY = system("tests")


def person(runtime: Runtime) -> str:
    with runtime.transaction() as session:
        return people.create(
            runtime, session, email="ann@example.com", roles=["finance"], password=PASSWORD, actor=BY
        ).id


def enrolled(runtime: Runtime, staff_id: str) -> tuple[str, list[str]]:
    with runtime.transaction() as session:
        seed = second_factor.begin(runtime, session, staff_id)
    with runtime.transaction() as session:
        return seed, second_factor.confirm(runtime, session, staff_id, code_of(runtime, seed), actor=BY)


def code_of(runtime: Runtime, seed: str, *, steps: int = 0) -> str:
    import pyotp  # noqa: PLC0415 - as a person's device would

    return pyotp.TOTP(seed).at(int(runtime.clock().timestamp()) + 30 * steps)


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_the_vectors_of_rfc_6238_are_taken_in_their_step_and_those_beside_it_alone(seconds: int, code: str) -> None:
    def step(off: int, after: int = 0) -> int | None:
        return totp.matched_step(SEED, code, now=datetime.fromtimestamp(seconds + off, UTC), after=after)

    assert step(0) == step(30) == step(-30) == seconds // 30
    assert step(0, after=seconds // 30) is None
    assert step(61) is None
    assert totp.matched_step(SEED, f" {code[:3]} {code[3:]}", now=datetime.fromtimestamp(seconds, UTC), after=0)
    assert totp.matched_step(SEED, "²87082", now=datetime.fromtimestamp(seconds, UTC), after=0) is None


def test_a_code_counts_once_and_a_recovery_code_too(runtime: Runtime, clock: TestClock) -> None:
    staff_id = person(runtime)
    seed, codes = enrolled(runtime, staff_id)
    with runtime.transaction() as session:
        again = second_factor.accept(runtime, session, staff_id, code_of(runtime, seed))
    clock.advance(seconds=30)
    with runtime.transaction() as session:
        code = code_of(runtime, seed)
        taken = [second_factor.accept(runtime, session, staff_id, code) for _ in range(2)]
        recovered = [second_factor.accept(runtime, session, staff_id, codes[0].upper()) for _ in range(2)]
        other = second_factor.accept(runtime, session, "stf_other", codes[1])
        assert codes[0] not in {row.code_hmac for row in session.scalars(sa.select(RecoveryCode))}
        assert seed.encode() not in session.get_one(SecondFactor, staff_id).sealed_seed

    assert (again, taken, recovered, other) == (False, [True, False], [True, False], False)


def test_of_two_that_bring_one_code_at_once_one_is_let_in(runtime: Runtime, clock: TestClock) -> None:
    staff_id = person(runtime)
    seed, codes = enrolled(runtime, staff_id)
    clock.advance(seconds=30)
    for code in (code_of(runtime, seed), codes[0]):
        together, taken = threading.Barrier(4), list[bool]()

        def bring(code: str = code, together: threading.Barrier = together, taken: list[bool] = taken) -> None:
            together.wait(10)
            with runtime.transaction() as session:
                taken.append(second_factor.accept(runtime, session, staff_id, code))

        threads = [threading.Thread(target=bring) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

        assert sorted(taken) == [False, False, False, True]


def test_a_seed_counts_once_it_is_confirmed_and_a_confirmed_one_is_shown_no_more(runtime: Runtime) -> None:
    staff_id = person(runtime)
    with runtime.transaction() as session:
        seed = second_factor.begin(runtime, session, staff_id)
        assert second_factor.seed_of(runtime, session, staff_id) == seed
        assert not second_factor.is_on(session, staff_id)
        with pytest.raises(Invalid):
            second_factor.confirm(runtime, session, staff_id, "000000", actor=BY)
        second_factor.confirm(runtime, session, staff_id, code_of(runtime, seed), actor=BY)
        assert second_factor.is_on(session, staff_id)
        assert second_factor.seed_of(runtime, session, staff_id) is None
        with pytest.raises(Conflict):
            second_factor.begin(runtime, session, staff_id)
        assert second_factor.reseal(runtime, session) == 1
        second_factor.remove(session, staff_id, actor=BY, now=runtime.clock())
        assert not second_factor.is_on(session, staff_id)


def test_failures_slow_down_their_address_and_nobody_else_for_long(runtime: Runtime, clock: TestClock) -> None:
    here, there = lockout.keys("Ann@example.com ", "192.0.2.1"), lockout.keys("ann@example.com", "198.51.100.7")
    start = clock()

    def until(keys: tuple[lockout.Key, ...]) -> float:
        with runtime.reading() as session:
            found = lockout.blocked_until(session, keys, now=clock())
        return 0 if found is None else (found - clock()).total_seconds()

    def fail(times: int) -> None:
        for _ in range(times):
            with runtime.transaction() as session:
                lockout.note_failure(session, here, now=clock())

    fail(4)
    assert until(here) == 0
    fail(1)
    assert until(here) == 1
    fail(6)
    assert (until(here), until(there)) == (64, 0)
    fail(60)
    assert (until(here), until(there)) == (900, 30)
    clock.advance(seconds=31)
    assert until(there) == 0
    with runtime.transaction() as session:
        lockout.forget(session, here)
        clock.advance(seconds=lockout.FORGOTTEN_AFTER.total_seconds() + 1)
        lockout.purge(session, now=clock())
    assert until(here) == 0
    assert clock() - start > timedelta(hours=1)
