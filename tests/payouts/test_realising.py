"""What a payout in another currency cost more or less than it was accrued at, and rates from an address."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
import sqlalchemy as sa

from core import runtime as runtimes
from core.clock import system_clock
from core.errors import Unavailable
from core.runtime import Runtime
from payouts import fx_files, jobs
from payouts.models import Accrual, FxRate
from reports import rebuilding
from tests.payouts.books import LONG_AGO, Payers
from tests.payouts.test_exchange import ECB

PAYPAL = {"payee_iban": None, "payee_kind": "email", "payee_account": "ada@shop.example"}


def quoted(runtime: Runtime, rates: dict[date, str]) -> None:
    with runtime.transaction() as session:
        for day, rate in rates.items():
            session.add(
                FxRate(
                    base="EUR", currency="USD", rate_date=day, rate=Decimal(rate), source="ecb",
                    imported_at=LONG_AGO, imported_by="tests",
                )
            )  # fmt: skip


def test_what_was_paid_at_another_rate_than_it_was_accrued_at_is_a_loss_and_comes_back_with_the_payment(
    runtime: Runtime, payers: Payers
) -> None:
    today = runtime.clock().date()
    quoted(runtime, {date(2026, 10, 5): "1.25", today: "1.00"})
    payers.approved(1000, currency="USD", **PAYPAL)
    payers.approved(500)
    batch = payers.sent("paypal", "USD")
    payers.said(batch, "settled")
    payers.said(payers.sent("sepa"), "settled")

    for _ in range(2):
        jobs.fill_base_amounts()

    [item] = payers.gatherer.get(f"/api/v1/batches/{batch['id']}").json["items"]
    assert item["exchange"] == {
        "accrued": {"amount": "8.00", "currency": "EUR"},
        "settled": {"amount": "10.00", "currency": "EUR"},
        "difference": {"amount": "2.00", "currency": "EUR"},
        "rate": "1",
        "rate_date": today.isoformat(),
        "rate_source": "ecb",
    }
    balances = payers.books.balances()
    assert (balances["expense:fx"], balances["equity:currency-translation"]) == (200, -200)
    with runtime.reading() as session:
        assert list(rebuilding.differences(session)) == []

    payers.said(batch, "returned")
    for _ in range(2):
        jobs.fill_base_amounts()

    assert "expense:fx" not in payers.books.balances()
    with runtime.reading() as session:
        assert list(rebuilding.differences(session)) == []


def test_a_payout_waits_for_the_rate_of_the_day_it_was_paid(runtime: Runtime, payers: Payers) -> None:
    quoted(runtime, {date(2026, 10, 5): "1.25"})
    payers.approved(1000, currency="USD", **PAYPAL)
    batch = payers.sent("paypal", "USD")
    payers.said(batch, "settled")

    jobs.fill_base_amounts()

    [item] = payers.gatherer.get(f"/api/v1/batches/{batch['id']}").json["items"]
    assert item["exchange"] is None


class _Bank(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, tuple[int, bytes]]] = {
        "/rates.xml": (200, ECB), "/moved.xml": (302, b""), "/huge.xml": (200, b" " * (fx_files.BYTES_MAX + 1))
    }  # fmt: skip

    def do_GET(self) -> None:
        """Answer what stands for the path."""
        code, body = self.answers[self.path]
        self.send_response(code)
        self.send_header("Location", "/rates.xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def bank() -> Iterator[str]:
    """Serve rates of exchange; yield the address."""
    server = HTTPServer(("127.0.0.1", 0), _Bank)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_rates_come_from_an_address_and_no_other_answer_is_taken_for_one(
    runtime: Runtime, payers: Payers, bank: str
) -> None:
    payers.approved(1000, currency="USD", **PAYPAL)

    for path in ("/moved.xml", "/huge.xml"):
        runtimes.install(replace(runtime, fx_rates=bank + path))
        with pytest.raises(Unavailable):
            jobs.fill_base_amounts()
    runtimes.install(replace(runtime, fx_rates=f"{bank}/rates.xml"))
    jobs.fill_base_amounts()

    with runtime.reading() as session:
        assert session.scalars(sa.select(Accrual.base_minor)).all() == [923]
        assert session.scalars(sa.select(FxRate.imported_at).distinct()).one() <= system_clock()
