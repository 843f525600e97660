"""What we owe an affiliate: a balance whose parts are its whole, and a statement that is the books' own."""

import csv
import io
from collections.abc import Callable
from datetime import date
from typing import Any

from payouts import jobs
from postback.models import Conversion
from tests.conftest import Caller
from tests.payouts.books import Books, Payers

BALANCE = "/api/v1/affiliates/{}/balance"


def euros(balance: dict[str, Any]) -> dict[str, str]:
    return {name: money["amount"] for name, money in balance.items() if isinstance(money, dict)}


def test_every_cent_accrued_stands_in_one_place(payers: Payers) -> None:
    books = payers.books
    for name, payout_minor in (("paid", 100), ("in", 200)):
        books.conversion(f"cnv_{name}", payout_minor=payout_minor)
        jobs.accrue()
        jobs.bundle("2026-10")
        if name == "paid":
            [payout_id] = [payout.id for payout in books.payouts()]
            books.change(type(books.payouts()[0]), payout_id, state="approved")
            payers.said(payers.sent("sepa"), "settled")
    books.conversion("cnv_held", payout_minor=400)
    books.conversion("cnv_free", payout_minor=800)
    books.conversion("cnv_usd", payout_minor=1600, currency="USD")
    jobs.accrue()
    books.change(Conversion, "cnv_held", hold_reason="conflict")

    answer = payers.gatherer.get(BALANCE.format("aff_1"))

    own, other = answer.json["balances"]
    assert euros(own) == {
        "accrued": "15.00", "held": "4.00", "payable": "8.00", "in_payout": "2.00", "paid": "1.00",
        "negative_carried": "0.00",
    }  # fmt: skip
    assert (other["currency"], other["accrued"]["amount"]) == ("USD", "16.00")


def test_a_debt_is_carried_and_shown_as_such(books: Books, payers: Payers) -> None:
    books.conversion("cnv_1", payout_minor=100)
    jobs.accrue()
    jobs.bundle("2026-10")
    [payout] = books.payouts()
    books.change(type(payout), payout.id, state="approved")
    payers.said(payers.sent("sepa"), "settled")
    books.change(Conversion, "cnv_1", state="reversed", is_accrual_due=True)
    jobs.accrue()

    [balance] = payers.gatherer.get(BALANCE.format("aff_1")).json["balances"]

    assert euros(balance) == {
        "accrued": "0.00", "held": "0.00", "payable": "-1.00", "in_payout": "0.00", "paid": "1.00",
        "negative_carried": "-1.00",
    }  # fmt: skip


def test_an_affiliate_without_anything_has_a_balance_of_nothing(books: Books, sign_in: Callable[..., Caller]) -> None:
    manager = sign_in("affiliate_manager")

    [balance] = manager.get(BALANCE.format("aff_1")).json["balances"]

    assert set(euros(balance).values()) == {"0.00"}
    assert manager.get(BALANCE.format("aff_none")).status_code == 404


def test_the_statement_runs_from_opening_to_closing_page_by_page(payers: Payers) -> None:
    books = payers.books
    for number in range(5):
        books.conversion(f"cnv_{number}", payout_minor=10**number)
    jobs.accrue()
    jobs.bundle("2026-10")
    [payout] = books.payouts()
    books.change(type(payout), payout.id, state="approved")
    payers.said(payers.sent("sepa"), "failed")
    path = "/api/v1/affiliates/aff_1/statement"

    whole = payers.gatherer.get(path).json
    pages, after = [], ""
    while True:
        page = payers.gatherer.get(f"{path}?limit=2{after}").json
        pages += page["items"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    november = payers.gatherer.get(f"{path}?since=2026-11").json

    assert pages == whole["items"]
    # Two entries of one millisecond come in any order.
    kinds = [line["kind"] for line in whole["items"]]
    assert (kinds[:5], sorted(kinds[5:])) == (["accrual"] * 5, ["batch_sent", "payment_failed"])
    before, between, after = [line["balance"]["amount"] for line in whole["items"]][-3:]
    assert (before, after, between in {"0.00", "222.22"}) == ("111.11", "111.11", True)
    assert (whole["opening"]["amount"], whole["closing"]["amount"]) == ("0.00", "111.11")
    assert (november["opening"]["amount"], len(november["items"])) == ("111.11", 2)
    october = payers.gatherer.get(f"{path}?until=2026-10").json
    assert (october["closing"]["amount"], october["until"]) == ("111.11", str(date(2026, 10, 31)))


def test_the_statement_as_csv_says_the_same(payers: Payers) -> None:
    payers.books.conversion("cnv_1", payout_minor=1250)
    jobs.accrue()

    answer = payers.gatherer.get("/api/v1/affiliates/aff_1/statement.csv?since=2026-10&until=2026-10")

    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert answer.mimetype == "text/csv"
    assert [(line["kind"], line["amount"], line["balance"]) for line in lines] == [
        ("opening", "", "0.00"),
        ("accrual", "12.50", "12.50"),
        ("closing", "", "12.50"),
    ]


def test_months_the_wrong_way_round_and_strange_cursors_are_refused(
    books: Books, sign_in: Callable[..., Caller]
) -> None:
    finance, path = sign_in("finance"), "/api/v1/affiliates/aff_1/statement"

    assert finance.get(f"{path}?since=2026-11&until=2026-10").status_code == 422
    assert finance.get(f"{path}.csv?since=2026-11&until=2026-10").status_code == 422
    assert finance.get(f"{path}?after=nonsense").status_code == 422
    assert finance.get(f"{path}?currency=EURO").status_code == 422
