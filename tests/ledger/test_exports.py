"""The journal for other programs, and the list of months, through the real doors."""

import csv
import io
import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from core.money import Money
from core.runtime import Runtime
from ledger import exports, journal, periods, posting
from tests.conftest import Caller

NO_HLEDGER = "no hledger: install Debian's hledger to see its own check of the export"


@pytest.fixture
def posted(runtime: Runtime) -> Runtime:
    """A journal with three currencies, a payout on its way to the bank, and one entry of a closed month."""
    with runtime.transaction() as session:
        periods.held_for_closing(session, "2026-09").state = "closed"
    day, sent = date(2026, 10, 5), date(2026, 11, 2)
    accruals = [
        (Money(1250, "EUR"), "expense:commission:spring", day),
        (Money(-250, "EUR"), "expense:commission:spring", day),
        (Money(980, "JPY"), "expense:uncategorised", day),
        (Money(12_345, "KWD"), "expense:uncategorised", date(2026, 9, 30)),
    ]
    postings = [
        posting.accrual(
            accrual_id=f"acr_{number}",
            conversion_id=f"cnv_{number}",
            affiliate_id="aff_1",
            account=account,
            money=money,
            occurred_on=occurred_on,
        )
        for number, (money, account, occurred_on) in enumerate(accruals)
    ]
    eur = Money(1000, "EUR")
    postings += [
        posting.revenue(conversion_id="cnv_1", money=Money(2000, "EUR"), occurred_on=day),
        posting.batch_sent(end_to_end_id="E1", payout_id="pay_1", affiliate_id="aff_1", money=eur, sent_on=sent),
        posting.settlement(
            end_to_end_id="E1", payout_id="pay_1", bank_account="DE89370400440532013000", money=eur, settled_on=sent
        ),
    ]
    with runtime.transaction() as session:
        journal.post(runtime, session, postings, today=date(2026, 11, 2))
    return runtime


def test_hledger_accepts_the_export_strictly_and_its_balances_are_ours(
    posted: Runtime, sign_in: Callable[..., Caller], tmp_path: Path
) -> None:
    if shutil.which("hledger") is None:
        pytest.skip(NO_HLEDGER)
    path = tmp_path / "clickledger.journal"
    path.write_bytes(sign_in("auditor").get("/api/v1/journal?format=hledger").data)

    hledger("check", "-s", "-f", path)
    rows = list(csv.reader(io.StringIO(hledger("balance", "-f", path, "-O", "csv", "--no-total"))))

    assert dict(rows[1:]) == {
        "bank:DE89370400440532013000": "-10.00 EUR",
        "expense:commission:spring": "10.00 EUR",
        "expense:uncategorised": "980 JPY, 12.345 KWD",
        "payable:affiliate": "-980 JPY, -12.345 KWD",
        "receivable:network": "20.00 EUR",
        "revenue:network": "-20.00 EUR",
    }


def test_hledger_refuses_the_export_with_one_digit_changed(
    posted: Runtime, sign_in: Callable[..., Caller], tmp_path: Path
) -> None:
    if shutil.which("hledger") is None:
        pytest.skip(NO_HLEDGER)
    text = sign_in("auditor").get("/api/v1/journal?format=hledger").text
    path = tmp_path / "clickledger.journal"
    path.write_text(text.replace("-12.50 EUR", "-12.51 EUR"), encoding="utf-8")

    with pytest.raises(subprocess.CalledProcessError):
        hledger("check", "-s", "-f", path)


def test_an_entry_booked_later_than_it_happened_shows_both_dates(
    posted: Runtime, sign_in: Callable[..., Caller]
) -> None:
    text = sign_in("finance").get("/api/v1/journal?format=hledger&period=2026-11").text

    assert "\n2026-11-02=2026-09-30 (acr_3) commission of cnv_3  ; kind:accrual\n" in text
    assert "\n    payable:affiliate  -12.345 KWD  ; affiliate:aff_1\n" in text
    assert "acr_1" not in text
    assert "spring" not in text


def test_the_csv_has_one_row_a_line_in_the_same_order(posted: Runtime, machine: Caller) -> None:
    answer = machine.get("/api/v1/journal?format=csv&period=2026-10")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.mimetype == "text/csv"
    assert [(row["account"], row["amount"], row["currency"], row["affiliate_id"]) for row in rows[:4]] == [
        ("expense:commission:spring", "12.50", "EUR", ""),
        ("payable:affiliate", "-12.50", "EUR", "aff_1"),
        ("expense:commission:spring", "-2.50", "EUR", ""),
        ("payable:affiliate", "2.50", "EUR", "aff_1"),
    ]


def test_a_journal_longer_than_one_fetch_is_written_to_its_end(runtime: Runtime, machine: Caller) -> None:
    count = exports.ROWS_AT_ONCE  # two lines an entry: twice what is fetched at once
    with runtime.transaction() as session:
        postings = [
            posting.revenue(conversion_id=f"cnv_{number:04}", money=Money(1, "EUR"), occurred_on=date(2026, 10, 5))
            for number in range(count)
        ]
        journal.post(runtime, session, postings, today=date(2026, 11, 2))

    rows = list(csv.DictReader(io.StringIO(machine.get("/api/v1/journal?format=csv").text)))

    assert [row["source_id"] for row in rows[::2]] == [f"cnv_{number:04}" for number in range(count)]


def test_a_period_that_is_no_month_and_a_format_that_is_none_are_both_named(sign_in: Callable[..., Caller]) -> None:
    answer = sign_in("finance").get("/api/v1/journal?format=word&period=2026-13")

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json["errors"]] == ["format", "period"]


def test_every_month_is_listed_with_its_state(posted: Runtime, sign_in: Callable[..., Caller]) -> None:
    manager = sign_in("manager")

    first = manager.get("/api/v1/periods?limit=2").json
    second = manager.get(f"/api/v1/periods?limit=2&after={first['next']}").json

    months = [(each["period"], each["state"]) for each in first["items"] + second["items"]]
    assert months == [("2026-11", "open"), ("2026-10", "open"), ("2026-09", "closed")]
    assert second["next"] is None


def hledger(*words: object) -> str:
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["hledger", *map(str, words)], check=True, capture_output=True, text=True, env=environment, timeout=60
    )
    return done.stdout
