"""Three people decide a payout in two steps and a fourth lets it go, in a browser, the first by keyboard alone."""

from collections.abc import Callable

import flask
import pytest
from playwright.sync_api import Browser, Page, expect

from approvals.models import ApprovalPolicy
from core.runtime import Runtime
from payouts import jobs
from tests.payouts.books import Books
from tests.web.test_browser import address, browser, clock, sign_in

__all__ = ["address", "browser", "clock"]

STEPS = [
    {"id": "manager", "approvers": {"role": "manager"}, "need": 1},
    {"id": "finance", "approvers": {"role": "finance"}, "need": 2},
]


def two_steps(runtime: Runtime) -> None:
    """Have a manager and then two of finance be asked."""
    with runtime.transaction() as session:
        chain = {"id": "default", "when": {}, "steps": STEPS}
        session.get_one(ApprovalPolicy, 0).content = {"defaults": {}, "chains": [chain]}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_three_people_decide_a_payout_in_two_steps_and_two_pay_it(
    browser: Browser,
    address: str,
    app: flask.Flask,
    runtime: Runtime,
    staff: Callable[..., str],
) -> None:
    people = {"mia": "manager", "cleo": "finance", "dan": "finance", "eve": "finance"}
    for name, role in people.items():
        staff(f"{name}@example.com", role)
    two_steps(runtime)
    books = Books(runtime)
    books.source()
    books.campaign()
    books.affiliate(name="Blog One")
    books.conversion("cnv_1", payout_minor=1250)
    jobs.accrue()
    jobs.bundle("2026-10")
    tabs: dict[str, Page] = {}
    for name in people:
        tabs[name] = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}).new_page()
        sign_in(tabs[name], f"{name}@example.com")

    by_keyboard(tabs["mia"])
    for name in ("cleo", "dan"):
        tabs[name].goto("/approvals")
        tabs[name].locator(".queue a.who").first.click()
        tabs[name].get_by_label("Comment (say why").fill("as agreed")
        tabs[name].get_by_role("button", name="Approve 12.50 EUR").click()
        expect(tabs[name].get_by_text("You have decided: approve")).to_be_visible()

    jobs.settle()  # what the stage does within seconds
    gatherer, releaser = tabs["cleo"], tabs["eve"]  # who decided it may not let it go
    gatherer.goto("/today")
    gatherer.get_by_role("link", name="1 payout approved, in no batch yet").click()
    gatherer.get_by_role("link", name="Batches").click()
    gatherer.get_by_role("link", name="Gather a batch").click()
    gatherer.get_by_role("button", name="Gather what is ticked").click()
    expect(gatherer.get_by_text("1 payout is gathered; another person releases the batch.")).to_be_visible()
    expect(gatherer.get_by_text("You gathered it: another person of finance releases it.")).to_be_visible()
    releaser.goto("/today")
    releaser.get_by_role("link", name="A batch to release").click()
    releaser.get_by_role("link", name="Release 12.50 EUR…").click()
    expect(releaser.get_by_text("twelve 50/100 EUR")).to_be_visible()
    releaser.get_by_role("button", name="Release 12.50 EUR").click()
    with releaser.expect_download() as download:
        releaser.get_by_role("link", name="Download pain.001").click()

    assert b"12.50" in download.value.path().read_bytes()
    for tab in tabs.values():
        tab.context.close()


def by_keyboard(tab: Page) -> None:
    """Decide the one request that waits without touching the mouse."""
    tab.goto("/approvals")
    tab.wait_for_load_state()
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="Approve 12.50 EUR")).to_be_visible()
    tab.wait_for_load_state()
    tab.keyboard.press("c")
    tab.keyboard.type("Looked at.")
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("button", name="Approve 12.50 EUR")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("You have decided: approve")).to_be_visible()
