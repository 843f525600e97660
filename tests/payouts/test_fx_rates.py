"""Rates of exchange through the real doors and the stage, on both databases."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core import runtime as runtimes
from core.errors import Conflict
from core.runtime import Runtime
from payouts import jobs
from payouts.models import Accrual, CategoryRuleset, FxRate
from postback.models import Conversion
from tests.conftest import Answer, Caller
from tests.payouts.books import Books
from tests.payouts.test_exchange import ECB

USD = "date,currency,rate\n"


def sent(caller: Caller, content: bytes | str, format_: str = "csv") -> Answer:
    raw = content.encode() if isinstance(content, str) else content
    return caller.post("/api/v1/fx-rates", data={"file": (io.BytesIO(raw), "rates"), "format": format_})


def bases(runtime: Runtime) -> dict[str, tuple[int | None, str | None, Decimal | None, date | None, str | None]]:
    """Return by conversion and kind what the accruals came to in the base currency."""
    with runtime.reading() as session:
        return {
            f"{each.conversion_id} {each.kind}": (
                each.base_minor, each.base_currency, each.fx_rate, each.fx_date, each.fx_source,
            )
            for each in session.scalars(sa.select(Accrual))
        }  # fmt: skip


NOTHING = (None, None, None, None, None)


def test_finance_takes_files_of_rates_and_everybody_in_the_house_reads_them(
    books: Books, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    finance = sign_in("finance")

    answer = sent(finance, ECB, "ecb")
    again = sent(finance, ECB, "ecb")

    assert (answer.status_code, answer.json) == (201, {"rates": 3, "new": 3, "left_out": 1})
    assert again.json == {"rates": 3, "new": 0, "left_out": 1}
    first = machine.get("/api/v1/fx-rates?limit=2").json
    second = machine.get(f"/api/v1/fx-rates?limit=2&after={first['next']}").json
    assert [(each["date"], each["currency"], each["rate"]) for each in first["items"] + second["items"]] == [
        ("2026-10-05", "USD", "1.0835"),
        ("2026-10-05", "JPY", "162.45"),
        ("2026-10-02", "USD", "1.0801"),
    ]
    assert second["next"] is None
    on = machine.get("/api/v1/fx-rates?on=2026-10-05&currency=USD").json["items"]
    assert [(each["base"], each["source"], each["imported_by"]) for each in on] == [("EUR", "ecb", finance.staff_id)]
    assert [sent(sign_in(role), ECB, "ecb").status_code for role in ("admin", "manager", "auditor")] == [403] * 3
    assert sent(machine, ECB, "ecb").status_code == 403
    assert machine.get("/api/v1/fx-rates?after=x").status_code == 422
    assert sign_in("affiliate_manager").get("/api/v1/fx-rates").status_code == 403


def test_a_rate_that_was_taken_never_changes(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    finance = sign_in("finance")
    sent(finance, f"{USD}2026-10-05,USD,1.0835\n")

    answer = sent(finance, f"{USD}2026-10-05,USD,1.09\n2026-10-06,USD,1.1\n")

    assert (answer.status_code, answer.json["type"].rpartition("/")[2]) == (409, "rate-is-kept")
    assert [each["rate"] for each in machine.get("/api/v1/fx-rates").json["items"]] == ["1.0835"]
    with pytest.raises(DBAPIError), runtime.transaction() as session:
        session.execute(sa.update(FxRate).values(rate=Decimal(2)))


def test_an_accrual_waits_for_no_rate_and_takes_that_of_its_day_once_when_it_comes(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    finance = sign_in("finance")
    books.conversion("cnv_1")
    books.conversion("cnv_2", currency="USD", payout_minor=1000)
    jobs.accrue()
    assert bases(runtime) == {
        "cnv_1 accrue": (1250, "EUR", Decimal(1), date(2026, 10, 5), "same currency"),
        "cnv_2 accrue": NOTHING,
    }

    # The day's own rate may still come: Friday's is not taken for it yet.
    sent(finance, f"{USD}2026-10-02,USD,1.25\n")
    jobs.fill_base_amounts()
    assert bases(runtime)["cnv_2 accrue"] == NOTHING
    sent(finance, f"{USD}2026-10-05,USD,1.0835\n")
    jobs.fill_base_amounts()
    jobs.fill_base_amounts()

    assert bases(runtime)["cnv_2 accrue"] == (923, "EUR", Decimal("1.0835"), date(2026, 10, 5), "csv")
    shown = machine.get("/api/v1/accruals?conversion_id=cnv_2").json["items"][0]
    assert (shown["base"], shown["fx_rate"], shown["fx_date"]) == (
        {"amount": "9.23", "currency": "EUR"}, "1.0835", "2026-10-05",
    )  # fmt: skip


def test_a_day_without_a_rate_takes_the_last_before_it_within_bounds_once_a_later_one_is_known(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller]
) -> None:
    books.conversion("cnv_1", currency="USD", occurred_at=datetime(2026, 10, 4, tzinfo=UTC))
    books.conversion("cnv_2", currency="GBP", occurred_at=datetime(2026, 10, 4, tzinfo=UTC))
    books.conversion("cnv_3", currency="CHF", occurred_at=datetime(2026, 10, 4, tzinfo=UTC))
    jobs.accrue()

    sent(
        sign_in("finance"),
        f"{USD}2026-10-02,USD,1.25\n2026-09-27,GBP,0.5\n2026-09-26,CHF,0.9\n2026-10-05,USD,1.0835\n",
    )
    jobs.fill_base_amounts()

    found = bases(runtime)
    assert found["cnv_1 accrue"] == (1000, "EUR", Decimal("1.25"), date(2026, 10, 2), "csv")
    assert found["cnv_2 accrue"] == (2500, "EUR", Decimal("0.5"), date(2026, 9, 27), "csv")
    assert found["cnv_3 accrue"] == NOTHING  # eight days before


def test_what_is_taken_back_comes_to_nothing_in_the_base_currency_too(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller]
) -> None:
    finance = sign_in("finance")
    for conversion_id in ("cnv_1", "cnv_2"):
        books.conversion(conversion_id, currency="USD", payout_minor=1000)
    sent(finance, f"{USD}2026-10-05,USD,1.0835\n2026-11-02,USD,2\n")
    jobs.accrue()
    books.change(Conversion, "cnv_1", state="reversed", is_accrual_due=True)
    jobs.accrue()

    assert bases(runtime)["cnv_1 clawback"] == (-923, "EUR", Decimal("1.0835"), date(2026, 10, 5), "csv")

    # And where the first one had no rate yet, both take that of the first one's day.
    books.conversion("cnv_3", currency="GBP", payout_minor=1000)
    jobs.accrue()
    books.change(Conversion, "cnv_3", state="reversed", is_accrual_due=True)
    jobs.accrue()
    assert bases(runtime)["cnv_3 clawback"] == NOTHING
    sent(finance, f"{USD}2026-10-05,GBP,0.8\n2026-11-02,GBP,0.5\n")
    jobs.fill_base_amounts()
    assert [bases(runtime)[f"cnv_3 {kind}"][0] for kind in ("accrue", "clawback")] == [1250, -1250]


def test_the_ecbs_rates_serve_another_base_currency(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller]
) -> None:
    sent(sign_in("finance"), ECB, "ecb")
    runtimes.install(replace(runtime, base_currency="USD"))
    books.conversion("cnv_1")
    books.conversion("cnv_2", currency="JPY", payout_minor=16245)

    jobs.accrue()

    found = bases(runtime)
    assert (found["cnv_1 accrue"][:2], found["cnv_1 accrue"][4]) == ((1354, "USD"), "ecb")  # 12.50 x 1.0835
    assert found["cnv_2 accrue"][:2] == (10835, "USD")


def test_rules_ask_for_the_amount_in_the_base_currency_at_the_newest_rate_known(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller]
) -> None:
    rule: dict[str, Any] = {
        "id": "large",
        "when": {"amount_base": {"gte": 900}},
        "category": {"code": "6210", "name": "Large", "account": "expense:large"},
    }
    with runtime.transaction() as session:
        session.execute(sa.update(CategoryRuleset).values(rules=[rule]))
    # Friday's: what is accrued on Monday does not wait for Monday's.
    sent(sign_in("finance"), f"{USD}2026-10-02,USD,1.25\n2026-10-02,JPY,160\n")
    books.conversion("cnv_1", currency="USD", payout_minor=1125)
    books.conversion("cnv_2", currency="USD", payout_minor=1100)
    books.conversion("cnv_3", currency="JPY", payout_minor=1100)
    books.conversion("cnv_4", currency="CHF", payout_minor=1100)

    jobs.accrue()

    with runtime.reading() as session:
        chosen = {row[0]: row[1] for row in session.execute(sa.select(Accrual.conversion_id, Accrual.rule_id))}
    assert chosen == {"cnv_1": "large", "cnv_2": None, "cnv_3": None, "cnv_4": None}


def test_a_payouts_threshold_is_looked_at_in_the_base_currency(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller], machine: Caller
) -> None:
    books.affiliate("aff_2", currency="JPY")
    sent(sign_in("finance"), f"{USD}2026-10-05,JPY,160\n")
    books.conversion("cnv_1", affiliate_id="aff_2", currency="JPY", payout_minor=16_000)
    jobs.accrue()
    jobs.bundle("2026-10")
    books.affiliate("aff_3", currency="GBP")
    books.conversion("cnv_2", affiliate_id="aff_3", currency="GBP", payout_minor=500)
    jobs.accrue()
    jobs.bundle("2026-10")

    asked = {}
    for payout in books.payouts():
        with runtime.reading() as session:
            statement = sa.text("SELECT facts FROM approval_requests WHERE id = :id").columns(facts=Accrual.terms.type)
            asked[payout.currency] = session.execute(statement, {"id": payout.approval_id}).scalar_one()["amount_base"]
    # Without a rate its own minor units count, as they did before there were any.
    assert asked == {"JPY": 10_000, "GBP": 500}


def test_the_stage_takes_the_file_that_the_settings_name(runtime: Runtime, books: Books, tmp_path: Path) -> None:
    file = tmp_path / "rates.xml"
    file.write_bytes(ECB)
    runtimes.install(replace(runtime, fx_rates=str(file)))
    books.conversion("cnv_1", currency="USD", payout_minor=1000)
    jobs.accrue()

    jobs.fill_base_amounts()

    assert bases(runtime)["cnv_1 accrue"] == (923, "EUR", Decimal("1.0835"), date(2026, 10, 5), "ecb")
    file.write_bytes(ECB.replace(b"1.0835", b"1.0836"))
    with pytest.raises(Conflict):
        jobs.fill_base_amounts()


def test_more_than_one_batch_is_filled(
    runtime: Runtime, books: Books, sign_in: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        books.conversion(f"cnv_{number}", currency="USD" if number % 2 else "GBP")
    jobs.accrue()
    sent(sign_in("finance"), f"{USD}2026-10-05,USD,1.25\n2026-10-05,GBP,0.8\n")
    monkeypatch.setattr(jobs, "BATCH_ROWS_MAX", 2)

    jobs.fill_base_amounts()

    assert {value[0] for value in bases(runtime).values()} == {1000, 1562}
