"""API tokens: what they open, until when, and what is kept of them."""

from datetime import timedelta

import flask
import pytest
import sqlalchemy as sa

from access import tokens
from access.models import ApiToken
from access.roles import ALL_MACHINE, SCOPES
from access.tokens import NewToken
from core.actors import system
from core.errors import Invalid, NotFound
from core.runtime import Runtime
from tests.conftest import Answer, TestClock, answer_of

ACTOR = system("tests")


def create(runtime: Runtime, *scopes: str, days: int = 30) -> NewToken:
    """Make a token."""
    with runtime.transaction() as session:
        return tokens.create(runtime, session, name="tests", scopes=list(scopes), days=days, actor=ACTOR)


def get(app: flask.Flask, authorization: str, path: str = "/api/v1/affiliates") -> Answer:
    """Ask with an Authorization header."""
    return answer_of(app.test_client().get(path, headers={"Authorization": authorization}))


def test_a_token_opens_the_doors_of_its_scopes_and_no_other(app: flask.Flask, runtime: Runtime) -> None:
    token = create(runtime, "affiliates:read")

    assert get(app, f"Bearer {token.value}").status_code == 200
    refused = get(app, f"Bearer {token.value}", "/api/v1/campaigns")
    assert refused.status_code == 403
    assert "campaigns:read" in refused.json["detail"]


def test_a_token_ends_at_its_expiry(app: flask.Flask, runtime: Runtime, clock: TestClock) -> None:
    token = create(runtime, "affiliates:read", days=1)

    clock.now += timedelta(days=1) - timedelta(microseconds=1)
    assert get(app, f"Bearer {token.value}").status_code == 200
    clock.now += timedelta(microseconds=1)
    assert get(app, f"Bearer {token.value}").status_code == 401


def test_a_revoked_token_opens_nothing_from_that_moment_on(app: flask.Flask, runtime: Runtime) -> None:
    token = create(runtime, "affiliates:read")
    assert get(app, f"Bearer {token.value}").status_code == 200

    for _ in range(2):
        with runtime.transaction() as session:
            tokens.revoke(session, token.id, actor=ACTOR, now=runtime.clock())

    assert get(app, f"Bearer {token.value}").status_code == 401
    with pytest.raises(NotFound), runtime.transaction() as session:
        tokens.revoke(session, "tok_none", actor=ACTOR, now=runtime.clock())


def test_what_is_no_token_of_ours_is_refused_in_one_way(app: flask.Flask, runtime: Runtime) -> None:
    token = create(runtime, "affiliates:read")

    answers = [
        get(app, authorization)
        for authorization in (
            "Bearer ", "Bearer clk_x_y", f"Bearer {token.value}x", f"Basic {token.value}", token.value, "Bearer é",
        )
    ]  # fmt: skip

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.json["detail"] for answer in answers} == {"this token is unknown, over or revoked"}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}


def test_only_the_hash_of_a_token_is_kept(runtime: Runtime) -> None:
    token = create(runtime, "affiliates:read")

    with runtime.reading() as session:
        [row] = session.execute(sa.select(*ApiToken.__table__.columns)).all()
    assert token.value.startswith(f"clk_{token.id.removeprefix('tok_')}_")
    assert token.value not in str(row)
    assert token.value.rpartition("_")[2] not in str(row)


def test_the_last_use_is_noted_once_a_minute(app: flask.Flask, runtime: Runtime, clock: TestClock) -> None:
    token = create(runtime, "affiliates:read")

    def used_at_seconds() -> float | None:
        get(app, f"Bearer {token.value}")
        with runtime.reading() as session:
            at = session.get_one(ApiToken, token.id).last_used_at
        return (at - start).total_seconds() if at else None

    start = clock.now
    assert used_at_seconds() == 0
    clock.advance(seconds=60)
    assert used_at_seconds() == 0
    clock.advance(seconds=1)
    assert used_at_seconds() == 61


def test_all_faults_of_a_token_are_said_at_once(runtime: Runtime) -> None:
    with pytest.raises(Invalid) as raised, runtime.transaction() as session:
        tokens.create(runtime, session, name=" ", scopes=["approvals:write", "x"], days=366, actor=ACTOR)

    assert [fault.field for fault in raised.value.faults] == ["scope", "scope", "days", "name"]
    with pytest.raises(Invalid):
        create(runtime)


def test_every_machine_scope_together_still_approves_releases_and_reveals_nothing(runtime: Runtime) -> None:
    token = create(runtime, ALL_MACHINE)

    with runtime.reading() as session:
        scopes = session.get_one(ApiToken, token.id).scopes
    assert set(scopes) == SCOPES
    assert not {"approvals:write", "approvals:decide", "batches:release", "payouts:write", "staff:write"} & SCOPES
