"""People: their passwords, their sessions, and the end of both."""

from collections.abc import Callable

import flask
import pytest
import sqlalchemy as sa

from access import people
from access.models import Staff, StaffSession
from core.actors import system
from core.errors import Conflict, Invalid
from core.runtime import Runtime
from tests.conftest import PASSWORD, Answer, Caller, TestClock, answer_of

ACTOR = system("tests")
EMAIL = "Ada@Example.com"


@pytest.fixture
def ada(runtime: Runtime) -> str:
    """A person's id."""
    with runtime.transaction() as session:
        return people.create(
            runtime, session, email=EMAIL, roles=["finance", "manager"], password=PASSWORD, actor=ACTOR
        ).id


def sign_in(app: flask.Flask, email: str = EMAIL, password: str = PASSWORD) -> Answer:
    """Try to sign in."""
    return answer_of(app.test_client().post("/session", json={"email": email, "password": password}))


def disable(runtime: Runtime, staff_id: str) -> None:
    """Take a person's access away."""
    with runtime.transaction() as session:
        session.get_one(Staff, staff_id).disabled_at = runtime.clock()


def test_the_right_password_opens_a_session_whatever_the_case_of_the_address(app: flask.Flask, ada: str) -> None:
    answer = sign_in(app, " ADA@example.COM ")

    assert answer.status_code == 201
    assert answer.json["staff_id"] == ada
    assert answer.json["expires_at"] == "2026-11-02T21:00:00Z"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_wrong_password_and_an_unknown_address_get_one_answer(app: flask.Flask, ada: str) -> None:
    wrong, unknown = sign_in(app, password="incorrect horse"), sign_in(app, email="eve@example.com")

    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json["detail"] == unknown.json["detail"]
    assert "Set-Cookie" not in wrong.headers


def test_a_disabled_person_neither_signs_in_nor_goes_on(
    app: flask.Flask, runtime: Runtime, ada: str, sign_in: Callable[..., Caller]
) -> None:
    finance = sign_in("finance")
    assert finance.get("/api/v1/affiliates").status_code == 200

    disable(runtime, ada)
    disable(runtime, finance.staff_id)

    assert finance.get("/api/v1/affiliates").status_code == 401
    answer = answer_of(app.test_client().post("/session", json={"email": EMAIL, "password": PASSWORD}))
    assert answer.status_code == 401


def test_a_session_ends_after_twelve_hours_and_at_signing_out(sign_in: Callable[..., Caller], clock: TestClock) -> None:
    stays, leaves = sign_in("finance"), sign_in("finance")
    leaves.call("DELETE", "/session")

    clock.advance(hours=12, microseconds=-1)
    assert stays.get("/api/v1/affiliates").status_code == 200
    assert leaves.get("/api/v1/affiliates").status_code == 401
    clock.advance(microseconds=1)
    assert stays.get("/api/v1/affiliates").status_code == 401


def test_a_signed_out_cookie_is_dead_even_when_someone_kept_it(app: flask.Flask, ada: str) -> None:
    cookie = sign_in(app).headers["Set-Cookie"].partition(";")[0]
    client = app.test_client(use_cookies=False)
    assert client.get("/api/v1/affiliates", headers={"Cookie": cookie}).status_code == 200

    client.delete("/session", headers={"Cookie": cookie})

    assert client.get("/api/v1/affiliates", headers={"Cookie": cookie}).status_code == 401


def test_an_act_without_the_sessions_csrf_token_is_refused(sign_in: Callable[..., Caller]) -> None:
    admin = sign_in("admin")
    token = admin.headers.pop("X-CSRF-Token")

    for headers in ({}, {"X-CSRF-Token": token.swapcase()}, {"X-CSRF-Token": "é"}):
        refused = admin.post("/api/v1/affiliates", {"name": "x", "currency": "EUR"}, headers=headers)
        assert refused.status_code == 403
        assert refused.json["type"] == "/problems/csrf"
    assert admin.get("/api/v1/affiliates").status_code == 200


def test_neither_password_nor_cookie_is_kept_readable(app: flask.Flask, runtime: Runtime, ada: str) -> None:
    cookie = sign_in(app).headers["Set-Cookie"].partition(";")[0].partition("=")[2]

    with runtime.reading() as session:
        rows = " ".join(
            [*session.scalars(sa.select(Staff.password_hash)), *session.scalars(sa.select(StaffSession.token_sha256))]
        )
    assert "$argon2id$" in rows
    assert PASSWORD not in rows
    assert cookie not in rows


def test_all_faults_of_a_person_are_said_at_once(runtime: Runtime) -> None:
    with pytest.raises(Invalid) as raised, runtime.transaction() as session:
        people.create(runtime, session, email="ada", roles=["boss"], password="short", actor=ACTOR)

    assert [fault.field for fault in raised.value.faults] == ["email", "role", "password"]
    assert "short" not in str(raised.value)


def test_an_address_belongs_to_one_person(runtime: Runtime, ada: str) -> None:
    with pytest.raises(Conflict), runtime.transaction() as session:
        people.create(runtime, session, email="ada@example.com ", roles=["finance"], password=PASSWORD, actor=ACTOR)


def test_people_are_found_by_a_role_they_have_while_they_may_sign_in(runtime: Runtime, ada: str) -> None:
    def holders(role: str) -> list[str]:
        with runtime.reading() as session:
            return [staff.id for staff in people.enabled(session) if role in staff.roles]

    assert holders("manager") == [ada]
    assert holders("admin") == []
    disable(runtime, ada)
    assert holders("manager") == []
