"""The console in a real browser: scripts, content policy and forms as people meet them."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import flask
import pytest
import requests
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright
from werkzeug.serving import make_server

from approvals import queries
from core.runtime import Runtime
from tests.conftest import PASSWORD, Caller, TestClock
from tests.web.chromium import FLAGS

MISSING_CHROMIUM = "no Chromium: install Debian's chromium"
WAIT_MS = 10_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip(MISSING_CHROMIUM)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def clock() -> TestClock:
    """The present moment: a browser drops a cookie whose end has passed on its own clock."""
    return TestClock(datetime.now(UTC))


@pytest.fixture
def address(app: flask.Flask) -> Iterator[str]:
    """Address of the application, served on a port of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def complaints() -> list[str]:
    """Everything the browser complained of: script errors, refused content, failed requests."""
    return []


@pytest.fixture
def tab(browser: Browser, address: str, complaints: list[str]) -> Iterator[Page]:
    """A tab that notes what goes wrong in it."""
    context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    yield noted(context.new_page(), complaints)
    context.close()


def noted(page: Page, complaints: list[str]) -> Page:
    """Return `page`, whose complaints are noted from now on."""
    page.set_default_timeout(WAIT_MS)
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda failed: complaints.append(failed_because(failed)) if is_fault(failed) else None)
    return page


def is_fault(failed: Request) -> bool:
    """Say whether a request failed by somebody's fault: one cut short by the next page was nobody's."""
    return failed.failure != "net::ERR_ABORTED"


def failed_because(failed: Request) -> str:
    """Return what failed and why."""
    return f"{failed.url}: {failed.failure}"


def sign_in(tab: Page, email: str) -> None:
    tab.goto("/approvals")
    tab.get_by_label("Work email").fill(email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", name="Approvals")).to_be_visible()


def test_a_finance_person_signs_in_and_approves_a_payout(
    tab: Page, complaints: list[str], runtime: Runtime, staff: Callable[..., str], ask: Callable[..., str]
) -> None:
    staff("lena@example.com", "finance")
    request_id = ask(title="Gulf Deals <b>4u</b>", **{"affiliate.status": "new"})

    sign_in(tab, "lena@example.com")
    expect(tab.get_by_text("1 waits for you: 12,480.00 EUR.")).to_be_visible()
    tab.wait_for_load_state()
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="12,480.00 EUR")).to_be_visible()
    tab.wait_for_load_state()  # the heading is there before the script that knows the keys
    tab.keyboard.press("c")
    tab.keyboard.type("Checked by phone, a.")
    tab.get_by_role("button", name="Approve 12,480.00 EUR").click()

    expect(tab.get_by_text("You have decided: approve")).to_be_visible()
    with runtime.reading() as session:
        request = queries.one(session, request_id)
    assert (request.state, request.steps[0].decisions[0].comment) == ("approved", "Checked by phone, a.")
    assert complaints == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the pages are the same on either database
@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_scrolls_sideways_or_breaks_its_own_policy(
    tab: Page, complaints: list[str], staff: Callable[..., str], ask: Callable[..., str], width: int
) -> None:
    staff("lena@example.com", "finance", "admin", "auditor")
    request_id = ask(title="Mediengesellschaft Süddeutschland für Preisvergleiche mbH & Co. KG")
    tab.set_viewport_size({"width": width, "height": 800})
    sign_in(tab, "lena@example.com")

    for path in (
        "/approvals",
        f"/approvals/{request_id}",
        "/conversions",
        "/month-end",
        "/month-end/2026-10",
        "/reports",
        *("/today", "/payouts", "/batches", "/batches/new", "/imports", "/discrepancies", "/sources", "/sources/new"),
        *("/receipts", "/receipts/check", "/affiliates", "/affiliates/new", "/rules", "/rules/approvals/new"),
        *("/people", "/me", "/audit", "/delegations", "/month-end/2026-10/close"),
    ):
        tab.goto(path)
        expect(tab.get_by_role("button", name="Sign out").or_(tab.get_by_text("Menu")).first).to_be_attached()
        assert tab.url.endswith(path)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
    assert complaints == []


def test_light_or_dark_is_kept_by_the_browser(tab: Page, complaints: list[str], staff: Callable[..., str]) -> None:
    staff("lena@example.com", "finance")
    sign_in(tab, "lena@example.com")
    theme = "document.documentElement.dataset.theme"

    tab.get_by_role("button", name="Light or dark").first.click()
    tab.goto("/conversions")

    assert tab.evaluate(theme) == "dark"
    assert complaints == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_today_changes_by_itself_and_tells_the_hours_of_its_browser(
    browser: Browser, address: str, staff: Callable[..., str], machine: Caller
) -> None:
    staff("ada@example.com", "admin")
    tab = browser.new_context(base_url=address, timezone_id="Asia/Tokyo").new_page()
    tab.set_default_timeout(WAIT_MS)
    sign_in(tab, "ada@example.com")
    tab.goto("/today")
    tab.evaluate("window.isStillHere = true")
    tab.get_by_text("Show the chart as a table").click()
    tab.get_by_role("heading", name="Today").click()  # the focus leaves what was opened

    made = machine.post("/api/v1/sources", {"name": "Late arrival", "scheme": "pb1", "default_currency": "EUR"})

    assert made.status_code == 201
    expect(tab.get_by_role("link", name="Late arrival")).to_be_visible(timeout=WAIT_MS)
    expect(tab.get_by_role("region", name="Postbacks by hour, table")).to_be_visible(timeout=WAIT_MS)
    assert tab.evaluate("window.isStillHere")
    assert "times in Asia/Tokyo" in tab.inner_text("main")
    with tab.context.expect_event("requestfailed"):
        tab.context.set_offline(True)
    expect(tab.get_by_text("The server does not answer just now")).to_be_visible(timeout=WAIT_MS)
    tab.context.set_offline(False)
    expect(tab.get_by_text("The server does not answer just now")).to_be_hidden(timeout=WAIT_MS)
    tab.context.clear_cookies()
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible(timeout=WAIT_MS)
    tab.context.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_admin_makes_a_source_fires_at_it_and_sees_the_first_postback(
    tab: Page, complaints: list[str], staff: Callable[..., str], address: str
) -> None:
    staff("ada@example.com", "admin")
    sign_in(tab, "ada@example.com")

    tab.goto("/sources/new")
    tab.get_by_role("link", name="pb1", exact=True).click()
    tab.get_by_label("Name").fill("Our own shop")
    tab.get_by_role("button", name="Make the source").click()
    expect(tab.get_by_role("heading", name="Its secret, this once")).to_be_visible()
    tab.get_by_role("button", name="Test fire").click()
    expect(tab.get_by_text("200 believed, as it should")).to_be_visible()
    expect(tab.get_by_text("401 refused, as it should")).to_be_visible()
    tab.get_by_role("link", name="Our own shop").click()
    tab.get_by_text("A signed example, ready to run").click()
    command = tab.get_by_role("group", name="Example").inner_text()
    found = re.search(r"'?https?://[^/]+(/postback/[^' ]+)'?", command)
    assert found is not None
    fired = requests.get(f"{address}{found[1]}", timeout=10)
    tab.goto("/receipts")

    assert (fired.status_code, fired.json()["status"]) == (200, "accepted")
    expect(tab.get_by_text("Believed").last).to_be_visible()
    tab.goto("/sources")
    expect(tab.get_by_text("Test mode").first).to_be_visible()
    assert complaints == []
