"""Tables in a browser: sorted by a press on their headings, by keys too, and taken away as a file."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.runtime import Runtime
from tests.builders import Builder
from tests.web.test_browser import address, browser, clock, complaints, sign_in, tab

__all__ = ["Browser", "address", "browser", "clock", "complaints", "tab"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_list_is_sorted_filtered_and_taken_away_in_the_order_that_is_seen(
    tab: Page, complaints: list[str], runtime: Runtime, staff: Callable[..., str], tmp_path: Path
) -> None:
    staff("lena@example.com", "finance")
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        for name, amount_minor in (("Bee", 500), ("Ape", 70000), ("Cat", 1250)):
            build.payout(build.affiliate(name=name), amount_minor, state="approved")
        build.payout(build.affiliate(name="Dog"), 9, state="sent")
    names = tab.locator("tbody th.lead a")
    sign_in(tab, "lena@example.com")
    tab.goto("/payouts?state=approved")

    tab.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    expect(names).to_have_text(["Ape", "Cat", "Bee"])
    expect(tab.get_by_role("columnheader", name="Amount")).to_have_attribute("aria-sort", "descending")
    tab.get_by_role("columnheader", name="Affiliate").get_by_role("link").focus()
    tab.keyboard.press("Enter")
    expect(names).to_have_text(["Ape", "Bee", "Cat"])
    tab.get_by_label("State", exact=True).select_option("")
    tab.get_by_role("button", name="Filter").click()
    expect(names).to_have_text(["Ape", "Bee", "Cat", "Dog"])
    with tab.expect_download() as got:
        tab.get_by_role("link", name="CSV").click()
    got.value.save_as(tmp_path / "payouts.csv")
    with (tmp_path / "payouts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tab.set_viewport_size({"width": 390, "height": 800})  # no headings on a phone
    tab.get_by_label("Order").select_option("Amount, smallest first")
    tab.get_by_role("button", name="Filter").click()

    expect(names).to_have_text(["Dog", "Bee", "Cat", "Ape"])
    assert [row["affiliate"] for row in rows] == ["Ape", "Bee", "Cat", "Dog"]
    assert [row["amount"] for row in rows] == ["700.00", "5.00", "12.50", "0.09"]
    assert complaints == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_table_that_is_whole_on_its_page_sorts_there(
    tab: Page, complaints: list[str], runtime: Runtime, staff: Callable[..., str]
) -> None:
    staff("lena@example.com", "finance", "admin")
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        affiliate = build.affiliate()
        click = build.click(affiliate)
        payout = build.payout(affiliate, 112250, state="approved")
        for number, (name, minor) in enumerate((("Zoo", 1000), ("ant", 100000), ("Bee", -250), ("Bee", 11500))):
            source = build.source(f"{name} {number}")
            conversion = build.conversion(source, name, minor)
            build.accrual(conversion, affiliate, click.campaign_id, payout_id=payout.id)
    sign_in(tab, "lena@example.com")

    tab.goto("/sources")
    names = tab.locator("tbody th a")
    head = tab.get_by_role("columnheader", name="Source")
    head.get_by_role("button").focus()
    tab.keyboard.press("Enter")
    expect(names).to_have_text(["ant 1", "Bee 2", "Bee 3", "Zoo 0"])
    expect(head).to_have_attribute("aria-sort", "ascending")
    tab.keyboard.press("Enter")
    expect(names).to_have_text(["Zoo 0", "Bee 3", "Bee 2", "ant 1"])
    expect(head).to_have_attribute("aria-sort", "descending")
    tab.goto(f"/payouts/{payout.id}")
    tab.get_by_role("columnheader", name="Amount").get_by_role("button").click()

    # As numbers, the minus counted: as text 1,000.00 would come before 10.00.
    amounts = [text.removesuffix("EUR") for text in tab.locator("tbody td.money").all_inner_texts()]
    assert amounts == ["\u22122.50", "10.00", "115.00", "1,000.00"]
    assert complaints == []
