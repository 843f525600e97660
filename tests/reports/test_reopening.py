"""A closed month: its snapshot, verified; opened again by two people, closed again, and the difference told."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

import payouts.jobs
from core.audit import AuditEntry
from core.runtime import Runtime
from ledger import periods
from partners.models import Affiliate, CampaignTerms, Source
from payouts.models import Accrual
from postback.models import Conversion
from reports import closing, snapshots, verifying
from reports.match_models import Match
from reports.models import Reconciliation
from reports.period_models import PeriodSnapshot
from reports.snapshot_rows import KINDS
from tests.builders import OCTOBER, Builder
from tests.conftest import Caller, TestClock
from tests.reports.conftest import Reconcile
from tests.reports.test_closing import whole_month

PERIOD = "/api/v1/periods/2026-10"
REASON = {"reason": "A network told us of a conversion that it had forgotten."}


@pytest.fixture
def closed_by(runtime: Runtime, reconcile: Reconcile, sign_in: Callable[..., Caller]) -> Caller:
    """October, closed by this person of finance."""
    whole_month(runtime)
    reconcile("network")
    reconcile("payout")
    finance = sign_in("finance", email="closer@example.com")
    assert finance.post(f"{PERIOD}/close").status_code == 200
    return finance


def come_late(runtime: Runtime, transaction_id: str) -> None:
    """Record a conversion of October now, and accrue it."""
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        affiliate, source = session.scalars(sa.select(Affiliate)).one(), session.scalars(sa.select(Source)).one()
        click = build.click(affiliate)
        session.add(
            CampaignTerms(
                campaign_id=click.campaign_id, version=1, kind="told", starts_at=OCTOBER.replace(day=1),
                created_at=OCTOBER,
            )
        )  # fmt: skip
        build.conversion(
            source, transaction_id, 700, click_id=click.id, affiliate_id=affiliate.id, campaign_id=click.campaign_id,
            state="recorded", recorded_at=runtime.clock(),
        )  # fmt: skip
    payouts.jobs.accrue()


def accrued(runtime: Runtime, transaction_id: str) -> tuple[str, str]:
    """The month and the own date of what was accrued."""
    with runtime.reading() as session:
        found = session.scalars(
            sa.select(Accrual)
            .join(Conversion, Conversion.id == Accrual.conversion_id)
            .where(Conversion.transaction_id == transaction_id)
        ).one()
        return found.period, found.occurred_on.isoformat()


def execute(runtime: Runtime, statement: str, **values: Any) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(sa.text(statement), values)


def test_a_month_is_opened_again_by_two_people_and_the_two_closes_are_compared(
    runtime: Runtime, reconcile: Reconcile, closed_by: Caller, sign_in: Callable[..., Caller], clock: TestClock
) -> None:
    asker, third = sign_in("finance", email="asker@example.com"), sign_in("finance", email="third@example.com")
    clock.advance(hours=1)
    come_late(runtime, "LATE-1")

    first = asker.post(f"{PERIOD}/reopen", REASON, headers={"Idempotency-Key": "1"})
    again = asker.post(f"{PERIOD}/reopen", REASON, headers={"Idempotency-Key": "1"})
    second = third.post(f"{PERIOD}/reopen", {"reason": " "}), third.post(f"{PERIOD}/reopen", REASON)
    own, closers = asker.post(f"{PERIOD}/reopen/confirm"), closed_by.post(f"{PERIOD}/reopen/confirm")
    # Asked for is not confirmed: the database itself opens nothing for it.
    with pytest.raises(DBAPIError, match="no reopening of it is confirmed"):
        execute(runtime, "UPDATE periods SET state = 'open' WHERE id = '2026-10'")
    managers = sign_in("manager").post(f"{PERIOD}/reopen/confirm")
    another = third.post(f"{PERIOD}/reopen/confirm", {"id": "reo_1"})
    confirmed = third.post(f"{PERIOD}/reopen/confirm", {"id": first.json["id"]})

    # What came while the month was closed stands in November for good, with its own date.
    assert accrued(runtime, "LATE-1") == ("2026-11", "2026-10-15")
    assert (first.status_code, first.json["state"], first.json["snapshot_number"]) == (201, "asked", 1)
    assert again.json == first.json
    assert [(each.status_code, each.json["type"]) for each in (*second, own, closers, another)] == [
        (422, "/problems/invalid"),
        (409, "/problems/reopening-asked"),
        (403, "/problems/reopening-asked-by-you"),
        (403, "/problems/reopening-closed-by-you"),
        (409, "/problems/version-moved-on"),
    ]
    assert managers.status_code == 403
    assert (confirmed.status_code, confirmed.json["state"]) == (200, "confirmed")
    [listed] = [each for each in asker.get("/api/v1/periods").json["items"] if each["period"] == "2026-10"]
    assert (listed["state"], listed["digest"], listed["version"]) == ("open", None, 3)
    # Opened again it takes what belongs to it.
    come_late(runtime, "LATE-2")
    assert accrued(runtime, "LATE-2") == ("2026-10", "2026-10-15")
    assert asker.post("/api/v1/periods/2026-11/close").json["type"] == "/problems/period-not-over"

    with runtime.transaction() as session:
        build = Builder(runtime, session, 100)  # lines of their own numbers
        report = build.report(session.scalars(sa.select(Source)).one())
        for name in ("LATE-1", "LATE-2"):
            build.network_line(report, name, 700)
    clock.advance(minutes=1)
    reconcile("network")
    assert asker.post(f"{PERIOD}/close").status_code == 200

    kept = asker.get(f"{PERIOD}/snapshots").json["items"]
    told = asker.get(f"{PERIOD}/differences?from=1&to=2&limit=3").json
    rest = asker.get(f"{PERIOD}/differences?from=1&to=2&after={told['next']}").json
    table = list(csv.DictReader(io.StringIO(asker.get(f"{PERIOD}/differences?from=1&to=2&format=csv").text)))
    assert [(each["number"], each["closed_by"]) for each in kept] == [(2, asker.staff_id), (1, closed_by.staff_id)]
    counts = {
        each["kind"]: [
            (way, each[way]["count"], [one["amount"] for one in each[way]["sums"]])
            for way in ("added", "gone", "changed")
            if each[way]["count"]
        ]
        for each in told["kinds"]
    }
    assert counts == {
        "conversions": [("added", 2, ["14.00"])],
        "accruals": [("added", 1, ["7.00"])],
        "journal": [("added", 2, ["7.00"])],
        "matches": [("added", 2, ["0.00"])],
        "discrepancies": [],
        "payouts": [],
    }
    assert len(told["items"]) == 3
    assert len(rest["items"]) == 4
    assert rest["next"] is None
    assert {row["after"] for row in table if row["field"] == "payout_minor"} == {"7.00"}
    assert asker.get(f"{PERIOD}/differences?from=1&to=3").status_code == 404
    assert "What changed since close 1" in asker.get("/month-end/2026-10").text
    with runtime.reading() as session:
        verbs = session.scalars(
            sa.select(AuditEntry.verb).where(AuditEntry.subject_kind == "period").order_by(AuditEntry.seq)
        ).all()
        assert verbs == ["closed", "asked to reopen", "reopened", "closed"]
        assert verifying.verify(session, "2026-10").holds
        old = verifying.verify(session, "2026-10", 1)
        assert (old.holds, old.is_kept, old.rebuilt) == (True, True, None)


def test_a_later_month_is_opened_first_and_an_earlier_one_closed_first(
    runtime: Runtime, sign_in: Callable[..., Caller], clock: TestClock
) -> None:
    clock.now = datetime(2026, 12, 3, tzinfo=UTC)
    ann, bob = sign_in("finance"), sign_in("finance", "manager")
    for month in ("2026-10", "2026-11"):
        ann.post(f"/api/v1/periods/{month}/close")

    blocked = ann.post(f"{PERIOD}/reopen", REASON)
    ann.post("/api/v1/periods/2026-11/reopen", REASON)
    # Of two people one has closed it: he may confirm what the other asks, and here he asked himself.
    assert bob.post("/api/v1/periods/2026-11/reopen/confirm").status_code == 200
    bob.post(f"{PERIOD}/reopen", REASON)
    withdrawn = ann.call("DELETE", f"{PERIOD}/reopen")
    gone = ann.post(f"{PERIOD}/reopen/confirm")
    clock.advance(seconds=1)
    bob.post(f"{PERIOD}/reopen", REASON)
    confirmed = ann.post(f"{PERIOD}/reopen/confirm")
    out_of_order = ann.post("/api/v1/periods/2026-11/close")
    in_order = [ann.post(f"/api/v1/periods/{month}/close").status_code for month in ("2026-10", "2026-11")]
    of_open = ann.post("/api/v1/periods/2026-12/reopen", REASON)

    assert (blocked.status_code, blocked.json["type"]) == (409, "/problems/later-period-closed")
    assert (withdrawn.json["state"], gone.status_code, confirmed.status_code) == ("withdrawn", 404, 200)
    assert (out_of_order.status_code, out_of_order.json["type"]) == (409, "/problems/earlier-period-open")
    assert in_order == [200, 200]
    assert (of_open.status_code, of_open.json["type"]) == (409, "/problems/period-open")
    states = [each["state"] for each in ann.get(f"{PERIOD}/reopenings").json["items"]]
    assert states == ["confirmed", "withdrawn"]


def test_a_close_that_was_meddled_with_does_not_hold_and_what_happened_since_is_no_meddling(
    runtime: Runtime, app: flask.Flask, closed_by: Caller, clock: TestClock
) -> None:
    def verified(*options: str) -> tuple[int, Any]:
        command = ["reconcile", "verify-close", "2026-10", *options]
        done = app.test_cli_runner().invoke(args=command)
        return done.exit_code, json.loads(done.output) if "--json" in options else done.output

    columns = [column.name for column in Accrual.__table__.columns]
    copied = ["'acr_1'" if name == "id" else "seq + 1" if name == "seq" else name for name in columns]
    into_closed = f"INSERT INTO accruals ({', '.join(columns)}) SELECT {', '.join(copied)} FROM accruals"  # noqa: S608
    with pytest.raises(DBAPIError, match="is closed"):
        execute(runtime, into_closed)
    for refused in (
        "UPDATE period_snapshots SET digest = ''", "DELETE FROM period_snapshot_parts",
        "UPDATE periods SET state = 'open'", "UPDATE periods SET digest = ''", "DELETE FROM periods",
    ):  # fmt: skip
        with pytest.raises(DBAPIError):
            execute(runtime, refused)
    clock.advance(hours=1)
    with runtime.reading() as session:
        conversion = session.scalars(sa.select(Conversion)).one()
    refunded = closed_by.post(
        f"/api/v1/conversions/{conversion.id}/events", {"kind": "refund", "reason": "sent back", "version": 1}
    )
    assert refunded.status_code in {200, 201}, refunded.json
    payouts.jobs.accrue()

    code, held = verified("--json")
    over_http = closed_by.get(f"{PERIOD}/snapshots/1/verification").json
    assert (code, held["holds"], held["rebuilt"], held["moved_on"]) == (0, True, held["digest"], {"conversions": 1})
    assert over_http == held
    assert "it holds" in verified()[1]

    execute(runtime, "UPDATE matches SET difference_minor = 5")
    execute(runtime, "UPDATE payouts SET amount_minor = amount_minor + 1, version = version + 1")
    execute(runtime, "UPDATE conversions SET occurred_at = :at", at="2026-09-30 00:00:00+00:00")
    code, broken = verified("--json")

    assert (code, broken["holds"], broken["is_kept"], broken["differences"]) == (1, False, True, 4)
    assert broken["rebuilt"] != broken["digest"]
    assert sorted((each["kind"], each["change"]) for each in broken["items"]) == [
        ("conversions", "gone"),
        ("matches", "changed"),
        ("matches", "changed"),
        ("payouts", "changed"),
    ]
    assert "difference_minor: 0 -> 5" in verified()[1]
    assert closed_by.get("/api/v1/periods/2026-09/snapshots/1/verification").status_code == 404


def test_a_long_month_is_kept_in_parts_and_a_close_from_before_is_checked_by_its_old_digest(
    runtime: Runtime,
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        for number in range(8):
            build.conversion(source, f"T{number}", None if number == 7 else number)
        run = Reconciliation(
            id="rec_1", period="2026-10", leg="network", state="finished", counts={}, started_by="stf_1",
            created_at=OCTOBER,
        )  # fmt: skip
        session.add(run)
        session.flush()
        for state in ("confirmed", "suggested"):
            session.add(
                Match(
                    id=f"mat_{state}", group_id=f"mat_{state}", reconciliation_id=run.id, leg="network",
                    matched_by="exact_id", our_id=f"cnv_{state}", their_id="nln_1", allocated_minor=1,
                    difference_minor=0, currency="EUR", state=state, created_at=OCTOBER,
                )
            )  # fmt: skip
        snapshot = snapshots.take(
            session, "2026-10", closed_at=runtime.clock(), closed_by="stf_1", totals={"b": 1, "a": "ä"}, part_rows=3
        )
        row = periods.held_for_closing(session, "2026-09")
        digest = closing.digest_without_rows(session, "2026-09")
        row.state, row.digest = "closed", digest
        session.add(
            PeriodSnapshot(
                period="2026-09", number=1, format=1, closed_at=runtime.clock(), closed_by="stf_1", totals={}, kinds={},
                digest=digest,
            )
        )  # fmt: skip

    with runtime.reading() as session:
        kept = list(snapshots.rows(session, snapshot, "conversions"))
        again = list(KINDS["conversions"].rows(session, "2026-10", runtime.clock()))
        old = verifying.verify(session, "2026-09")
        assert verifying.verify(session, "2026-10").is_kept
    assert kept == again
    assert (len(kept), snapshot.kinds["conversions"]["rows"]) == (8, 8)
    # What is only suggested is no match.
    assert snapshot.kinds["matches"]["rows"] == 1
    assert (old.holds, old.rebuilt) == (True, digest)
