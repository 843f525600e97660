"""Passkeys by form and in a real browser: added, used instead of a password, shown before money moves, removed."""

import html
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import flask
import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from access import people
from access.lockout import address_keys
from core import runtime as runtimes
from core.actors import system
from core.runtime import Runtime
from tests.access.device import Device
from tests.conftest import PASSWORD, Caller, TestClock
from tests.web.pages import fields, get, sign_in_by_form, submit, words_of
from tests.web.test_browser import browser, clock, complaints, noted

__all__ = ["browser", "clock", "complaints"]
Staff = Callable[..., str]


def options(page: str, kind: str) -> str:
    [found] = re.findall(rf'data-passkey="{kind}" data-options="([^"]+)"', page)
    return html.unescape(found)


def added(client: FlaskClient, device: Device, name: str = "Laptop") -> str:
    """Add a passkey by the form on /me; return the page that answers."""
    page = get(client, "/me").text
    form = fields(page, "/me/passkeys") | {"name": name, "credential": device.create(options(page, "create"))}
    return submit(client, "/me/passkeys", form).text


def signed_in_by(client: FlaskClient, device: Device, next_path: str = "/me", **headers: str) -> tuple[int, str]:
    page = get(client, f"/sign-in?next={next_path}").text
    form = fields(page, "/sign-in/passkey") | {"credential": device.get(options(page, "get"))}
    answer = submit(client, "/sign-in/passkey", form, **headers)
    return answer.status_code, answer.headers.get("Location") or words_of(answer.text)


def test_a_passkey_signs_in_without_password_and_is_no_longer_asked_for(
    app: flask.Flask, runtime: Runtime, clock: TestClock, staff: Staff
) -> None:
    staff_id = staff("ann@example.com", "finance")
    client, elsewhere, device = app.test_client(), app.test_client(), Device()
    sign_in_by_form(client, "ann@example.com")

    codes = added(client, device, " <b>Laptop</b> ")
    shown = get(client, "/me").text
    there = signed_in_by(elsewhere, device, "/payouts")
    by_password = submit(app.test_client(), "/sign-in", {"email": "ann@example.com", "password": PASSWORD, "next": "/"})
    clock.advance(minutes=11)
    form = fields(get(client, "/me").text, "/me/passkeys")
    not_shown = submit(client, "/me/passkeys", form | {"name": "Key", "credential": "{}"})
    asked = get(client, "/me/step-up?next=/me").text
    answer = {"credential": device.get(options(asked, "get")), "next": "//evil.example"}
    step = submit(client, "/me/step-up", fields(asked, "/me/step-up") | answer)
    again = submit(client, "/me/step-up", fields(asked, "/me/step-up") | answer)
    more = added(client, Device(), "Key")
    [removing, _] = re.findall(r'action="(/me/passkeys/[^"]+/remove)"', get(client, "/me").text)
    removed = submit(client, removing, fields(get(client, "/me").text, removing))
    with runtime.transaction() as session:
        people.disable(session, staff_id, actor=system("tests"), now=clock())
    turned_away = signed_in_by(app.test_client(), device)

    assert "shown this once" in codes
    assert "&lt;b&gt;Laptop&lt;/b&gt;" in shown
    assert there == (303, "/payouts")
    assert "Code of your second factor" in by_password.text  # the password alone is not enough any more
    assert (not_shown.status_code, "takes the code" in not_shown.text.lower()) == (422, True)
    assert (step.status_code, step.headers["Location"]) == (303, "/")
    assert again.status_code == 422
    assert "sent before" in again.text
    assert "shown this once" not in more
    assert removed.status_code == 303
    assert turned_away[0] == 401


def test_what_signs_nobody_in_slows_down_its_address_and_other_sites_are_refused(
    app: flask.Flask, clock: TestClock, staff: Staff
) -> None:
    staff("ann@example.com", "finance")
    client, device = app.test_client(), Device()
    sign_in_by_form(client, "ann@example.com")
    added(client, device)
    stranger = app.test_client()
    [key] = address_keys("127.0.0.1")

    foreign = signed_in_by(stranger, device, Origin="https://evil.example")
    wrong = [signed_in_by(stranger, Device()) for _ in range(key.free + 1)]
    blocked = signed_in_by(stranger, device)
    clock.advance(minutes=16)
    let_in = signed_in_by(stranger, device)

    assert foreign[0] == 403
    assert {each[0] for each in wrong} == {401}
    assert "This passkey signs nobody in here." in wrong[0][1]
    assert (blocked[0], "Too many attempts failed" in blocked[1]) == (401, True)
    assert let_in == (303, "/me")


