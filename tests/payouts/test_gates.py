"""What keeps money back, on plain values."""

from datetime import UTC, date, datetime, timedelta

import pytest

from payouts.gates import Papers, cooling_until, is_due, papers_missing

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("papers", "missing"),
    [
        (Papers(None, None, None, None), None),
        (Papers("w9", None, None, None), "its form w9 is missing"),
        (Papers("w9", "w8ben", date(2026, 1, 1), None), "its form w9 is missing"),
        (Papers("w9", "w9", date(2010, 1, 1), None), None),
        (Papers("w8ben", "w8ben", date(2023, 1, 1), None), None),  # until the end of the third year after
        (Papers("w8ben", "w8ben", date(2022, 12, 31), None), "its form w8ben of 2022-12-31 is too old"),
        (Papers("vat_id", "w9", date(2026, 1, 1), None), "its VAT id is missing"),
        (Papers("vat_id", None, None, "DE123456789"), None),
    ],
)
def test_papers_hold_an_affiliates_payouts_until_they_are_there(papers: Papers, missing: str | None) -> None:
    assert papers_missing(papers, today=date(2026, 11, 2)) == missing


def test_an_account_cools_off_to_the_second() -> None:
    changed_at, cool_off = NOW - timedelta(days=3), timedelta(days=3)

    assert cooling_until(changed_at, cool_off=cool_off, now=NOW) is None
    assert cooling_until(changed_at, cool_off=cool_off, now=NOW - timedelta(seconds=1)) == NOW
    assert cooling_until(None, cool_off=cool_off, now=NOW) is None


@pytest.mark.parametrize(
    ("cycle", "period", "bundled", "days_ago", "is_so"),
    [
        ("every_run", "2026-10", {"2026-10"}, 0, True),
        ("weekly", "2026-10", {"2026-10"}, 6, False),
        ("weekly", "2026-10", {"2026-10"}, 7, True),
        ("weekly", "2026-10", set(), None, True),
        ("biweekly", "2026-10", {"2026-10"}, 13, False),
        ("biweekly", "2026-10", {"2026-10"}, 14, True),
        ("monthly", "2026-10", {"2026-09"}, 1, True),
        ("monthly", "2026-10", {"2026-10"}, 40, False),
        ("quarterly", "2026-10", set(), None, False),
        ("quarterly", "2026-12", {"2026-09"}, 1, True),
        ("quarterly", "2026-12", {"2026-12"}, 1, False),
    ],
)
def test_a_cycle_says_who_takes_part_in_a_bundling(
    cycle: str, period: str, bundled: set[str], days_ago: int | None, *, is_so: bool
) -> None:
    bundled_at = None if days_ago is None else NOW - timedelta(days=days_ago)

    assert is_due(cycle, period=period, bundled_periods=frozenset(bundled), bundled_at=bundled_at, now=NOW) is is_so
