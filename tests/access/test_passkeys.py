"""Passkeys: what proves itself is taken once, for its person, its purpose and its site; nothing else is."""

import json
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from access import passkeys, people, second_factor
from access.models import Passkey, RecoveryCode, Staff, TakenChallenge
from access.passkeys import SIGN_IN, Shown, Why
from core.actors import system
from core.audit import AuditEntry
from core.errors import Conflict, Invalid, NotFound
from core.runtime import Runtime
from tests.access.device import PRESENT, Device
from tests.conftest import PASSWORD, TestClock

BY = system("tests")
ADD = passkeys.for_session("add", "a session")


@pytest.fixture
def ann(runtime: Runtime) -> str:
    return person(runtime, "ann@example.com")


def person(runtime: Runtime, email: str) -> str:
    with runtime.transaction() as session:
        return people.create(runtime, session, email=email, roles=["finance"], password=PASSWORD, actor=BY).id


def asked_to_add(runtime: Runtime, session: Session, staff_id: str) -> str:
    return passkeys.to_add(runtime, session, session.get_one(Staff, staff_id), ADD)


def added(runtime: Runtime, staff_id: str, device: Device, name: str = "Laptop") -> list[str]:
    with runtime.transaction() as session:
        answer = device.create(asked_to_add(runtime, session, staff_id))
        return passkeys.add(runtime, session, staff_id, name, answer, purpose=ADD, actor=BY)


def shown(runtime: Runtime, answer: str, *, purpose: str = SIGN_IN, staff_id: str | None = None) -> Shown | Why:
    with runtime.transaction() as session:
        return passkeys.shown(runtime, session, answer, purpose=purpose, staff_id=staff_id)


def test_a_passkey_signs_its_person_in_time_after_time(runtime: Runtime, ann: str) -> None:
    device, silent = Device(), Device(counts=False)
    added(runtime, ann, device)
    added(runtime, ann, silent, "Key without a counter")

    found = [shown(runtime, each.get(passkeys.to_show(runtime, SIGN_IN))) for each in (device, device, silent, silent)]

    with runtime.reading() as session:
        kept = passkeys.of(session, ann)
        whose = session.scalars(sa.select(AuditEntry.verb).where(AuditEntry.subject_id == ann)).all()
    ids = {each.name: each.id for each in kept}
    assert found == [Shown(ann, ids["Laptop"])] * 2 + [Shown(ann, ids["Key without a counter"])] * 2
    assert {each.name: each.sign_count for each in kept} == {"Laptop": 3, "Key without a counter": 0}
    assert all(each.last_used_at == runtime.clock() for each in kept)
    assert whose.count("added a passkey of") == 2


