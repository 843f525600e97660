"""Signing in."""

from collections.abc import Callable

import flask

from core import audit
from core.runtime import Runtime
from tests.access.test_second_factor import code_of, enrolled
from tests.conftest import PASSWORD, Answer, Caller, TestClock, answer_of


def test_a_person_with_the_right_role_passes_and_the_sign_in_is_on_the_record(
    sign_in: Callable[..., Caller], runtime: Runtime
) -> None:
    auditor = sign_in("auditor")

    answer = auditor.get("/api/v1/audit")

    assert answer.status_code == 200
    assert [entry["verb"] for entry in answer.json["items"]] == ["signed in", "created"]
    with runtime.reading() as session:
        assert audit.first_break(session) == (2, None)


def test_a_token_is_told_that_this_is_for_people(machine: Caller) -> None:
    answer = machine.get("/api/v1/audit")

    assert answer.status_code == 403
    assert answer.mimetype == "application/problem+json"


def test_who_has_a_second_factor_signs_in_and_releases_by_its_codes(
    app: flask.Flask, runtime: Runtime, sign_in: Callable[..., Caller], clock: TestClock
) -> None:
    ann = sign_in("finance", email="ann@example.com")
    seed, _ = enrolled(runtime, ann.staff_id)
    clock.advance(seconds=3600)
    client = app.test_client()

    def signed(**more: str) -> Answer:
        return answer_of(client.post("/session", json={"email": "ann@example.com", "password": PASSWORD, **more}))

    asked, wrong = signed(), signed(code="000000")
    code = code_of(runtime, seed)
    done, twice = signed(code=code), signed(code=code)
    old = ann.post("/api/v1/periods/2026-08/close")
    clock.advance(seconds=60)
    bad = ann.post("/session/step-up", {"code": "000000"})
    shown = ann.post("/session/step-up", {"code": code_of(runtime, seed)})
    closed = ann.post("/api/v1/periods/2026-08/close")
    clock.advance(seconds=601)
    stale = ann.post("/api/v1/periods/2026-07/close")

    assert (asked.status_code, asked.json["type"]) == (401, "/problems/code-needed")
    assert (wrong.status_code, wrong.json["type"]) == (401, "/problems/wrong-code")
    assert (done.status_code, twice.json["type"]) == (201, "/problems/wrong-code")
    assert (old.status_code, old.json["type"]) == (403, "/problems/step-up-needed")
    assert (bad.status_code, shown.status_code, closed.status_code) == (422, 204, 200)
    assert stale.json["type"] == "/problems/step-up-needed"


def test_many_wrong_passwords_are_heard_no_more_and_the_right_one_waits_too(
    app: flask.Flask, sign_in: Callable[..., Caller], clock: TestClock
) -> None:
    sign_in("finance", email="ann@example.com")
    client = app.test_client()

    def signed(password: str, email: str = "ann@example.com") -> Answer:
        return answer_of(client.post("/session", json={"email": email, "password": password}))

    wrong = [signed("a wrong password of twenty").json["type"] for _ in range(6)]
    right = signed(PASSWORD)
    unknown = [signed("a wrong password of twenty", "nobody@example.com").json["type"] for _ in range(6)]
    clock.advance(seconds=2)

    assert wrong == ["/problems/wrong-credentials"] * 5 + ["/problems/too-many-attempts"] == unknown
    assert right.json["type"] == "/problems/too-many-attempts"
    assert signed(PASSWORD).status_code == 201
