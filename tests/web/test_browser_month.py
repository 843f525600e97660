"""A month from its files to its close in a real browser, by what people click; one approval by the keyboard alone."""

import csv
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from playwright.sync_api import Browser, Page, expect

from approvals import queries
from core.runtime import Runtime
from payouts import jobs as payouts
from reports import jobs
from reports.importing import jobs as importing
from reports.resolving import jobs as resolving
from tests import servers
from tests.builders import OUR_IBAN
from tests.conftest import PASSWORD
from tests.payouts.books import Books
from tests.web.test_browser import address, browser, clock, sign_in
from web.pages.words import month as month_words

__all__ = ["address", "browser", "clock"]

PERIOD = "2026-10"
# T1 agrees, T2 is the network's 20.00 less, T3 never came back, NEAR has another name there, HAND nothing but its day.
REPORT = (
    "Reference;Verdict;Commission;Cur;Day\n"
    "T1;APPROVED;10.00;EUR;05.10.2026\n"
    "T2;APPROVED;30.00;EUR;05.10.2026\n"
    "other near;APPROVED;77.70;EUR;06.10.2026\n"
    "order by phone;APPROVED;40.00;EUR;28.10.2026\n"
    "T9;APPROVED;none;EUR;05.10.2026\n"
)
MAPPING = """delimiter: ";"
transaction_id: Reference
status: Verdict
amount: Commission
currency: Cur
occurred_on: {column: Day, format: "%d.%m.%Y", timezone: UTC}
"""
STATEMENT = f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt>
<GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-01T06:00:00+01:00</CreDtTm></GrpHdr><Stmt><Id>OCTOBER</Id>
<CreDtTm>2026-11-01T06:00:00+01:00</CreDtTm><Acct><Id><IBAN>{OUR_IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-10-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">95.80</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-10-31</Dt></Dt></Bal>
<Ntry><Amt Ccy="EUR">4.20</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-10-20</Dt></BookgDt>
<AddtlNtryInf>Fee of the account</AddtlNtryInf></Ntry></Stmt></BkToCstmrStmt></Document>""".encode()


# One database is enough for what people see: the one that companies run it on, where there is one.
KIND = "postgresql" if os.environ.get("TEST_DATABASE_URL") or servers.postgresql_binaries() else "sqlite"
pytestmark = pytest.mark.parametrize("database_url", [KIND], indirect=True)


@pytest.fixture
def tabs(browser: Browser, address: str, staff: Callable[..., str]) -> Iterator[dict[str, Page]]:
    """Three people, each in a browser of their own: a manager and two of finance."""
    found: dict[str, Page] = {}
    for name, role in (("mia", "manager"), ("cleo", "finance"), ("dan", "finance")):
        staff(f"{name}@example.com", role)
        found[name] = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900}).new_page()
        found[name].set_default_timeout(10_000)
        sign_in(found[name], f"{name}@example.com")
    yield found
    for tab in found.values():
        tab.context.close()


def october(runtime: Runtime) -> None:
    """Have six conversions of a network, all accrued."""
    books = Books(runtime)
    books.source()
    books.campaign()
    books.affiliate()
    for name, minor in (("T1", 1000), ("T2", 5000), ("T3", 500), ("T4", 600), ("near", 7777), ("hand", 4000)):
        books.conversion(f"cnv_{name}", payout_minor=minor, transaction_id=name)
    payouts.accrue()


def test_a_month_is_imported_matched_resolved_closed_and_taken_away_by_clicks(
    tabs: dict[str, Page], runtime: Runtime, app: flask.Flask
) -> None:
    october(runtime)
    mia, cleo, dan = tabs["mia"], tabs["cleo"], tabs["dan"]

    import_report(cleo)
    import_statement(cleo)
    run(mia)
    confirm_the_suggestion(mia)
    match_by_hand(mia)
    run(mia)
    explain_many(mia)
    resolve_the_rest(mia)
    approve(dan)
    close(dan)
    rows = export(mia)

    said = sorted((row["class"], row["state"], row["resolution"]) for row in rows)
    assert said == [
        ("amount_mismatch", "resolved", "accept"),
        ("fee_or_fx", "resolved", "explained"),
        ("missing_at_network", "carried", "carry_forward"),
        ("missing_at_network", "carried", "carry_forward"),
        ("unmatched_debit", "resolved", "explained"),
    ]


def rail(tab: Page, name: str) -> None:
    tab.get_by_role("navigation").get_by_role("link", name=name).first.click()


def to_month(tab: Page) -> None:
    rail(tab, "Month end")
    tab.get_by_role("link", name=month_words(PERIOD)).first.click()
    expect(tab.get_by_role("heading", level=1, name=month_words(PERIOD))).to_be_visible()


def import_report(tab: Page) -> None:
    """Send a report no mapping fits, write the mapping beside its columns, look again, load it."""
    to_month(tab)
    tab.get_by_role("link", name="Imports", exact=True).click()
    section = tab.get_by_role("region", name="A network's report")
    section.get_by_label("File").set_input_files(
        {"name": "october.csv", "mimeType": "text/csv", "buffer": REPORT.encode()}
    )
    section.get_by_label("Month").fill(PERIOD)
    section.get_by_role("button", name="Look at it").click()
    expect(tab.get_by_text("It is not understood yet.")).to_be_visible()
    tab.get_by_label("Mapping").fill(MAPPING)
    tab.get_by_role("button", name="Look again").click()
    expect(tab.get_by_text("4 lines understood, 1 row not.")).to_be_visible()
    tab.get_by_role("button", name="Import 4 lines").click()
    importing.import_reports()
    tab.get_by_role("link", name="To the statement").click()
    expect(tab.get_by_text("4 lines, 4 new, 0 were there.")).to_be_visible()


def import_statement(tab: Page) -> None:
    """Look at the bank's file and load it."""
    tab.get_by_role("link", name="Imports", exact=True).click()
    section = tab.get_by_role("region", name="A bank statement")
    section.get_by_label("File").set_input_files({"name": "october.xml", "mimeType": "text/xml", "buffer": STATEMENT})
    section.get_by_role("button", name="Look at it").click()
    expect(tab.get_by_text("Fee of the account")).to_be_visible()
    tab.get_by_role("button", name="Import it").click()
    expect(tab.get_by_text("1 lines are new")).to_be_visible()


def run(tab: Page) -> None:
    """Compare everything."""
    to_month(tab)
    tab.get_by_role("button", name="Compare now").click()
    expect(tab.get_by_text("It is in line")).to_be_visible()
    jobs.month_end()
    tab.reload()


def confirm_the_suggestion(tab: Page) -> None:
    """Say of the pair that is likely the same that it is."""
    tab.get_by_role("link", name="waits for a person").click()
    tab.get_by_role("checkbox").first.check()
    tab.get_by_label("Why").fill("the same order")
    tab.get_by_role("button", name="These are the same").click()
    expect(tab.get_by_text("1 confirmed.")).to_be_visible()


def match_by_hand(tab: Page) -> None:
    """Go from a conversion that the report lacks to why, and match it with the line there."""
    to_month(tab)
    tab.get_by_role("row").filter(has_text="order by phone").get_by_role("link").first.click()
    tab.get_by_role("link", name="Why?").click()
    tab.get_by_label("hand, 40.00 EUR").check()
    tab.get_by_label("Why").fill("the customer rang")
    tab.get_by_role("button", name="They are the same").click()
    expect(tab.get_by_text("Matched by hand.")).to_be_visible()


def explain_many(tab: Page) -> None:
    """Tick what is missing at the network and say the same of it at once."""
    to_month(tab)
    tab.get_by_role("link", name="All discrepancies").click()
    tab.get_by_label("What is wrong").select_option("missing_at_network")
    tab.get_by_role("button", name="Filter").click()
    for box in tab.get_by_role("checkbox").all():
        box.check()
    tab.get_by_role("button", name="Review what is ticked").click()
    expect(tab.get_by_role("heading", name="The same of 2 discrepancies")).to_be_visible()
    tab.get_by_label("What becomes of them").select_option("carry_forward")
    tab.get_by_label("Why").fill("next month's report has it")
    tab.get_by_role("button", name="Say it of 2").click()
    expect(tab.get_by_text("it is said of all of them")).to_be_visible()


def resolve_the_rest(tab: Page) -> None:
    """Resolve every other one by itself: one is accepted, which another person approves, the rest explained."""
    for name in ("Accept the difference", "Explain it", "Explain it"):
        if tab.get_by_role("link", name="Discrepancies", exact=True).count():
            tab.get_by_role("link", name="Discrepancies", exact=True).click()
        tab.get_by_label("State", exact=True).select_option("open")
        tab.get_by_role("button", name="Filter").click()
        rows = tab.get_by_role("row").filter(has=tab.get_by_role("checkbox"))
        row = rows.filter(has_text="Amount mismatch") if name == "Accept the difference" else rows.first
        row.get_by_role("link").first.click()
        section = tab.get_by_role("region", name=name)
        section.get_by_label("Why").fill("agreed with them")
        section.get_by_role("button", name=name).click()
        expect(tab.get_by_text("It is said.")).to_be_visible()


def approve(tab: Page) -> None:
    """Approve what was accepted, as another person."""
    tab.goto("/today")
    rail(tab, "Approvals")
    tab.locator(".queue a.who").first.click()
    tab.get_by_label("Comment (say why").fill("seen the mail")
    tab.get_by_role("button", name="Approve").click()
    expect(tab.get_by_text("You have decided: approve")).to_be_visible()
    resolving.resolve()


def close(tab: Page) -> None:
    """Close it."""
    to_month(tab)
    tab.get_by_role("link", name="Close October 2026…").click()
    tab.get_by_role("button", name="Close October 2026").click()
    expect(tab.get_by_text("The month is closed")).to_be_visible()


def export(tab: Page) -> list[dict[str, Any]]:
    """Download the month's exceptions as a person does."""
    to_month(tab)
    tab.get_by_role("link", name="All discrepancies").click()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="CSV", exact=True).click()
    return list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))


