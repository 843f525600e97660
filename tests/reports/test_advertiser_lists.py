"""The two-tier check through its doors and its stage, on both databases."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.runtime import Runtime
from ledger.models import Period
from postback.models import Conversion
from reports import jobs
from reports.models import Discrepancy
from tests.builders import Builder
from tests.conftest import Answer, Caller, TestClock

PATH = "/api/v1/advertiser-lists"
MAPPING = {
    "transaction_id": "Order", "amount": "Total", "currency": "=EUR", "status": "State",
    "occurred_on": {"column": "Day", "format": "%Y-%m-%d", "timezone": "UTC"},
}  # fmt: skip
HEADER = "Order,Total,State,Day\n"


def send(caller: Caller, content: str, **fields: Any) -> Answer:
    form = {"mapping": json.dumps(MAPPING), **fields}
    return caller.post(PATH, data={**form, "file": (io.BytesIO((HEADER + content).encode()), "orders.csv")})


def open_ones(runtime: Runtime) -> list[str]:
    with runtime.reading() as session:
        return sorted(session.scalars(sa.select(Discrepancy.klass).where(Discrepancy.state == "open")))


def test_a_month_s_list_is_compared_after_a_day_and_nothing_is_corrected(
    runtime: Runtime, machine: Caller, clock: TestClock
) -> None:
    clock.now = datetime(2026, 10, 20, 3, 0, tzinfo=UTC)
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        for transaction_id, sale, more in (
            ("Same", 5000, {}),
            ("amount", 5000, {}),
            ("status", 5000, {"state": "rejected"}),
            ("missing", 5000, {}),
            ("untold", None, {}),
            ("young", 5000, {"recorded_at": clock() - timedelta(hours=23, minutes=59)}),
            ("September", 5000, {"occurred_at": datetime(2026, 9, 30, 23, 0, tzinfo=UTC)}),
        ):
            build.conversion(source, transaction_id, 100, amount_minor=sale, **more)
        build.conversion(build.source("Awin"), "not here", 100, amount_minor=1)
    content = (
        "Same,50.00,paid,2026-10-15\namount,45.00,paid,2026-10-15\nstatus,50.00,Shipped,2026-10-15\n"
        "untold,1.00,paid,2026-10-15\nSeptember,50.00,paid,2026-10-01\nnot here,1.00,paid,2026-10-15\n"
        "gone,1.00,refunded,2026-10-15\nbad,1.00,hm,2026-10-15\n,1.00,paid,2026-10-15\nbad,x,paid,2026-10-15\n"
    )

    made = send(machine, content, source_id=source.id, period="2026-10")
    waiting = machine.get(f"{PATH}/{made.json['id']}").json
    jobs.two_tier()
    shown = machine.get(f"{PATH}/{made.json['id']}").json
    told = machine.get(f"{PATH}/{made.json['id']}/discrepancies").json["items"]

    assert (made.status_code, made.json["lines"], waiting["checked_at"]) == (201, 7, None)
    assert [(row["line"], row["reason"].split("'")[0]) for row in made.json["rejected"]] == [
        (9, "its status "),
        (10, "has no transaction id"),
        (11, ""),
    ]
    assert shown["counts"] == {"ours": 6, "theirs": 7, "matched": 5}
    assert shown["discrepancies"] == {
        "amount_mismatch": 1, "missing_at_advertiser": 1, "missing_at_us": 1, "status_mismatch": 1,
    }  # fmt: skip
    assert {each["class"]: (each["line"] or {}).get("transaction_id") for each in told} == {
        "amount_mismatch": "amount",
        "missing_at_advertiser": None,
        "missing_at_us": "not here",
        "status_mismatch": "status",
    }
    assert (shown["state"], shown["next_check_at"]) == ("waiting", "2026-10-21T03:00:00Z")
    with runtime.reading() as session:
        assert session.scalars(sa.select(Conversion.version).distinct()).all() == [1]
        before = [tuple(row) for row in session.execute(sa.select(Discrepancy.__table__).order_by(Discrepancy.id))]

    jobs.two_tier()
    clock.advance(hours=24)
    with runtime.transaction() as session:
        session.execute(sa.delete(Conversion).where(Conversion.transaction_id == "young"))
    jobs.two_tier()

    with runtime.reading() as session:
        after = [tuple(row) for row in session.execute(sa.select(Discrepancy.__table__).order_by(Discrepancy.id))]
    assert after == before
    assert machine.get(f"{PATH}/{made.json['id']}").json["checked_at"] == "2026-10-21T03:00:00Z"


def test_a_young_conversion_is_missed_the_next_night_and_a_newer_list_lets_it_go(
    runtime: Runtime, machine: Caller, clock: TestClock
) -> None:
    clock.now = datetime(2026, 10, 16, 3, 0, tzinfo=UTC)
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        click = build.click(build.affiliate())
        build.conversion(build.source(), "T1", 700, campaign_id=click.campaign_id)
    whose = {"campaign_id": click.campaign_id, "day": "2026-10-15", "compares": "payout"}

    first = send(machine, "T2,7.00,paid,2026-10-15\n", **whose)
    jobs.two_tier()
    none_yet = open_ones(runtime)
    clock.advance(hours=24)
    jobs.two_tier()
    missed = open_ones(runtime)
    newer = send(machine, "T1,7.00,paid,2026-10-15\n", **whose)
    same = send(machine, "T1,7.00,paid,2026-10-15\n", **whose)
    jobs.two_tier()

    assert (first.json["period"], none_yet, missed) == (
        "2026-10", [], ["missing_at_advertiser", "missing_at_us"],
    )  # fmt: skip
    assert (newer.status_code, same.status_code, same.json["type"]) == (201, 409, "/problems/list-loaded")
    assert open_ones(runtime) == []
    listed = machine.get(f"{PATH}?period=2026-10").json["items"]
    assert [each["state"] for each in listed] == ["waiting", "replaced"]
    assert listed[0]["counts"] == {"ours": 1, "theirs": 1, "matched": 1}
    clock.now = datetime(2026, 11, 2, tzinfo=UTC)
    jobs.two_tier()
    assert machine.get(f"{PATH}/{newer.json['id']}").json["next_check_at"] is None


def test_a_list_is_refused_with_all_its_faults_and_a_closed_month_takes_none(
    runtime: Runtime, machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        source_id = Builder(runtime, session).source().id
        session.add(Period(id="2026-09", state="closed"))

    faulty = send(
        machine, "", source_id="src_none", period="2026-10", day="2026-10-01", statuses='{"good": ["x"]}',
        mapping=json.dumps({**MAPPING, "amount": "Sum"}),
    )  # fmt: skip
    closed = send(machine, "", source_id=source_id, period="2026-09")
    asked = machine.post("/api/v1/reconciliations", {"period": "2026-10", "leg": "advertiser"})
    manager = send(sign_in("manager"), "", source_id=source_id, period="2026-10")

    assert [error["field"] for error in faulty.json["errors"]] == [
        "source_id", "period", "statuses.good", "mapping.amount",
    ]  # fmt: skip
    assert [error["field"] for error in asked.json["errors"]] == ["leg"]
    assert (closed.status_code, closed.json["type"], manager.status_code) == (409, "/problems/period-closed", 403)
