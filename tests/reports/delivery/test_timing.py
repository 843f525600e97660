"""When schedules fire, and what they may ask for: plain values, no database."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reports.delivery import checking, timing

OFFERED = {"month": ("csv", "json"), "journal": ("csv", "hledger")}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(counts_from: str, now: str, *delivered: str, day: int = 5, hour: int = 6) -> list[str]:
    return timing.due(day=day, hour=hour, counts_from=moment(counts_from), delivered=delivered, now=moment(now))


def test_a_moment_tells_of_the_month_before_it_from_its_hour_on() -> None:
    assert due("2026-10-20", "2026-11-05T05:59:59") == []
    assert due("2026-10-20", "2026-11-05T06:00:00") == ["2026-10"]
    assert due("2026-10-20", "2026-11-05T06:00:00", "2026-10") == []
    assert due("2026-11-05T06:00:01", "2026-11-30") == []
    assert due("2025-12-31", "2026-01-31") == ["2025-12"]


def test_what_passed_while_nothing_ran_is_made_up_for_the_last_twelve_months_of_it() -> None:
    assert due("2026-07-20", "2026-11-06", "2026-08") == ["2026-07", "2026-09", "2026-10"]
    assert due("2020-01-01", "2026-11-06")[0] == "2025-11"


def test_a_month_without_the_day_has_its_moment_on_its_last() -> None:
    assert timing.moment_in(2028, 2, day=31, hour=23) == moment("2028-02-29T23:00:00")
    assert timing.next_moment(day=31, hour=6, after=moment("2026-11-30T06:00:00")) == moment("2026-12-31T06:00:00")
    assert timing.next_moment(day=1, hour=0, after=moment("2026-12-31T23:00:00")) == moment("2027-01-01T00:00:00")


@given(
    day=st.integers(1, 31),
    hour=st.integers(0, 23),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    steps=st.lists(st.integers(0, 20 * 24), min_size=1, max_size=30),
)
def test_looked_at_often_enough_each_month_is_told_of_once_and_none_is_left_out(
    day: int, hour: int, start: datetime, steps: list[int]
) -> None:
    now, told = start, list[str]()
    for hours in steps:
        now += timedelta(hours=hours)
        told += timing.due(day=day, hour=hour, counts_from=start, delivered=told, now=now)

    passed, at = [], timing.next_moment(day=day, hour=hour, after=start - timedelta(microseconds=1))
    while at <= now:
        passed.append(f"{at.year - (at.month == 1)}-{(at.month - 2) % 12 + 1:02d}")
        at = timing.next_moment(day=day, hour=hour, after=at)
    assert told == passed


def test_every_fault_of_a_schedule_is_named_at_once() -> None:
    found = checking.faults(
        reports=["journal", "month", "weather"],
        formats=["hledger", "pdf"],
        recipients=["a@example.com", "A@example.com", "b@x\r\nBcc: c@example.com", "nobody"],
        folder="../etc",
        offered=OFFERED,
    )

    assert [(fault.field, fault.reason) for fault in found] == [
        ("reports", "weather: there are month, journal"),
        ("formats", "pdf: there are csv, hledger, json"),
        ("formats", "month comes as csv, json"),
        ("recipients", "number 3, 4 is not an e-mail address"),
        ("recipients", "names one twice"),
        ("folder", "takes up to four names of letters, digits, dots, _ and -, none beginning with a dot"),
    ]
    assert checking.files(["month", "journal"], ["hledger", "csv"], OFFERED) == [
        ("month", "csv"), ("journal", "hledger"), ("journal", "csv"),
    ]  # fmt: skip
    assert [
        folder
        for folder in ("books", "a/b.c/d-e", "a/../b", "/abs", ".hidden", "a//b", "a/", "ä", "a" * 101)
        if not checking.faults(reports=["month"], formats=["csv"], recipients=[], folder=folder, offered=OFFERED)
    ] == ["books", "a/b.c/d-e"]
