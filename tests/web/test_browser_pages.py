"""Every page in a real browser: nothing that axe-core finds wrong, in both themes, on a desk and on a phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import axe_playwright_python  # type: ignore[import-untyped]  # it ships no types
import flask
import pytest
from playwright.sync_api import Browser

from access.roles import Role
from tests.conftest import PASSWORD
from tests.web.test_browser import address, browser, clock
from tests.web.test_pages_all import month, pages

__all__ = ["address", "browser", "clock", "month"]

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
# What WCAG 2.2 AA asks for, and axe-core's own advice about structure.
RUN = "() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
INSIDE = (
    "/sources/{source_id}", "/sources/new?scheme=pb1", "/receipts/{receipt_id}", "/conversions/{conversion_id}",
    "/payouts/{payout_id}", "/affiliates/{affiliate_id}", "/month-end/{period}", "/month-end/{period}/suggestions",
    "/month-end/{period}/close", "/explain/{conversion_id}", "/rules/approvals/new", "/rules/approvals/0",
    "/remittances/{remittance_id}", "/advertiser-lists/{list_id}", "/report-schedules/{schedule_id}",
)  # fmt: skip


@pytest.mark.timeout(300)  # some fifty pages, a second each where nothing else runs
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the pages are the same on either database
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_wrong_on_any_page(  # noqa: PLR0917 - what pytest hands over
    browser: Browser,
    address: str,
    app: flask.Flask,
    staff: Callable[..., str],
    month: dict[str, str],
    scheme: Any,
    width: int,
) -> None:
    staff("eve@example.com", *[role.value for role in Role])
    context = browser.new_context(base_url=address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    # Past the page's own content policy, which lets no script in: this one is the tester's.
    context.add_init_script(AXE.read_text(encoding="utf-8"))
    tab = context.new_page()
    tab.goto("/sign-in")
    tab.get_by_label("Work email").fill("eve@example.com")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    tab.wait_for_url("**/today")
    found = []
    for path in [*(path for path, _ in pages(app)), *(each.format(**month) for each in INSIDE)]:
        tab.goto(path)
        for violation in tab.evaluate(RUN)["violations"]:
            where = [node["target"] for node in violation["nodes"]][:3]
            found.append(f"{path}: {violation['id']}: {violation['help']} {where}")
    context.close()

    assert not found, "\n".join(found)
