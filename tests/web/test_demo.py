"""The demo's own parts: sample data that says what it claims, a judge that can find fault, folders that come and go."""

import io
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console
from schwifty import IBAN

from core.runtime import Runtime
from reports import report_reading
from reports.csv_report import NetworkRow
from tests.conftest import KEY_ENCRYPTION_KEY, SECRET_KEY, Caller
from tests.reports import bank_files
from web import launch
from web.demo import data, files, people, planted, server
from web.demo.account import Account
from web.demo.data import Kind
from web.demo.files import Transfer
from web.demo.planted import Problem

ROOT = Path(__file__).resolve().parent.parent.parent
FEBRUARY = datetime(2027, 2, 1, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)


def test_the_month_before_is_found_over_the_turn_of_the_year() -> None:
    assert data.last_month(datetime(2027, 1, 1, tzinfo=UTC)) == datetime(2026, 12, 1, tzinfo=UTC)
    assert data.last_month(datetime(2027, 3, 31, 23, 59, tzinfo=UTC)) == FEBRUARY


def test_the_sample_holds_what_the_story_promises() -> None:
    sample = data.sample(OCTOBER)

    assert len(sample.clicks) + len(sample.late_clicks) == 2000
    assert len(sample.postbacks) == 600
    assert Counter(each.kind for each in sample.postbacks) == data.COUNTS
    assert {campaign.terms["kind"] for campaign in data.CAMPAIGNS} == {"told", "fixed", "percent", "share"}
    assert (len(data.NETWORKS), len(data.AFFILIATES)) == (3, 12)


def test_two_months_differ_in_their_dates_alone() -> None:
    october, february = data.sample(OCTOBER), data.sample(FEBRUARY)

    assert data.sample(OCTOBER) == october
    assert [each.transaction_id for each in october.postbacks] == [each.transaction_id for each in february.postbacks]
    assert [each.payout for each in october.postbacks] == [each.payout for each in february.postbacks]


def test_even_in_the_shortest_month_nothing_happens_outside_it() -> None:
    sample = data.sample(FEBRUARY)

    moments = [each.occurred_at for each in sample.postbacks if each.occurred_at]
    assert min(moments) >= FEBRUARY
    assert max(moments) < datetime(2027, 3, 1, tzinfo=UTC)


def test_every_account_is_a_valid_one() -> None:
    for affiliate in data.AFFILIATES:
        assert IBAN(affiliate.iban).is_valid
    assert IBAN(data.COMPANY_IBAN).is_valid


@pytest.mark.parametrize(
    ("campaign", "expected"),
    [(0, "9.05"), (1, "8.04"), (2, "6.34"), (3, "2.50")],  # told, 8 % of 100.55, 70 % of 9.05 (6.335), fixed
)
def test_what_is_owed_follows_the_terms_and_is_rounded_half_even(campaign: int, expected: str) -> None:
    click = data.Click(1, campaign, 0, OCTOBER, "page")
    postback = data.Postback(Kind.GENUINE, 0, "T", click, Decimal("9.05"), Decimal("100.55"), "EUR", OCTOBER)

    assert data.owed(postback) == Decimal(expected)


def test_the_reports_differ_from_the_truth_in_what_was_planted_and_in_nothing_else() -> None:
    sample = data.sample(OCTOBER)
    for report in planted.reports(sample):
        network = data.NETWORKS[report.network].name
        ours = {
            each.transaction_id: (each.payout, each.currency)
            for each in sample.conversions
            if each.network == report.network
        }
        theirs: dict[str, list[tuple[Decimal, str]]] = {}
        for line in report.lines:
            theirs.setdefault(line.transaction_id, []).append((line.amount, line.currency))

        found = {Problem("missing_at_network", network, about) for about in ours.keys() - theirs.keys()}
        found |= {Problem("missing_at_us", network, about) for about in theirs.keys() - ours.keys()}
        for about in ours.keys() & theirs.keys():
            amount, currency = theirs[about][0]
            if len(theirs[about]) > 1:
                found.add(Problem("duplicate_at_network", network, about))
            elif currency != ours[about][1]:
                found.add(Problem("currency_mismatch", network, about))
            elif amount != ours[about][0]:
                found.add(Problem("amount_mismatch", network, about))

        assert found == report.problems


