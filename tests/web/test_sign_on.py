"""Single sign-on at a provider that others have written: who is let in, who is not, and what its answers must prove."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import flask
import oidc_provider_mock  # type: ignore[import-untyped]  # it ships no types
import pytest
import requests
import sqlalchemy as sa
from flask.testing import FlaskClient
from oidc_provider_mock import User

from access import oidc, people
from access.models import StaffIdentity
from access.oidc import Begun, Identity, Refused
from core import outbound
from core import runtime as runtimes
from core.actors import system
from core.outbound import Got, NotTaken
from core.runtime import Runtime, SignOnProvider
from tests.access.device import Device
from tests.conftest import Answer, TestClock
from tests.web.pages import get, sign_in_by_form, words_of
from tests.web.test_browser import clock
from tests.web.test_passkeys import added

__all__ = ["clock"]
Staff = Callable[..., str]
USERS = [
    User(sub="sub-ann", claims={"email": "Ann@example.com", "email_verified": True}),
    User(sub="sub-bob", claims={"email": "bob@example.com", "email_verified": False}),
    User(sub="sub-eve", claims={"email": "eve@example.com", "email_verified": True}),
    User(sub="sub-other-ann", claims={"email": "ann@example.com", "email_verified": True}),
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=USERS) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def provider(runtime: Runtime, issuer: str) -> SignOnProvider:
    found = SignOnProvider(issuer, "clickledger", "a secret: of % ours", "Harbour SSO")
    runtimes.install(replace(runtime, sign_on=found))
    oidc._KEPT.clear()
    return found


def signed_in_as(client: FlaskClient, subject: str, next_path: str = "/me") -> Answer:
    """Go to the provider, sign in there as `subject`, and come back."""
    return get(client, come_back(client, subject, next_path))


def come_back(client: FlaskClient, subject: str, next_path: str = "/me") -> str:
    away = get(client, f"/sign-in/oidc?next={next_path}")
    assert away.status_code == 303, away.text
    there = requests.post(away.headers["Location"], data={"sub": subject}, allow_redirects=False, timeout=10)
    back = urlsplit(there.headers["Location"])
    assert f"{back.scheme}://{back.netloc}" == "http://localhost"
    return f"{back.path}?{back.query}"


def test_whom_the_provider_vouches_for_is_let_in_and_bound_for_good(
    app: flask.Flask, runtime: Runtime, provider: SignOnProvider, staff: Staff, clock: TestClock
) -> None:
    ann = staff("ann@example.com", "finance")
    staff("bob@example.com", "finance")
    client = app.test_client()

    shown = get(client, "/sign-in?next=/payouts").text
    let_in = signed_in_as(client, "sub-ann", "/payouts")
    inside = get(client, "/payouts").status_code
    again = signed_in_as(app.test_client(), "sub-ann")
    unverified = signed_in_as(app.test_client(), "sub-bob")
    unknown = signed_in_as(app.test_client(), "sub-eve")
    same_address = signed_in_as(app.test_client(), "sub-other-ann")
    with runtime.reading() as session:
        bound = session.scalars(sa.select(StaffIdentity)).all()
    with runtime.transaction() as session:
        people.disable(session, ann, actor=system("tests"), now=clock())
    turned_away = signed_in_as(app.test_client(), "sub-ann")
    with runtime.transaction() as session:
        people.enable(session, ann, actor=system("tests"), now=clock())
    anew = signed_in_as(app.test_client(), "sub-other-ann")

    assert "By Harbour SSO" in words_of(shown)
    assert (let_in.status_code, let_in.headers["Location"]) == (303, "/payouts")
    assert inside == 200
    assert again.status_code == 303
    assert [(each.subject, each.staff_id) for each in bound] == [("sub-ann", ann)]
    for refused in (unverified, unknown, same_address, turned_away):
        assert (refused.status_code, "Nobody here has the address" in refused.text) == (401, True)
        assert "clickledger_session" not in refused.headers.get("Set-Cookie", "")
    assert anew.status_code == 303


def test_a_second_factor_of_ours_is_asked_for_all_the_same(
    app: flask.Flask, provider: SignOnProvider, staff: Staff
) -> None:
    staff("ann@example.com", "finance")
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    added(client, Device())

    asked = signed_in_as(app.test_client(), "sub-ann")

    assert asked.status_code == 401
    assert "Code of your second factor" in words_of(asked.text)


def test_an_answer_counts_in_the_browser_that_asked_in_time_and_once(
    app: flask.Flask, provider: SignOnProvider, staff: Staff, clock: TestClock
) -> None:
    staff("ann@example.com", "finance")
    mine, other, late = app.test_client(), app.test_client(), app.test_client()

    back = come_back(mine, "sub-ann")
    elsewhere = get(other, back)
    get(other, "/sign-in/oidc")
    with_their_own = get(other, back)
    here = get(mine, back)
    again = get(mine, back)
    stale = come_back(late, "sub-ann")
    clock.advance(minutes=11)
    over = get(late, stale)
    given_up = app.test_client()
    away = parse_qs(urlsplit(get(given_up, "/sign-in/oidc").headers["Location"]).query)
    gave_up = get(given_up, f"/sign-in/oidc/callback?error=access_denied&state={away['state'][0]}")
    forged = app.test_client()
    forged.set_cookie("sign-on", "00.e30=", path="/sign-in/oidc")

    assert away["code_challenge_method"] == ["S256"]
    assert away["redirect_uri"] == ["http://localhost/sign-in/oidc/callback"]
    assert here.status_code == 303
    for refused in (elsewhere, with_their_own, again, over, get(forged, "/sign-in/oidc/callback?state=&code=x")):
        assert (refused.status_code, "begin again" in refused.text) == (401, True)
    assert (gave_up.status_code, "did not sign you in" in gave_up.text) == (401, True)


def test_without_a_provider_there_is_no_way_to_one(app: flask.Flask) -> None:
    client = app.test_client()

    assert "/sign-in/oidc" not in get(client, "/sign-in").text
    assert get(client, "/sign-in/oidc").status_code == 404
    assert get(client, "/sign-in/oidc/callback").status_code == 404


def test_a_provider_that_is_away_leaves_the_password(
    app: flask.Flask, runtime: Runtime, provider: SignOnProvider
) -> None:
    runtimes.install(replace(runtime, sign_on=replace(provider, issuer="http://127.0.0.1:9")))

    answer = get(app.test_client(), "/sign-in/oidc")

    assert (answer.status_code, "cannot be reached" in answer.text) == (401, True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_the_provider_answers_must_prove_itself(
    runtime: Runtime, provider: SignOnProvider, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def code() -> tuple[Begun, str]:
        begun = oidc.begin(runtime, provider)
        assert isinstance(begun, Begun)
        there = requests.post(begun.url, data={"sub": "sub-ann"}, allow_redirects=False, timeout=10)
        return begun, parse_qs(urlsplit(there.headers["Location"]).query)["code"][0]

    def finished(as_provider: SignOnProvider = provider, nonce: str = "") -> Identity | Refused:
        begun, given = code()
        return oidc.finish(runtime, as_provider, given, nonce=nonce or begun.nonce, verifier=begun.verifier)

    good = finished()
    another_nonce = finished(nonce="another")
    another_client = finished(replace(provider, client_id="somebody"))
    begun, given = code()
    once = [oidc.finish(runtime, provider, given, nonce=begun.nonce, verifier=begun.verifier) for _ in range(2)]
    true_submit = outbound.submit
    answers = {
        "no JSON": b"<html>", "no token": b"{}", "no object": b"[1]", "no token at all": b'{"id_token": 7}',
        "unsigned": b'{"id_token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdWItYW5uIn0."}',
    }  # fmt: skip
    lies = {}
    for name, content in answers.items():
        monkeypatch.setattr(outbound, "submit", lambda *_args, content=content, **_kept: Got(content))
        lies[name] = finished()
    monkeypatch.setattr(outbound, "submit", lambda *_args, **_kept: NotTaken("answered 500", is_worth_repeating=True))
    lies["away"] = finished()

    def changed(*args: object, **kept: object) -> Got | NotTaken:
        got = true_submit(*args, **kept)  # type: ignore[arg-type]
        assert isinstance(got, Got)
        return Got(re.sub(rb'("id_token": ?"[^."]+\.)[^."]+', rb"\1eyJzdWIiOiJzdWItZXZlIn0", got.content))

    monkeypatch.setattr(outbound, "submit", changed)
    lies["another's claims under its signature"] = finished()
    monkeypatch.setattr(outbound, "submit", true_submit)
    clock.advance(hours=2)
    lies["over"] = finished()

    assert good == Identity(provider.issuer, "sub-ann", "ann@example.com")
    assert isinstance(once[0], Identity)
    for found in (another_nonce, another_client, once[1], *lies.values()):
        assert isinstance(found, Refused), lies
