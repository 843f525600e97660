"""Times are told in the hours of the viewer's browser, and what it says is believed only where it is a zone."""

from collections.abc import Callable
from datetime import UTC, datetime

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.pages import get, sign_in_by_form
from web.pages import words, zones


@pytest.mark.parametrize(
    ("name", "at", "said"),
    [
        ("UTC", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "25 Oct 2026 00:30"),
        # The hour that comes twice: before and after the clocks went back.
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "25 Oct 2026 02:30"),
        ("Europe/Berlin", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "25 Oct 2026 02:30"),
        ("Europe/Berlin", datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "29 Mar 2026 03:00"),
        ("Asia/Kathmandu", datetime(2026, 12, 31, 18, 15, tzinfo=UTC), "1 Jan 2027 00:00"),
        ("America/Argentina/Buenos_Aires", datetime(2026, 1, 1, 2, 59, tzinfo=UTC), "31 Dec 2025 23:59"),
        ("Etc/GMT+12", datetime(2026, 1, 1, 12, 0, tzinfo=UTC), "1 Jan 2026 00:00"),
    ],
)
def test_a_moment_is_told_in_its_zone(name: str, at: datetime, said: str) -> None:
    assert words.moment(at.astimezone(zones.of_name(name))) == said


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Nowhere/Atall",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe",
        "Europe/Berlin\n",
        "zone.tab",
        "é",
        "A" * 5000,
    ],
)
def test_what_is_no_zone_counts_for_none(name: str) -> None:
    assert zones.of_name(name) is UTC


@given(st.text())
def test_no_text_breaks_a_page(name: str) -> None:
    assert datetime(2026, 1, 1, tzinfo=UTC).astimezone(zones.of_name(name)) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_page_tells_the_browsers_hours_and_utc_beside_them(app: flask.Flask, staff: Callable[..., str]) -> None:
    staff("ada@example.com", "admin")
    client = app.test_client()
    sign_in_by_form(client, "ada@example.com")

    plain = get(client, "/me").text
    client.set_cookie(zones.COOKIE, "America/New_York")
    there = get(client, "/me").text
    client.set_cookie(zones.COOKIE, "<b>nowhere</b>")
    hostile = get(client, "/me").text

    # The tests' clock stands at 09:00 UTC.
    assert 'title="2 Nov 2026 09:00:00 UTC">2 Nov 2026 09:00</time>' in plain
    assert "times in UTC" in plain
    assert 'title="2 Nov 2026 09:00:00 UTC">2 Nov 2026 04:00</time>' in there
    assert "times in America/New_York" in there
    assert "times in UTC" in hostile
    assert "nowhere" not in hostile
