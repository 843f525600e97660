"""Conversions with their custody, and the month: over true rows, with hostile names in them."""

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime

import flask
import pytest

from core.ids import id_maker
from core.runtime import Runtime
from partners.models import Source
from postback.models import Conversion, ConversionEvent, Receipt
from reports.models import Discrepancy, Reconciliation
from tests.builders import Builder
from tests.conftest import START, TestClock
from tests.web.pages import get, sign_in_by_form, words_of

Staff = Callable[..., str]
HOSTILE = "<img src=x onerror=alert(1)>\u202e"
OCCURRED = datetime(2026, 10, 18, 14, 2, tzinfo=UTC)


@pytest.fixture
def conversion_ids(runtime: Runtime, clock: TestClock) -> list[str]:
    """Store three conversions of October 2026, one a second: TXN-0 and TXN-1 recorded, the last one held."""
    source = Source(
        id="src_1", name=f"Everflow {HOSTILE}", scheme="pb1", allowlist=[], stale="hold", default_currency="EUR",
        payout_means="owed_to_affiliate", dedupe_by="transaction_id", parameters={}, rate_per_second=200,
        rate_burst=1000, state="active", created_at=START,
    )  # fmt: skip
    with runtime.transaction() as session:
        session.add(source)
    ids = []
    for number in range(3):
        clock.advance(seconds=1)
        conversion_id, receipt_id = runtime.new_id("cnv"), runtime.new_id("rcp")
        transaction = HOSTILE if number == 2 else f"TXN-{number}"
        with runtime.transaction() as session:
            session.add(
                Conversion(
                    id=conversion_id, source_id="src_1", dedupe_key=transaction, content_sha256="0" * 64,
                    receipt_id=receipt_id, transaction_id=transaction, claimed_click_id="ABC123", event="sale",
                    payout_minor=1250, amount_minor=None, currency="EUR", occurred_at=OCCURRED, recorded_at=clock(),
                    subs={}, assurance="A", state="recorded", hold_reason="late" if number == 2 else None,
                )
            )  # fmt: skip
            session.flush()
            session.add(
                Receipt(
                    id=receipt_id, received_at=clock(), source_id="src_1", peer="192.0.2.7", method="GET",
                    raw_query=b"transaction_id=TXN&sub1=<b>&sig=03ac2d", raw_body=b"", signature_headers={},
                    verdict="believed", faults=[], assurance="A", covered_fields=[], dedupe_key=transaction,
                    outcome="accepted", conversion_id=conversion_id, latency_us=900,
                )
            )  # fmt: skip
            session.add(
                ConversionEvent(
                    conversion_id=conversion_id, seq=1, kind="recorded", at=clock(), actor_kind="system",
                    actor_id="intake", receipt_id=receipt_id, details={},
                )
            )  # fmt: skip
        ids.append(conversion_id)
    return ids


def signed_in(app: flask.Flask, staff: Staff, *roles: str) -> flask.testing.FlaskClient:
    staff("ann@example.com", *roles)
    client = app.test_client()
    sign_in_by_form(client, "ann@example.com")
    return client


def test_the_list_is_filtered_by_its_url_and_shows_hostile_text_as_text(
    app: flask.Flask, staff: Staff, conversion_ids: list[str]
) -> None:
    client = signed_in(app, staff, "affiliate_manager")

    every = get(client, "/conversions").text
    one = get(client, "/conversions?transaction_id=TXN-1&state=recorded&held=&period=2026-10").text
    held = get(client, "/conversions?held=true").text
    none = words_of(get(client, "/conversions?transaction_id=TXN-9").text)

    assert [f"/conversions/{each}" in every for each in conversion_ids] == [True, True, True]
    assert [f"/conversions/{each}" in one for each in conversion_ids] == [False, True, False]
    assert [f"/conversions/{each}" in held for each in conversion_ids] == [False, False, True]
    assert "No conversion matches We looked at transaction id TXN-9." in none
    assert "<img" not in every
    assert "&lt;img src=x onerror=alert(1)&gt;U+202E" in every
    assert '<span>12<span class="f">.50</span></span><span class="c">EUR</span>' in every


def test_the_list_is_filtered_by_every_state_a_conversion_can_stand_at(
    app: flask.Flask, staff: Staff, runtime: Runtime, conversion_ids: list[str]
) -> None:
    taken_back, tested, _ = conversion_ids
    with runtime.transaction() as session:
        session.get_one(Conversion, taken_back).state = "reversed"
        session.get_one(Conversion, tested).state = "test"
    client = signed_in(app, staff, "finance")

    every = get(client, "/conversions").text
    pages = {state: get(client, f"/conversions?state={state}").text for state in ("reversed", "test")}

    for state in ("unmatched", "recorded", "accrued", "rejected", "reversed", "test"):
        assert f'<option value="{state}"' in every
    assert [f"/conversions/{each}" in pages["reversed"] for each in conversion_ids] == [True, False, False]
    assert [f"/conversions/{each}" in pages["test"] for each in conversion_ids] == [False, True, False]
    assert "Taken back" in words_of(pages["reversed"])


def test_a_filter_that_cannot_be_is_told_on_the_page(app: flask.Flask, staff: Staff, conversion_ids: list[str]) -> None:
    client = signed_in(app, staff, "finance")

    state = get(client, "/conversions?state=%3Cb%3E")
    month = get(client, "/conversions?period=2026-13")

    assert (state.status_code, month.status_code) == (422, 422)
    assert "Correct the filters" in state.text


