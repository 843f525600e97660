"""Lists: whatever they are sorted by, their pages together are the file that is exported."""

import csv
import html
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import flask
import openpyxl
import pytest
from flask.testing import FlaskClient

from core.runtime import Runtime
from partners.models import Source
from reports.advertiser_models import AdvertiserList
from reports.delivery.models import ReportSchedule
from reports.exports.formats import FORMATS
from reports.models import Discrepancy, Reconciliation
from reports.remittance_models import Remittance
from tests.builders import OCTOBER, Builder
from tests.conftest import START
from tests.web.pages import get, sign_in_by_form
from web.pages import (
    advertiser_lists,
    affiliates,
    audit_log,
    batches,
    conversions,
    discrepancies,
    imports,
    lists,
    payouts,
    receipts,
    remittances,
    report_schedules,
    set_up_lists,
)

Staff = Callable[..., str]
PAGED = [
    each.LISTING
    for each in (
        advertiser_lists, affiliates, audit_log, batches, conversions, discrepancies, imports, payouts, receipts,
        remittances, report_schedules,
    )
]  # fmt: skip
ROWS = 7
# A formula to a spreadsheet, one that differs by a capital only, and the same name three times.
NAMES = ("=1+1", "Zed", "zed", "Ärger", "<b>", "<b>", "<b>")


@pytest.fixture
def plenty(runtime: Runtime) -> None:
    """Seven rows in every list, with equal values, values that are missing, and three currencies."""
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        for number in range(ROWS):
            currency, moment = ("EUR", "JPY", "USD")[number % 3], OCTOBER + timedelta(hours=number % 2)
            source = build.source(f"{NAMES[number]} {number}")
            affiliate = build.affiliate(
                name=NAMES[number],
                currency=currency,
                payee_name=None if number % 2 else "One",
                payee_iban="" if number % 2 else "DE89370400440532013000",
            )
            whose = None if number == 3 else affiliate.id
            told = (1250, None, 7)[number % 3]
            conversion = build.conversion(
                source, f"T{9 - number}", told, affiliate_id=whose, currency=currency, occurred_at=moment
            )
            build.receipt(conversion)
            payout = build.payout(affiliate, 100 * (number % 3), state=("sent", "approved")[number % 2])
            if number % 2:
                build.bank_statement(reference=None)
            else:
                build.report(source)
            build.sent(payout, f"E2E{number}")
            _of_month_end(runtime, build, source, number)


def _of_month_end(runtime: Runtime, build: Builder, source: Source, number: int) -> None:
    made: dict[str, Any] = {"created_by": "stf_1", "created_at": OCTOBER}
    asked = Reconciliation(
        id=f"rec_{number}", period="2026-10", leg="network", source_id=source.id, state="finished", counts={},
        started_by="stf_1", created_at=START, finished_at=START,
    )  # fmt: skip
    build.session.add(asked)
    build.session.flush()
    build.session.add_all(
        [
            Discrepancy(
                id=runtime.new_id("dsc"), reconciliation_id=asked.id, period=f"2026-0{1 + number % 3}", leg="network",
                klass=("amount_mismatch", "missing_at_us")[number % 2], subject_key=f"k{number}", source_id=source.id,
                ours_minor=(1250, 7, None)[number % 3], ours_currency=("EUR", "EUR", None)[number % 3],
                theirs_minor=(None, 9, 12)[number % 3], theirs_currency=(None, "EUR", "JPY")[number % 3], state="open",
                owner=None, created_at=START - timedelta(days=number % 4),
            ),
            Remittance(
                id=runtime.new_id("rem"), source_id=source.id, period="2026-10",
                reference=f"R{number}" if number % 2 else None, amount_minor=100 * number, currency="EUR",
                due_on=date(2026, 11, 1 + number) if number % 3 else None, state="open", origin="announced",
                changed_at=OCTOBER, **made,
            ),
            AdvertiserList(
                id=runtime.new_id("adl"), source_id=source.id, period="2026-10", compares="sale", seed=1,
                sample_percent=100, mapping={}, file_name=f"f{number % 2}.csv", file_sha256="0" * 64, lines=number % 3,
                rejected=[], state="waiting", counts={"discrepancies": {"amount_mismatch": 2}},
                checked_at=OCTOBER if number % 2 else None, imported_at=OCTOBER, imported_by="stf_1",
            ),
            ReportSchedule(
                id=runtime.new_id("sch"), name=NAMES[number], day=1 + number % 2, hour=6, reports=["month"],
                formats=["csv"], recipients=[], folder=f"f{number}", state="active", counts_from=OCTOBER, **made,
            ),
        ]
    )  # fmt: skip
    build.session.flush()


@pytest.fixture
def client(app: flask.Flask, staff: Staff, plenty: None) -> FlaskClient:
    """Somebody with every role."""
    for number in range(ROWS):
        staff(f"p{number}@example.com", "finance")  # acts for the audit log
    staff("eve@example.com", "admin", "auditor", "finance", "manager")
    signed_in = app.test_client()
    sign_in_by_form(signed_in, "eve@example.com")
    return signed_in


def exported(client: FlaskClient, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "text/csv"), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))


def ids_of(rows: list[dict[str, str]]) -> list[str]:
    return [next(iter(row.values())) for row in rows]


def walked(client: FlaskClient, path: str) -> Iterator[str]:
    """Yield the ids of a list's rows, page after page."""
    for _ in range(50):
        page = get(client, path).text
        table = page[page.index("<tbody>", page.index('id="list"' if 'id="list"' in page else 'id="acts"')) :]
        yield from re.findall(r'<tr>.*?(?:href="/[a-z-]+/|num lead">)([a-z0-9_]+)', table, re.DOTALL)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        if older is None:
            return
        path = html.unescape(older[1])