def by_key(tab: Page, key: str) -> None:
    """Press a key, and see that the focus then stands where a person sees it."""
    tab.keyboard.press(key)
    assert tab.evaluate("document.activeElement !== document.body && document.activeElement.matches(':focus-visible')")


def tab_to(tab: Page, selector: str, presses_max: int = 60) -> None:
    """Go to an element by the Tab key alone."""
    for _ in range(presses_max):
        by_key(tab, "Tab")
        if tab.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    message = f"the Tab key never comes to {selector}"
    raise AssertionError(message)


def test_a_person_signs_in_comments_and_decides_by_the_keyboard_alone(
    browser: Browser, address: str, runtime: Runtime, staff: Callable[..., str], ask: Callable[..., str]
) -> None:
    staff("cleo@example.com", "finance")
    request_id = ask(title="Blog One", **{"affiliate.status": "new"})
    tab = browser.new_context(base_url=address).new_page()

    tab.goto("/")
    type_sign_in(tab, "cleo@example.com")
    tab_to(tab, "a[href='/approvals']")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/approvals")
    tab.wait_for_load_state()
    by_key(tab, "j")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**/approvals/{request_id}")
    tab.wait_for_load_state()
    by_key(tab, "c")
    tab.keyboard.type("Read it, j and k are fine.")
    by_key(tab, "Tab")
    expect(tab.get_by_role("button", name="Approve 12,480.00 EUR")).to_be_focused()
    tab.keyboard.press("Space")
    expect(tab.get_by_text("You have decided: approve")).to_be_visible()
    by_key(tab, "Tab")
    tab.context.close()

    with runtime.reading() as session:
        request = queries.one(session, request_id)
    assert (request.state, request.steps[0].decisions[0].comment) == ("approved", "Read it, j and k are fine.")