def test_the_list_goes_on_where_the_page_ended(
    app: flask.Flask, staff: Staff, conversion_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.pages.lists.ROWS_MAX", 2)
    client = signed_in(app, staff, "finance")

    first = get(client, "/conversions?state=recorded").text
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    rest = get(client, html.unescape(older)).text

    assert older.startswith("/conversions?state=recorded&amp;after=")
    assert [f"/conversions/{each}" in first for each in conversion_ids] == [False, True, True]
    assert [f"/conversions/{each}" in rest for each in conversion_ids] == [True, False, False]


def test_a_conversion_is_owed_until_the_bank_has_confirmed_its_payout(
    app: flask.Flask, staff: Staff, runtime: Runtime
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source, affiliate = build.source(), build.affiliate()
        campaign_id = build.click(affiliate).campaign_id
        conversions = [build.conversion(source, transaction, 1250) for transaction in ("PAID", "OWED")]
        payouts = [build.payout(affiliate, 1250, state=state) for state in ("settled", "sent")]
        session.flush()
        for conversion, payout in zip(conversions, payouts, strict=True):
            build.accrual(conversion, affiliate, campaign_id, payout_id=payout.id)
        ids = [conversion.id for conversion in conversions]
    client = signed_in(app, staff, "finance")

    titles = [get(client, f"/conversions/{each}").text.partition("</title>")[0] for each in ids]
    listed = get(client, "/conversions?state=accrued").text

    assert [title.rpartition("<title>")[2] for title in titles] == [
        "Conversion PAID: Paid – Clickledger",
        "Conversion OWED: Owed – Clickledger",
    ]
    assert (listed.count(">Paid</span>"), listed.count(">Owed</span>")) == (1, 1)


def test_custody_is_told_in_order_and_the_raw_request_only_to_those_who_may_see_it(
    app: flask.Flask, staff: Staff, conversion_ids: list[str]
) -> None:
    client = signed_in(app, staff, "finance")
    staff("mia@example.com", "affiliate_manager")
    manager = app.test_client()
    sign_in_by_form(manager, "mia@example.com")

    page = get(client, f"/conversions/{conversion_ids[2]}").text
    restricted = get(manager, f"/conversions/{conversion_ids[2]}").text

    assert "Custody: 2 records" in words_of(page)
    assert page.index("A postback came in: accepted.") < page.index("The conversion was recorded.")
    assert "sub1=&lt;b&gt;&amp;sig=03ac2d" in page
    assert "<img" not in page
    assert "sub1=" not in restricted
    assert get(client, "/conversions/cnv_none").status_code == 404


def test_a_month_says_whether_it_can_close_and_what_differs(
    app: flask.Flask, staff: Staff, runtime: Runtime, conversion_ids: list[str]
) -> None:
    with runtime.transaction() as session:
        session.add(
            Reconciliation(
                id="rec_1", period="2026-10", leg="network", source_id="src_1", state="finished",
                counts={"ours": 3, "theirs": 2, "matched": 1, "discrepancies": {"amount_mismatch": 1}},
                started_by="stf_1", created_at=START, finished_at=START,
            )
        )  # fmt: skip
        session.flush()
        session.add(
            Discrepancy(
                id=id_maker(runtime.clock)("dsc"), reconciliation_id="rec_1", period="2026-10", leg="network",
                klass="amount_mismatch", subject_key="network:amount_mismatch:1", source_id="src_1",
                conversion_id=conversion_ids[2], ours_minor=1250, ours_currency="EUR", theirs_minor=940,
                theirs_currency="EUR", state="open", created_at=START,
            )
        )  # fmt: skip
    client = signed_in(app, staff, "finance")

    months = words_of(get(client, "/month-end").text)
    page = get(client, "/month-end/2026-10").text
    filtered = words_of(get(client, "/month-end/2026-10?class=late").text)

    said = words_of(page)
    assert "October 2026 Open 1" in months
    assert "1 discrepancy left, \u22123.10 EUR." in said
    assert "1 of 3 ours, 2 theirs" in said
    assert "Amount mismatch" in said
    assert '<span class="neg">\u22123<span class="f">.10</span></span>' in page
    assert "No discrepancy is open" in said
    assert "1 left" in said
    assert "<img" not in page
    assert "None of this kind" in filtered
    assert get(client, "/month-end/2026-13").status_code == 422


def test_the_links_of_a_month_lead_to_what_exists(
    app: flask.Flask, staff: Staff, runtime: Runtime, conversion_ids: list[str]
) -> None:
    client = signed_in(app, staff, "finance")

    for path in ("report?format=csv", "report?format=json"):
        assert get(client, f"/api/v1/periods/2026-10/{path}").status_code == 200
    assert get(client, "/api/v1/journal?format=hledger&period=2026-10").status_code == 200


def test_a_month_is_for_those_who_keep_the_books(app: flask.Flask, staff: Staff) -> None:
    client = signed_in(app, staff, "affiliate_manager")

    home, month = get(client, "/"), get(client, "/month-end")

    assert home.headers["Location"] == "/today"
    assert (month.status_code, month.mimetype) == (403, "text/html")
    assert 'href="/month-end"' not in get(client, "/conversions").text
