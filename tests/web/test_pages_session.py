"""Signing in and out by form."""

from collections.abc import Callable

import flask
import pytest

from tests.conftest import PASSWORD
from tests.web.pages import fields, get, sign_in_by_form, submit
from web.pages import frame

Staff = Callable[..., str]


def test_a_person_is_sent_to_sign_in_and_then_where_he_wanted_to_go(app: flask.Flask, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    client = app.test_client()

    away = get(client, "/approvals?view=open")
    page = get(client, away.headers["Location"])
    back = submit(
        client, "/sign-in", fields(page.text, "/sign-in") | {"email": "ann@example.com", "password": PASSWORD}
    )

    assert (away.status_code, away.headers["Location"]) == (302, "/sign-in?next=/approvals%3Fview%3Dopen")
    assert (back.status_code, back.headers["Location"]) == (303, "/approvals?view=open")
    assert get(client, "/approvals?view=open").status_code == 200


def test_a_wrong_password_is_told_on_the_form_and_opens_nothing(app: flask.Flask, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    client = app.test_client()

    answer = submit(client, "/sign-in", {"email": "ann@example.com", "password": "not the one", "next": "/"})

    assert answer.status_code == 401
    assert "No one signs in with this address and password." in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "evil", ""],
)
def test_signing_in_never_leads_to_another_site(app: flask.Flask, staff: Staff, wanted: str) -> None:
    staff("ann@example.com", "finance")

    answer = submit(app.test_client(), "/sign-in", {"email": "ann@example.com", "password": PASSWORD, "next": wanted})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_a_local_path_with_its_query_is_kept() -> None:
    assert frame.local_path("/approvals/apr_1?view=open") == "/approvals/apr_1?view=open"


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_another_site_signs_nobody_in_here(app: flask.Flask, staff: Staff, headers: dict[str, str]) -> None:
    staff("ann@example.com", "finance")
    form = {"email": "ann@example.com", "password": PASSWORD, "next": "/"}

    answer = submit(app.test_client(), "/sign-in", form, **headers)

    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers


def test_signing_out_takes_the_forms_token_and_ends_the_session(app: flask.Flask, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    form = fields(get(client, "/approvals").text, "/sign-out")

    without = submit(client, "/sign-out", {})
    still = get(client, "/approvals").status_code
    answer = submit(client, "/sign-out", form)

    assert (without.status_code, still) == (403, 200)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert get(client, "/approvals").status_code == 302


def test_every_page_carries_the_policy_and_is_kept_nowhere(app: flask.Flask, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    client = app.test_client()
    signed_out = [get(client, "/sign-in"), get(client, "/approvals"), get(client, "/nothing-here")]
    sign_in_by_form(client, "ann@example.com")
    signed_in = [get(client, "/"), get(client, "/approvals"), get(client, "/approvals/apr_none")]

    for answer in signed_out + signed_in:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert answer.headers["Cache-Control"] == "no-store"
        assert " style=" not in answer.text
        assert "<style" not in answer.text
        assert "<script>" not in answer.text
    assert [answer.status_code for answer in signed_out + signed_in] == [200, 302, 404, 302, 200, 404]
    assert signed_in[2].mimetype == "text/html"


def test_programs_go_on_getting_problem_documents(app: flask.Flask) -> None:
    client = app.test_client()

    api = get(client, "/api/v1/approvals")
    unknown = client.get("/nothing-here")
    page = client.get("/approvals", headers={"Accept": "application/json"})

    assert (api.status_code, api.mimetype) == (401, "application/problem+json")
    assert (unknown.status_code, unknown.mimetype) == (404, "application/problem+json")
    assert (page.status_code, page.mimetype) == (401, "application/problem+json")


def test_the_rail_holds_only_what_the_person_may_open(app: flask.Flask, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")

    page = get(client, "/approvals").text

    for rule in ("/conversions", "/month-end"):
        assert (f'href="{rule}"' in page) == any(each.rule == rule for each in app.url_map.iter_rules())