def test_the_wrong_roles_are_turned_away_by_the_keyboard_too(
    browser: Browser, address: str, staff: Callable[..., str], ask: Callable[..., str]
) -> None:
    staff("audra@example.com", "auditor")
    staff("sam@example.com", "affiliate_manager")
    request_id = ask(title="Blog One")

    seen = {}
    for name in ("audra", "sam"):
        tab = browser.new_context(base_url=address).new_page()
        tab.goto(f"/approvals/{request_id}")
        type_sign_in(tab, f"{name}@example.com")
        tab.wait_for_url(f"**/approvals/{request_id}")
        seen[name] = (tab.get_by_role("button", name="Approve").count(), tab.locator("main").inner_text())
        tab.context.close()

    assert {name: buttons for name, (buttons, _) in seen.items()} == {"audra": 0, "sam": 0}
    assert "12,480.00 EUR" in seen["audra"][1]
    assert "12,480.00" not in seen["sam"][1]


def type_sign_in(tab: Page, email: str) -> None:
    """Fill in the sign-in page by Tab, letters and Enter."""
    tab.wait_for_load_state()
    if not tab.evaluate("document.activeElement.matches('[name=email]')"):
        tab_to(tab, "[name=email]")
    tab.keyboard.type(email)
    tab_to(tab, "[name=password]")
    tab.keyboard.type(PASSWORD)
    tab.keyboard.press("Enter")
    tab.wait_for_url(lambda url: "/sign-in" not in url)