@pytest.mark.parametrize("listing", PAGED, ids=lambda listing: listing.path)
def test_the_pages_of_a_list_are_its_file_however_it_is_sorted(
    client: FlaskClient, listing: lists.Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "ROWS_MAX", 3)
    monkeypatch.setattr(lists, "EXPORTED_AT_ONCE", 2)
    sorts = ["", *(f"{minus}{name}" for name in listing.sorts for minus in ("", "-"))]
    orders = {}
    for sort in sorts:
        # The audit log grows with every export of it, were that an act; it is none.
        orders[sort] = ids_of(exported(client, f"{listing.path}.csv?sort={sort}"))
        assert list(walked(client, f"{listing.path}?sort={sort}")) == orders[sort], sort
        assert len(set(orders[sort])) == len(orders[sort]) >= ROWS, sort

    assert len({frozenset(order) for order in orders.values()}) == 1
    for name in listing.sorts:
        assert orders[name] == orders[f"-{name}"][::-1]


def test_a_heading_says_how_the_list_is_sorted_and_turns_it_round(client: FlaskClient) -> None:
    def head(path: str, label: str) -> tuple[str, str]:
        [(before, href)] = re.findall(
            rf'<th scope="col"([^>]*)><a class="sort" href="([^"]+)">{label}</a>', get(client, path).text
        )
        return before, html.unescape(href)

    unsorted = head("/payouts?state=sent", "Amount")
    first = head(unsorted[1], "Amount")
    second = head(first[1], "Amount")
    newest = head("/batches", "Gathered")
    by_name = exported(client, "/affiliates.csv?sort=affiliate")
    by_amount = exported(client, "/payouts.csv?sort=-amount")

    assert unsorted == (' class="money"', "/payouts?state=sent&sort=-amount")
    assert first == (' class="money" aria-sort="descending"', "/payouts?state=sent&sort=amount")
    assert second == (' class="money" aria-sort="ascending"', "/payouts?state=sent&sort=-amount")
    assert newest == (' aria-sort="descending"', "/batches?sort=gathered")
    # Capitals part nothing: the two stand side by side, before what another script begins with.
    assert [row["name"].lower() for row in by_name][4:6] == ["zed", "zed"]
    assert [row["amount"] for row in by_amount] == ["2.00"] * 2 + ["1.00"] * 2 + ["0.00"] * 3


def test_a_file_holds_what_the_filters_leave_and_computes_nothing(client: FlaskClient) -> None:
    sent = exported(client, "/payouts.csv?state=sent&sort=month")
    named = exported(client, "/affiliates.csv?name=ZED")
    formula = exported(client, "/affiliates.csv?name=1%2B1")
    nothing = exported(client, "/conversions.csv?transaction_id=none")
    people = exported(client, "/people.csv")
    sources = exported(client, "/sources.csv")
    book = client.get("/conversions.xlsx?state=accrued&sort=-payout_told")
    sheet = openpyxl.load_workbook(io.BytesIO(book.data)).active
    assert sheet is not None
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]

    assert {row["state"] for row in sent} == {"sent"}
    assert {row["name"] for row in named} == {"zed", "Zed"}
    assert [row["name"] for row in formula] == ["'=1+1"]
    assert nothing == []
    assert {"eve@example.com", "p1@example.com"} <= {row["email"] for row in people}
    assert len(sources) == ROWS
    assert "attachment" in book.headers["Content-Disposition"]
    assert sum(str(row[0]).startswith("cnv_") for row in cells) == ROWS


def test_what_cannot_be_read_shows_everything_on_the_page_and_makes_no_file(client: FlaskClient) -> None:
    for path, field in (
        ("/payouts{}?state=gone", "state"),
        ("/payouts{}?sort=colour", "sort"),
        ("/affiliates{}?status=gone", "status"),
        ("/affiliates{}?name=%00", "name"),
        ("/conversions{}?transaction_id=%00&period=2026-13", "transaction id"),
        ("/audit{}?subject_id=%00", "subject id"),
    ):
        page = get(client, path.format(""))
        file = client.get(path.format(".csv"), headers={"Accept": "application/json"})

        assert page.status_code == 422, path
        assert f"{field}: " in page.text.lower(), path
        assert "Export all that match" not in page.text, path
        assert (file.status_code, file.mimetype) == (422, "application/problem+json"), path
        assert field.replace(" ", "_") in {fault["field"] for fault in file.get_json()["errors"]}, path


def test_a_form_that_somebody_waits_for_refuses_more_rows_than_it_bears(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(FORMATS["xlsx"], rows_at_once_max=ROWS - 1)
    monkeypatch.setattr(lists, "FORMATS", {**FORMATS, "xlsx": few})

    book = client.get("/conversions.xlsx", headers={"Accept": "application/json"})
    text = client.get("/conversions.csv")

    assert (book.status_code, book.get_json()["type"]) == (422, "/problems/too-many-rows")
    assert text.status_code == 200


def test_a_file_is_for_those_who_may_see_its_page(app: flask.Flask) -> None:
    doors = {
        rule.rule: getattr(app.view_functions[rule.endpoint], "door", None)
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ())
    }
    listings = [*PAGED, set_up_lists.SOURCES, set_up_lists.PEOPLE]

    for listing in listings:
        assert doors[f"{listing.path}.<any(csv, xlsx):form>"] == doors[listing.path], listing.path
