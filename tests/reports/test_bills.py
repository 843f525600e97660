"""Payouts as bills for Xero and QuickBooks Online, through the real doors."""

import csv
import io
from collections.abc import Callable

import flask
import pytest

from core.runtime import Runtime
from tests.builders import Builder
from tests.conftest import Caller


@pytest.fixture
def payout_id(runtime: Runtime) -> str:
    """A payout of three accruals, one of them negative, to a payee named by a formula; and a rejected payout."""
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        affiliate = build.affiliate()
        click = build.click(affiliate)
        source = build.source()
        payout = build.payout(affiliate, 1900, state="approved")
        rejected = build.payout(affiliate, 5, state="rejected")
        for number, (amount_minor, its) in enumerate([(1250, payout), (-250, payout), (900, payout), (5, rejected)]):
            conversion = build.conversion(source, f"TX-{number}", amount_minor)
            build.accrual(conversion, affiliate, click.campaign_id, payout_id=its.id)
        payout.payee_name = '+Blog, "One" GmbH'
        return payout.id


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_xero_gets_a_line_an_accrual_and_they_sum_to_the_payout(payout_id: str, sign_in: Callable[..., Caller]) -> None:
    answer = sign_in("finance").get("/api/v1/bills?layout=xero&lines=accrual&period=2026-10")

    found = rows(answer.text)
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="bills-xero-2026-10.csv"'
    assert answer.text.splitlines()[0] == (
        "*ContactName,EmailAddress,POAddressLine1,POAddressLine2,POAddressLine3,POAddressLine4,POCity,PORegion,"
        "POPostalCode,POCountry,*InvoiceNumber,*InvoiceDate,*DueDate,Total,InventoryItemCode,Description,*Quantity,"
        "*UnitAmount,*AccountCode,TrackingName1,TrackingOption1,TrackingName2,TrackingOption2,Currency"
    )
    assert sorted((row["*UnitAmount"], row["*Quantity"], row["Currency"]) for row in found) == [
        ("-2.50", "1", "EUR"),
        ("12.50", "1", "EUR"),
        ("9.00", "1", "EUR"),
    ]
    assert {(row["*InvoiceNumber"], row["*InvoiceDate"], row["*AccountCode"]) for row in found} == {
        (payout_id, "2026-10-16", "6210")
    }


def test_quickbooks_gets_one_line_a_payout_with_a_number_it_can_keep(payout_id: str, machine: Caller) -> None:
    answer = machine.get("/api/v1/bills?layout=quickbooks&dates=month-first&tax=Out%20of%20scope")

    [row] = rows(answer.text)
    assert row == {
        "BillNo": payout_id[-20:],
        "Supplier": '\'+Blog, "One" GmbH',
        "BillDate": "10/16/2026",
        "DueDate": "10/16/2026",
        "Terms": "",
        "Location": "",
        "Memo": payout_id,
        "Account": "Affiliate Commission - Spring",
        "LineDescription": "Affiliate Commission - Spring: 3 accruals up to 2026-10",
        "LineAmount": "19.00",
        "LineTaxCode": "Out of scope",
        "LineTaxAmount": "",
        "Currency": "EUR",
    }


def test_a_month_without_payouts_is_a_header_alone(payout_id: str, machine: Caller) -> None:
    assert machine.get("/api/v1/bills?layout=xero&period=2026-09").text.count("\r\n") == 1


def test_what_is_asked_wrongly_is_named_at_once_and_others_see_no_bills(sign_in: Callable[..., Caller]) -> None:
    answer = sign_in("auditor").get("/api/v1/bills?layout=sage&lines=day&period=2026-13")

    assert (answer.status_code, sorted(fault["field"] for fault in answer.json["errors"])) == (
        422,
        ["layout", "lines", "period"],
    )
    assert sign_in("affiliate_manager").get("/api/v1/bills?layout=xero").status_code == 403


def test_the_command_line_writes_the_same_bills_and_journal(payout_id: str, app: flask.Flask, machine: Caller) -> None:
    run = app.test_cli_runner().invoke

    bills = run(args=["ledger", "bills", "--layout", "xero", "--lines", "accrual", "--period", "2026-10"])
    beans = run(args=["ledger", "export", "--format", "beancount"])

    assert bills.stdout_bytes == machine.get("/api/v1/bills?layout=xero&lines=accrual&period=2026-10").data
    assert beans.stdout_bytes == machine.get("/api/v1/journal?format=beancount").data