def test_a_secret_is_shown_after_the_second_factor_alone(
    app: flask.Flask, clock: TestClock, staff: Staff, machine: Caller
) -> None:
    staff("bob@example.com", "admin")
    client, device = app.test_client(), Device()
    sign_in_by_form(client, "bob@example.com")
    added(client, device)
    source_id = machine.post("/api/v1/sources", {"name": "Everflow", "scheme": "pb1"}).json["id"]
    path = f"/sources/{source_id}/secrets"
    clock.advance(minutes=11)

    page = get(client, f"/sources/{source_id}").text
    csrf = fields(page, path)
    refused = submit(client, path, csrf)
    no_token = submit(client, "/tokens", csrf | {"name": "shop", "days": "30", "scopes[]": "clicks:write"})
    no_source = submit(client, "/sources", csrf | {"name": "Another", "scheme": "pb1"})
    by_api = client.post(f"/api/v1{path}", json={}, headers={"X-CSRF-Token": csrf["csrf_token"]})
    asked = get(client, f"/me/step-up?next=/sources/{source_id}").text
    answer = {"credential": device.get(options(asked, "get")), "next": f"/sources/{source_id}"}
    back = submit(client, "/me/step-up", fields(asked, "/me/step-up") | answer)
    rotated = submit(client, path, csrf)

    assert f'href="/me/step-up?next=/sources/{source_id}' in page
    assert [each.status_code for each in (refused, no_token, no_source)] == [422] * 3
    assert "whsec_" not in refused.text
    assert (by_api.status_code, by_api.get_json()["type"]) == (403, "/problems/step-up-needed")
    assert back.headers["Location"] == f"/sources/{source_id}"
    assert (rotated.status_code, "whsec_" in rotated.text) == (201, True)
    assert machine.post(f"/api/v1{path}", {}).status_code == 201  # a token has its scope, and no second factor


def test_an_admin_removes_what_somebody_has_lost(app: flask.Flask, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    staff("bob@example.com", "admin")
    ann, bob, device = app.test_client(), app.test_client(), Device()
    sign_in_by_form(ann, "ann@example.com")
    sign_in_by_form(bob, "bob@example.com")
    added(ann, device)
    [removing] = re.findall(r'action="(/people/[^"]+/second-factor/remove)"', get(bob, "/people").text)

    removed = submit(bob, removing, fields(get(bob, "/people").text, removing))
    by_passkey = signed_in_by(app.test_client(), device)
    by_password = submit(app.test_client(), "/sign-in", {"email": "ann@example.com", "password": PASSWORD, "next": "/"})

    assert removed.status_code == 303
    assert by_passkey[0] == 401
    assert by_password.status_code == 303


def test_where_browsers_do_none_the_pages_say_so(app: flask.Flask, runtime: Runtime, staff: Staff) -> None:
    staff("ann@example.com", "finance")
    runtimes.install(replace(runtime, public_url="http://192.0.2.1:8000"))
    client = app.test_client()

    sign_in_by_form(client, "ann@example.com")

    assert "data-passkey" not in get(app.test_client(), "/sign-in").text
    assert "PUBLIC_URL" in get(client, "/me").text


@pytest.fixture
def by_name(app: flask.Flask, runtime: Runtime) -> Iterator[str]:
    """Address of the application by name, which is its public address too: browsers do no passkeys for numbers."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    address = f"http://localhost:{server.port}"
    runtimes.install(replace(runtime, public_url=address))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def device_tab(browser: Browser, by_name: str, complaints: list[str]) -> Iterator[Page]:
    """A tab on a machine that has a key of its own and recognises its person."""
    context = browser.new_context(base_url=by_name, viewport={"width": 1280, "height": 900})
    tab = noted(context.new_page(), complaints)
    chrome = context.new_cdp_session(tab)
    chrome.send("WebAuthn.enable")
    made = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    chrome.send("WebAuthn.addVirtualAuthenticator", {"options": made})
    yield tab
    context.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_person_adds_a_passkey_signs_in_with_it_and_shows_it_again(
    device_tab: Page, complaints: list[str], clock: TestClock, staff: Staff
) -> None:
    staff("lena@example.com", "finance")
    tab = device_tab
    tab.goto("/sign-in?next=/me")
    tab.get_by_label("Work email").fill("lena@example.com")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    tab.get_by_label("Name of the device").fill("This machine")
    tab.get_by_role("button", name="Add a passkey").click()
    expect(tab.get_by_role("heading", name="Your second factor is on")).to_be_visible()
    tab.get_by_role("button", name="Sign out").first.click()

    tab.goto("/sign-in?next=/me")
    tab.get_by_role("button", name="Use a passkey").click()
    expect(tab.get_by_role("heading", name="lena@example.com")).to_be_visible()
    expect(tab.get_by_text("This machine").first).to_be_visible()
    expect(tab.get_by_text("last used")).to_be_visible()
    clock.advance(minutes=11)
    tab.goto("/me")
    tab.get_by_role("link", name="Show it first").click()
    tab.get_by_role("button", name="Show my passkey").click()
    expect(tab.get_by_text("for ten minutes nothing asks for it")).to_be_visible()
    tab.get_by_role("button", name="Remove This machine").click()

    expect(tab.get_by_text("The passkey is removed")).to_be_visible()
    expect(tab.get_by_text("0 passkeys")).to_be_visible()
    assert complaints == []