def test_what_is_not_the_persons_own_proof_for_this_site_and_moment_is_refused(
    runtime: Runtime, clock: TestClock, ann: str
) -> None:
    device = Device()
    added(runtime, ann, device)
    other, mine = person(runtime, "ben@example.com"), passkeys.for_session("step-up", "my session")
    ask = passkeys.to_show
    stale = device.get(ask(runtime, SIGN_IN))
    found = {
        "another site": shown(runtime, replace(device, origin="https://evil.example").get(ask(runtime, SIGN_IN))),
        "a part of our site": shown(runtime, replace(device, origin="http://sub.localhost").get(ask(runtime, SIGN_IN))),
        "another port": shown(runtime, replace(device, origin="http://localhost:81").get(ask(runtime, SIGN_IN))),
        "another party": shown(runtime, replace(device, party="evil.example").get(ask(runtime, SIGN_IN))),
        "a device that knows nobody": shown(runtime, device.get(ask(runtime, SIGN_IN), flags=PRESENT)),
        "another key": shown(runtime, replace(Device(), id=device.id, handle=ann.encode()).get(ask(runtime, SIGN_IN))),
        "nobody's key": shown(runtime, Device().get(ask(runtime, SIGN_IN))),
        "another handle": shown(runtime, device.get(ask(runtime, SIGN_IN), userHandle=other.encode())),
        "somebody else's": shown(runtime, device.get(ask(runtime, mine)), purpose=mine, staff_id=other),
        "another purpose": shown(runtime, device.get(ask(runtime, SIGN_IN)), purpose=mine, staff_id=ann),
        "another session": shown(
            runtime, device.get(ask(runtime, mine)), purpose=passkeys.for_session("step-up", "yours"), staff_id=ann
        ),
        "a challenge of theirs": shown(runtime, device.get(json.dumps({"challenge": "AAAA"}))),
        "a registration": shown(runtime, Device().create(json.dumps({"challenge": "AAAA", "user": {"id": ""}}))),
    }  # fmt: skip
    clock.advance(minutes=10, seconds=1)
    found["too late"] = shown(runtime, stale)

    assert found == {
        "another site": Why.UNPROVEN,
        "a part of our site": Why.UNPROVEN,
        "another port": Why.UNPROVEN,
        "another party": Why.UNPROVEN,
        "a device that knows nobody": Why.UNPROVEN,
        "another key": Why.UNPROVEN,
        "nobody's key": Why.UNKNOWN,
        "another handle": Why.UNKNOWN,
        "somebody else's": Why.UNKNOWN,
        "another purpose": Why.OVER,
        "another session": Why.OVER,
        "a challenge of theirs": Why.OVER,
        "a registration": Why.UNREADABLE,
        "too late": Why.OVER,
    }
    device.counter += 100
    assert isinstance(shown(runtime, device.get(ask(runtime, SIGN_IN))), Shown)


def test_an_answer_counts_once_and_a_counter_that_goes_back_is_on_the_record(
    runtime: Runtime, clock: TestClock, ann: str
) -> None:
    device = Device()
    added(runtime, ann, device)
    copy = replace(device)
    once = device.get(passkeys.to_show(runtime, SIGN_IN))
    first, again = shown(runtime, once), shown(runtime, once)

    cloned = shown(runtime, copy.get(passkeys.to_show(runtime, SIGN_IN)))
    to_nought = shown(runtime, replace(device, counts=False, counter=0).get(passkeys.to_show(runtime, SIGN_IN)))

    with runtime.reading() as session:
        acts = session.scalars(sa.select(AuditEntry).where(AuditEntry.verb == "was refused a passkey of")).all()
        taken = session.scalar(sa.select(sa.func.count()).select_from(TakenChallenge))
    assert isinstance(first, Shown)
    assert (again, cloned, to_nought) == (Why.OVER, Why.CLONED, Why.CLONED)
    assert [each.after for each in acts] == [
        {"name": "Laptop", "counted": 2, "said": 2},
        {"name": "Laptop", "counted": 2, "said": 0},
    ]
    assert taken == 4
    clock.advance(minutes=11)
    assert isinstance(shown(runtime, device.get(passkeys.to_show(runtime, SIGN_IN))), Shown)
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(TakenChallenge)) == 1


def bring(runtime: Runtime, answer: str, together: threading.Barrier, found: list[Shown | Why]) -> None:
    together.wait()
    found.append(shown(runtime, answer))


