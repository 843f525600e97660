"""The journal for other programs, and the list of months, through the real doors."""

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from core.money import Money
from core.runtime import Runtime
from ledger import beancount, exports, journal, periods, posting
from tests.conftest import Caller

NO_HLEDGER = "no hledger: install Debian's hledger to see its own check of the export"
NO_BEAN_CHECK = "no bean-check: pip install beancount to see its own check of the export"


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


def test_beancount_accepts_the_export_and_its_balances_are_ours(
    posted: Runtime, sign_in: Callable[..., Caller], tmp_path: Path
) -> None:
    check = bean_check()
    answer = sign_in("auditor").get("/api/v1/journal?format=beancount")
    path = tmp_path / "clickledger.beancount"
    balances = {
        "Assets:Bank:DE89370400440532013000": "-10.00 EUR",
        "Expenses:Commission:Spring": "10.00 EUR",
        "Expenses:Uncategorised": "980 JPY",
        "Liabilities:Clearing:Payouts": "0.00 EUR",
        "Liabilities:Payable:Affiliate": "-12.345 KWD",
        "Assets:Receivable:Network": "20.00 EUR",
        "Income:Revenue:Network": "-20.00 EUR",
    }

    path.write_bytes(answer.data + asserted(balances))
    assert check(path) == ""

    path.write_bytes(answer.data + asserted({"Expenses:Commission:Spring": "10.01 EUR"}))
    assert "Balance failed" in check(path)


def test_beancount_refuses_the_export_with_one_digit_changed(
    posted: Runtime, sign_in: Callable[..., Caller], tmp_path: Path
) -> None:
    check = bean_check()
    text = sign_in("auditor").get("/api/v1/journal?format=beancount").text
    path = tmp_path / "clickledger.beancount"
    path.write_text(text.replace("-12.345 KWD", "-12.346 KWD"), encoding="utf-8")

    assert "does not balance" in check(path)


def test_the_beancount_export_says_both_dates_and_the_accounts_own_names(posted: Runtime, machine: Caller) -> None:
    text = machine.get("/api/v1/journal?format=beancount&period=2026-11").text

    assert '2026-11-02 open Liabilities:Payable:Affiliate\n  account: "payable:affiliate"\n' in text
    assert '\n2026-11-02 * "commission of cnv_3"\n' in text
    assert "\n  occurred-on: 2026-09-30\n" in text


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("expense:commission:google-ads-5", "Expenses:Commission:Google-ads-5"),
        ("expense:6210", "Expenses:6210"),
        ("bank:DE89370400440532013000", "Assets:Bank:DE89370400440532013000"),
        ("fx", "Income:Fx"),
        ("loan:anna", "Equity:Other:Loan:Anna"),
    ],
)
def test_an_account_has_a_name_that_beancount_takes(ours: str, theirs: str) -> None:
    assert beancount.account(ours) == theirs


def test_accounts_that_beancount_would_write_alike_stay_apart() -> None:
    alike = ["expense:a_b", "expense:a-b", "expense:-a-b", "expense:A-b", "expense:d1", "expense:D1", "expense:_"]

    names = [beancount.account(each) for each in alike]

    assert len(set(names)) == len(alike)
    assert all(re.fullmatch(r"Expenses:[A-Z0-9][A-Za-z0-9-]*", name) for name in names)


def test_ten_thousand_entries_have_the_balances_in_hledger_and_beancount_that_they_have_here(
    runtime: Runtime, tmp_path: Path
) -> None:
    check = bean_check()
    if shutil.which("hledger") is None:
        pytest.skip(NO_HLEDGER)
    with runtime.transaction() as session:
        entries = [many(number) for number in range(10_000)]
        assert journal.post(runtime, session, entries, today=date(2026, 11, 2)) == 10_000
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    for entry in entries:
        for line in entry.lines:
            totals[line.account, line.currency] += line.amount_minor
    theirs, beans = tmp_path / "clickledger.journal", tmp_path / "clickledger.beancount"
    with runtime.reading() as session:
        theirs.write_text("".join(exports.hledger(session)), encoding="utf-8")
        balances = asserted(
            {f"{beancount.account(name)} {currency}": f"{Decimal(total) / 100} {currency}"
             for (name, currency), total in totals.items()}
        )  # fmt: skip
        beans.write_bytes("".join(exports.for_beancount(session)).encode() + balances)

    hledger("check", "-s", "-f", theirs)
    told = csv.reader(io.StringIO(hledger("balance", "-f", theirs, "-O", "csv", "--no-total", "--layout", "bare")))
    found = {(name, currency): Decimal(amount) * 100 for name, currency, amount in list(told)[1:]}
    assert found == totals
    assert check(beans) == ""


def many(number: int) -> posting.Posting:
    """Return one of many entries, over accounts, currencies, signs and days."""
    amount_minor = (number * 37) % 9973 + 1
    return posting.accrual(
        accrual_id=f"acr_{number:05}",
        conversion_id=f"cnv_{number}",
        affiliate_id=f"aff_{number % 50}",
        account=f"expense:commission:campaign_{number % 20}",
        money=Money(-amount_minor if number % 11 == 0 else amount_minor, "EUR" if number % 3 else "USD"),
        occurred_on=date(2026, 10, number % 31 + 1),
    )


def asserted(balances: dict[str, str]) -> bytes:
    """Return Beancount's own assertions of balances, to the cent: left alone it forgives one."""
    exact = [(name.split()[0], *amount.split()) for name, amount in balances.items()]
    lines = [f"2026-12-01 balance {account}  {amount} ~ 0 {currency}\n" for account, amount, currency in exact]
    return "\n".join(["", *lines]).encode()


def bean_check() -> Callable[[Path], str]:
    """Return what runs Beancount's check and gives back its complaints; skip where there is none."""
    places = [str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(os.pathsep)]
    program = shutil.which("bean-check", path=os.pathsep.join(places))
    if program is None:
        pytest.skip(NO_BEAN_CHECK)

    def check(path: Path) -> str:
        # No cache: the same path holds one journal and then another.
        done = subprocess.run(
            [program, "--no-cache", str(path)], check=False, capture_output=True, text=True, timeout=100
        )
        assert (done.returncode == 0) == (done.stderr == ""), done.stderr
        return done.stderr

    return check


def hledger(*words: object) -> str:
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["hledger", *map(str, words)], check=True, capture_output=True, text=True, env=environment, timeout=60
    )
    return done.stdout
