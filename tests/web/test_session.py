"""Signing in."""

from collections.abc import Callable

from core import audit
from core.runtime import Runtime
from tests.conftest import Caller


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