def test_of_two_that_bring_the_same_answer_at_once_one_is_signed_in(runtime: Runtime, ann: str) -> None:
    device = Device(counts=False)
    added(runtime, ann, device)
    for _ in range(5):
        answer, together = device.get(passkeys.to_show(runtime, SIGN_IN)), threading.Barrier(4)
        found: list[Shown | Why] = []

        def bring(
            answer: str = answer, found: list[Shown | Why] = found, together: threading.Barrier = together
        ) -> None:
            together.wait()
            found.append(shown(runtime, answer))

        threads = [threading.Thread(target=bring) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(isinstance(each, Shown) for each in found) == [False, False, False, True]


def test_what_is_added_is_checked_as_well_and_every_fault_is_told(runtime: Runtime, ann: str) -> None:
    device = Device()
    with runtime.transaction() as session:
        ask = asked_to_add(runtime, session, ann)
        wrong = {
            "another site": replace(device, origin="https://evil.example").create(ask),
            "no person known": device.create(ask, flags=PRESENT),
            "an assertion": device.get(ask),
            "nothing": "",
        }
        for name, answer in wrong.items():
            with pytest.raises(Invalid) as refused:
                passkeys.add(runtime, session, ann, "", answer, purpose=ADD, actor=BY)
            assert {fault.field for fault in refused.value.faults} == {"name", "credential"}, name
        with pytest.raises(Invalid):
            passkeys.add(runtime, session, ann, "x", device.create(ask), purpose="add:another", actor=BY)
        answer = device.create(ask)
        passkeys.add(runtime, session, ann, "x", answer, purpose=ADD, actor=BY)
        for again in (answer, device.create(asked_to_add(runtime, session, ann))):
            with pytest.raises(Invalid):
                passkeys.add(runtime, session, ann, "y", again, purpose=ADD, actor=BY)
        excluded = json.loads(asked_to_add(runtime, session, ann))["excludeCredentials"]

    for number in range(passkeys.COUNT_MAX - 1):
        added(runtime, ann, Device(), f"Key {number}")
    with pytest.raises(Conflict):
        added(runtime, ann, Device())
    assert len(excluded) == 1


def test_a_passkey_is_a_second_factor_with_recovery_codes_until_the_last_one_goes(runtime: Runtime, ann: str) -> None:
    codes = added(runtime, ann, Device())
    more = added(runtime, ann, Device(), "Key")
    other = person(runtime, "ben@example.com")

    with runtime.transaction() as session:
        first, second = passkeys.of(session, ann)
        assert second_factor.is_on(session, ann)
        assert second_factor.holders(session, [ann, other]) == {ann}
        assert second_factor.accept(runtime, session, ann, codes[0])
        assert not second_factor.accept(runtime, session, ann, codes[0])
        with pytest.raises(NotFound):
            passkeys.remove(runtime, session, other, first.id, actor=BY)
        passkeys.remove(runtime, session, ann, first.id, actor=BY)
        assert second_factor.accept(runtime, session, ann, codes[1])
        passkeys.remove(runtime, session, ann, second.id, actor=BY)
        assert not second_factor.accept(runtime, session, ann, codes[2])
        assert not second_factor.is_on(session, ann)
        assert session.scalar(sa.select(sa.func.count()).select_from(RecoveryCode)) == 0
    assert (len(codes), more) == (10, [])

    added(runtime, ann, Device())
    with runtime.transaction() as session:
        second_factor.remove_all(session, ann, actor=BY, now=runtime.clock())
        assert session.scalar(sa.select(sa.func.count()).select_from(Passkey)) == 0
        assert not second_factor.is_on(session, ann)


@pytest.mark.parametrize(
    ("url", "is_possible"),
    [
        ("https://pay.example", True), ("http://localhost:8000", True), ("http://pay.example", False),
        ("https://192.0.2.1", False), ("http://127.0.0.1:8000", False), ("https://[::1]", False),
    ],
)  # fmt: skip
def test_browsers_do_passkeys_where_the_address_has_a_name_and_is_secure(
    runtime: Runtime,
    url: str,
    is_possible: bool,  # noqa: FBT001
) -> None:
    assert passkeys.is_possible(replace(runtime, public_url=url)) is is_possible


@pytest.fixture(scope="module")
def answers() -> list[str]:
    device = Device()
    asked = json.dumps({"challenge": "AAAA", "user": {"id": "AAAA"}})
    return [device.get(asked), device.create(asked)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(data=st.data())
def test_no_answer_however_broken_is_an_error_of_ours(
    runtime: Runtime, ann: str, answers: list[str], data: st.DataObject
) -> None:
    whole = data.draw(st.sampled_from([*answers, "{}", "[]", "null", '"x"', "[" * 9999, "x" * 30_000]))
    start = data.draw(st.integers(0, len(whole)))
    broken = whole[:start] + data.draw(st.text(max_size=5)) + whole[start + data.draw(st.integers(0, 20)) :]
    assert shown(runtime, broken) in set(Why)
    with runtime.transaction() as session, pytest.raises(Invalid):
        passkeys.add(runtime, session, ann, "x", broken, purpose=ADD, actor=BY)