def test_each_network_s_report_is_read_back_line_for_line() -> None:
    for report in planted.reports(data.sample(OCTOBER)):
        style = files.STYLES[report.network]

        rows = list(report_reading.read(io.BytesIO(files.network_report(report)), style.mapping))

        read = [row for row in rows if isinstance(row, NetworkRow)]
        assert [(row.transaction_id, row.amount_minor, row.currency) for row in read] == [
            (line.transaction_id, int(line.amount * 100), line.currency) for line in report.lines
        ]
        assert [row.occurred_on for row in read] == [line.occurred_at.date() for line in report.lines]
        assert len(rows) - len(read) == len(style.bad_rows)


def test_the_bank_s_statement_adds_up_and_shows_every_payment() -> None:
    transfers = [Transfer(f"E2E{number}", Decimal(number), "EUR") for number in (10, 20, 30)]

    [statement] = bank_files.read(files.bank_statement(transfers, date(2026, 11, 2)), data.COMPANY_IBAN)

    assert len(statement.rows) == 3 + len(planted.STRAY_DEBITS)
    assert [row.end_to_end_id for row in statement.rows[:3]] == ["E2E10", None, None]
    assert "E2E30" in statement.rows[2].text
    assert sum(row.amount_minor for row in statement.rows[:3]) == -6000


def test_the_judge_names_what_was_missed_what_was_made_up_and_what_was_found_twice() -> None:
    right, missed, twice = (Problem("amount_mismatch", "N", f"T{number}") for number in range(3))
    made_up = Problem("missing_at_us", "N", "T9")
    account = Account(Console(file=io.StringIO()), "2026-10", planted=frozenset({right, missed, twice}))
    account.found.update([right, twice, twice, made_up])

    account.judge()
    account.print()

    assert account.faults == [
        "planted and not found: amount_mismatch T1 (N)",
        "found 2 times: amount_mismatch T2 (N)",
        "found and not planted: missing_at_us T9 (N)",
    ]


def test_old_demos_go_but_never_one_that_is_open(tmp_path: Path) -> None:
    first = server.fresh_folder(tmp_path, datetime(2026, 11, 1, tzinfo=UTC))
    with launch.held(first):
        later = [server.fresh_folder(tmp_path, datetime(2026, 11, day, tzinfo=UTC)) for day in (2, 3, 4, 5, 5)]

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        first.name, later[2].name, later[3].name, later[4].name,
    ]  # fmt: skip


def test_a_demo_is_not_moved_by_the_settings_of_an_installation(tmp_path: Path) -> None:
    given = {"REDIS_URL": "redis://prod", "PUBLIC_URL_FILE": "/url", "VAR_DIR": "/srv", "PORT": "8765", "HOME": "/root"}

    environment = server.environment_of(tmp_path, given)

    assert environment == {"VAR_DIR": str(tmp_path), "PORT": "8765", "HOME": "/root"}


def test_a_database_with_people_is_left_alone(
    runtime: Runtime, sign_in: Callable[..., Caller], database_url: str, tmp_path: Path
) -> None:
    assert people.is_empty(runtime.engine)
    sign_in("finance")

    done = subprocess.run(
        [sys.executable, "-m", "web.demo"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={
            "DATABASE_URL": database_url, "VAR_DIR": str(tmp_path / "var"), "PATH": "/usr/bin:/bin",
            "SECRET_KEY": SECRET_KEY, "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY,
        },
    )  # fmt: skip

    assert done.returncode == 2
    assert "the demo leaves it alone" in done.stdout
    assert not (tmp_path / "var").exists()
