"""Campaigns through their door, and which of their terms apply when."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFound
from core.rows import existing
from core.runtime import Runtime
from partners.models import Campaign, CampaignTerms
from partners.terms import in_force
from tests.conftest import START, Caller, TestClock

SPRING = {
    "name": "Spring",
    "destination_url": "https://shop.example/?cid={click_id}",
    "terms": {"kind": "told"},
    "attribution_window_days": 30,
}


@pytest.mark.parametrize(
    ("terms", "shown"),
    [
        ({"kind": "told"}, {"kind": "told"}),
        ({"kind": "fixed", "amount": "2.5", "currency": "EUR"}, {"kind": "fixed", "amount": "2.50", "currency": "EUR"}),
        ({"kind": "percent", "percent": "12.5"}, {"kind": "percent", "percent": "12.5"}),
        ({"kind": "share", "percent": "100"}, {"kind": "share", "percent": "100"}),
        ({"kind": "share", "percent": "0.00000001"}, {"kind": "share", "percent": "0.00000001"}),
    ],
)
def test_terms_of_every_kind_come_back_as_they_were_given(
    machine: Caller, terms: dict[str, str], shown: dict[str, str]
) -> None:
    created = machine.post("/api/v1/campaigns", {**SPRING, "terms": terms})
    again = machine.get(f"/api/v1/campaigns/{created.json['id']}")

    assert created.status_code == 201
    assert created.json["terms"] == {"version": 1, "starts_at": "2026-11-02T09:00:00Z", **shown}
    assert again.json == created.json


@pytest.mark.parametrize(
    ("terms", "fields"),
    [
        ({"kind": "gift"}, ["terms.kind"]),
        ({"kind": "told", "percent": "5"}, ["terms.percent"]),
        ({"kind": "fixed"}, ["terms.amount", "terms.currency"]),
        ({"kind": "fixed", "amount": "1.00", "currency": "EUR", "percent": "5"}, ["terms.percent"]),
        ({"kind": "fixed", "amount": "1.001", "currency": "EUR"}, ["terms.amount"]),
        ({"kind": "fixed", "amount": "0.00", "currency": "EUR"}, ["terms.amount"]),
        ({"kind": "percent"}, ["terms.percent"]),
        ({"kind": "percent", "percent": "0"}, ["terms.percent"]),
        ({"kind": "percent", "percent": "100.00000001"}, ["terms.percent"]),
        ({"kind": "percent", "percent": "1.000000001"}, ["terms.percent"]),
        ({"kind": "percent", "percent": "NaN"}, ["terms.percent"]),
        ({"kind": "percent", "percent": "٥"}, ["terms.percent"]),
        ({"kind": "share", "percent": 70}, ["terms.percent"]),
    ],
)
def test_terms_that_do_not_hold_are_refused_field_by_field(
    machine: Caller, terms: dict[str, str], fields: list[str]
) -> None:
    answer = machine.post("/api/v1/campaigns", {**SPRING, "terms": terms})

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == fields


def test_faults_of_destination_and_terms_are_answered_together(machine: Caller) -> None:
    answer = machine.post(
        "/api/v1/campaigns",
        {**SPRING, "destination_url": "https://shop.example/{who}", "terms": {"kind": "percent", "percent": "x"}},
    )

    assert [error["field"] for error in answer.json["errors"]] == ["destination_url", "terms.percent"]


@pytest.mark.parametrize("days", [0, 366])
def test_an_attribution_window_lasts_a_day_to_a_year(machine: Caller, days: int) -> None:
    assert machine.post("/api/v1/campaigns", {**SPRING, "attribution_window_days": days}).status_code == 422


def test_new_terms_become_a_new_version_and_conversions_before_their_start_keep_the_older(
    machine: Caller, runtime: Runtime, clock: TestClock
) -> None:
    campaign_id = machine.post("/api/v1/campaigns", {**SPRING, "terms": {"kind": "percent", "percent": "10"}}).json[
        "id"
    ]
    clock.advance(days=1)
    starts_at = "2026-11-05T00:00:00Z"

    changed = machine.patch(
        f"/api/v1/campaigns/{campaign_id}",
        {"version": 1, "terms": {"kind": "percent", "percent": "20", "starts_at": starts_at}, "state": "paused"},
    )

    start = datetime(2026, 11, 5, tzinfo=UTC)
    assert changed.json["state"] == "paused"
    assert changed.json["version"] == 2
    assert changed.json["terms"]["percent"] == "10"
    assert [terms["percent"] for terms in changed.json["terms_versions"]] == ["10", "20"]
    with runtime.reading() as session:
        versions = existing(session, Campaign, campaign_id).terms
        assert in_force(versions, start).percent == Decimal(20)
        assert in_force(versions, start - timedelta(microseconds=1)).percent == Decimal(10)
        assert in_force(versions, START - timedelta(days=365)).percent == Decimal(10)
        with pytest.raises(NotFound):
            existing(session, Campaign, "cmp_none")


def test_a_change_on_an_older_version_is_refused(machine: Caller) -> None:
    campaign_id = machine.post("/api/v1/campaigns", SPRING).json["id"]
    machine.patch(f"/api/v1/campaigns/{campaign_id}", {"version": 1, "name": "Summer"})

    late = machine.patch(f"/api/v1/campaigns/{campaign_id}", {"version": 1, "terms": {"kind": "told"}})

    assert late.status_code == 409
    assert len(machine.get(f"/api/v1/campaigns/{campaign_id}").json["terms_versions"]) == 1


def test_campaigns_are_listed_newest_first_a_page_at_a_time(machine: Caller, clock: TestClock) -> None:
    ids = []
    for _ in range(3):
        clock.advance(seconds=1)
        ids.append(machine.post("/api/v1/campaigns", SPRING).json["id"])

    first = machine.get("/api/v1/campaigns?limit=2").json
    second = machine.get(f"/api/v1/campaigns?limit=2&after={first['next']}").json

    assert [item["id"] for item in first["items"]] == [ids[2], ids[1]]
    assert [item["id"] for item in second["items"]] == [ids[0]]
    assert second["next"] is None


@given(
    starts=st.lists(st.integers(-1000, 1000), min_size=1, max_size=8),
    when=st.integers(-1500, 1500),
)
def test_the_newest_started_version_is_in_force_and_the_first_before_any(starts: list[int], when: int) -> None:
    versions = [
        CampaignTerms(version=number, starts_at=START + timedelta(minutes=start))
        for number, start in enumerate(starts, start=1)
    ]

    found = in_force(versions, START + timedelta(minutes=when)).version

    assert all(start > when for start in starts[found:])
    assert starts[found - 1] <= when or (found == 1 and min(starts) > when)
