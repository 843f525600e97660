"""Owners, notes, lists, refusals and races of resolutions, on both databases."""

import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from approvals.models import ApprovalRequest
from core.audit import AuditEntry
from core.runtime import Runtime
from ledger.models import JournalEntry
from postback import content, recording
from postback.answers import Status
from postback.beliefs import Belief
from postback.content import Claim, Reading
from postback.models import Conversion, Receipt
from postback.receipts import Attempt
from reports.matching import DiscrepancyClass, difference
from reports.models import Discrepancy, NetworkLine
from reports.resolving import jobs, queries
from reports.resolving.models import Adjustment
from reports.taxonomy import Severity, severity
from tests.builders import Builder
from tests.conftest import Caller, TestClock
from tests.reports.conftest import Reconcile

SignIn = Callable[..., Caller]
THREADS = 4


def one_mismatch(runtime: Runtime, reconcile: Reconcile) -> str:
    """Find one amount that differs by -0.50, and return the discrepancy's id."""
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        build.conversion(source, "T1", 1250)
        build.network_line(build.report(source), "T1", 1200)
    reconcile("network")
    with runtime.reading() as session:
        return session.scalars(sa.select(Discrepancy.id)).one()


def say(caller: Caller, discrepancy_id: str, resolution: str, version: int, **more: str) -> Any:
    body = {"resolution": resolution, "note": "as they say", "version": version, **more}
    return caller.post(f"/api/v1/discrepancies/{discrepancy_id}/resolutions", body)


def approve(caller: Caller) -> None:
    [waiting] = caller.get("/api/v1/approvals?waiting_for=me").json["items"]
    page = caller.get(f"/approvals/{waiting['id']}")
    assert page.status_code == 200
    assert "accepted" in page.text
    body = {"verdict": "approve", "comment": "", "version": waiting["version"]}
    assert caller.post(f"/api/v1/approvals/{waiting['id']}/decisions", body).status_code == 200


def test_workers_that_take_one_approval_at_the_same_moment_post_its_adjustment_once(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn
) -> None:
    discrepancy_id = one_mismatch(runtime, reconcile)
    manager, finance = sign_in("manager"), sign_in("finance")
    assert say(manager, discrepancy_id, "accept", 1).json["state"] == "resolving"
    approve(finance)
    barrier, errors = threading.Barrier(THREADS), list[BaseException]()

    def work() -> None:
        barrier.wait()
        try:
            jobs.resolve()
        except BaseException as error:  # noqa: BLE001 - shown below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    with runtime.reading() as session:
        entry = session.scalars(sa.select(JournalEntry).where(JournalEntry.kind == "adjustment")).one()
        assert [(line.account, line.amount_minor) for line in entry.lines] == [
            ("receivable:network", -50),
            ("revenue:differences", 50),
        ]
        assert (entry.period, str(entry.posted_on)) == ("2026-10", "2026-10-31")
        assert session.scalars(sa.select(Adjustment.state)).all() == ["posted"]
        conversion_id = session.get_one(Discrepancy, discrepancy_id).conversion_id
        verbs = session.scalars(sa.select(AuditEntry.verb).where(AuditEntry.subject_id == discrepancy_id)).all()
    custody = finance.get(f"/api/v1/conversions/{conversion_id}").json["custody"]
    assert [step["id"] for step in custody if step["kind"] == "journal_entry"] == [entry.id]
    assert verbs == ["resolved", "resolved"]


def test_a_run_that_finds_other_amounts_opens_it_again_and_what_was_asked_is_never_posted(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn
) -> None:
    discrepancy_id = one_mismatch(runtime, reconcile)
    manager, finance = sign_in("manager"), sign_in("finance")
    say(manager, discrepancy_id, "accept", 1)
    reconcile("network")
    assert manager.get(f"/api/v1/discrepancies/{discrepancy_id}").json["state"] == "resolving"
    with runtime.transaction() as session:
        session.execute(sa.update(NetworkLine).values(amount_minor=1100))

    reconcile("network")

    shown = manager.get(f"/api/v1/discrepancies/{discrepancy_id}").json
    assert (shown["state"], shown["left"]) == ("open", {"amount": "-1.50", "currency": "EUR"})
    approve(finance)
    jobs.resolve()
    again = say(manager, discrepancy_id, "accept", shown["version"])
    with runtime.transaction() as session:
        session.execute(sa.delete(NetworkLine))
    reconcile("network")
    jobs.resolve()
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(JournalEntry.id))) == 0
        assert session.scalars(sa.select(Adjustment.state).order_by(Adjustment.id)).all() == ["lapsed", "lapsed"]
        assert sorted(session.scalars(sa.select(ApprovalRequest.state))) == ["approved", "voided"]
        assert session.get_one(Discrepancy, again.json["id"]).state == "gone"


def test_a_conversion_created_from_a_line_is_not_doubled_by_its_late_postback(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn, clock: TestClock
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source, click = build.source(), build.click(build.affiliate())
        build.network_line(build.report(source), "T1", 500)
    reconcile("network")
    with runtime.reading() as session:
        discrepancy_id = session.scalars(sa.select(Discrepancy.id)).one()
    manager = sign_in("manager")
    for wrong, reason in (({}, "is needed"), ({"click_id": "nobody"}, "is no click of ours")):
        refused = say(manager, discrepancy_id, "create_conversion", 1, **wrong)
        assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "click_id")
        assert reason in refused.json["errors"][0]["reason"]
    assert say(manager, discrepancy_id, "explained", 1, click_id="x").status_code == 422

    made = say(manager, discrepancy_id, "create_conversion", 1, click_id=click.click_id).json

    again = say(manager, discrepancy_id, "accept", made["version"])
    assert (again.status_code, again.json["type"]) == (409, "/problems/not-allowed-now")
    values = {"click_id": click.click_id, "transaction_id": "T1", "payout": "5.00", "currency": "EUR"}
    claim = content.read(values, Reading(), sent_at=clock())
    assert isinstance(claim, Claim)
    late = Belief(Attempt(source.id, "GET", "192.0.2.1", b"raw", clock(), 0.0), "sec_1", "A", [], claim, "T1")
    with runtime.transaction() as session:
        [recorded] = recording.record(runtime, session, [late])
    assert (recorded.status, recorded.conversion_id) == (Status.CONFLICT, made["conversion_id"])
    reconcile("network")
    with runtime.reading() as session:
        assert session.scalars(sa.select(Conversion.id)).all() == [made["conversion_id"]]
        assert session.scalar(sa.select(sa.func.count(Receipt.id))) == 1
        assert session.get_one(Discrepancy, discrepancy_id).state == "resolved"


def test_an_owner_is_named_notes_are_kept_and_the_list_is_narrowed_by_each_of_its_filters(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn, clock: TestClock, machine: Caller
) -> None:
    discrepancy_id = one_mismatch(runtime, reconcile)
    manager, auditor = sign_in("manager"), sign_in("auditor")
    path = f"/api/v1/discrepancies/{discrepancy_id}"

    refused = manager.patch(path, {"owner": auditor.staff_id, "version": 1})
    owned = manager.patch(path, {"owner": manager.staff_id, "version": 1})
    stale = manager.patch(path, {"owner": None, "version": 1})
    noted = auditor.post(f"{path}/notes", {"text": "Ask the network for its log."})
    clock.advance(days=3, hours=5)
    shown = machine.get(path).json

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "owner")
    assert (owned.json["owner"], owned.json["version"], stale.status_code) == (manager.staff_id, 2, 409)
    assert (noted.status_code, noted.json["author_id"]) == (201, auditor.staff_id)
    assert [note["text"] for note in shown["notes"]] == ["Ask the network for its log."]
    assert (shown["severity"], shown["age_days"], shown["first_seen_at"]) == ("low", 3, shown["created_at"])
    assert shown["allowed"] == ["explained", "carry_forward", "accept", "write_off", "claim"]
    for query, count in (
        ("period=2026-10&leg=network&class=amount_mismatch&severity=low&state=open", 1),
        (f"owner={manager.staff_id}&age_days_min=3&age_days_max=3", 1),
        ("owner=nobody", 0), ("severity=high", 0), ("age_days_min=4", 0), ("age_days_max=2", 0),
        ("period=2026-09", 0), ("leg=payout", 0), ("class=late", 0), ("state=resolved", 0),
    ):  # fmt: skip
        assert len(machine.get(f"/api/v1/discrepancies?{query}").json["items"]) == count, query
    assert machine.get("/api/v1/discrepancies?owner=me").json["items"] == []
    assert machine.post(f"{path}/notes", {"text": "x"}).status_code == 403
    assert sign_in("manager").get(f"{path}/dispute-pack").status_code == 403
    assert sign_in("auditor").get(f"{path}/dispute-pack").status_code == 404


def test_many_are_resolved_together_or_not_one_of_them(runtime: Runtime, reconcile: Reconcile, sign_in: SignIn) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        report = build.report(source)
        build.conversion(source, "T1", 1250)
        build.network_line(report, "T1", 1200)
        build.conversion(source, "T2", 1250)
        build.network_line(report, "T2", 1250, "USD")
    reconcile("network")
    manager = sign_in("manager")
    ids = [each["id"] for each in manager.get("/api/v1/discrepancies").json["items"]]
    body = {
        "ids": ids, "resolution": "accept", "note": "together", "count": 2,
        "sums": [{"amount": "-0.50", "currency": "EUR"}],
    }  # fmt: skip
    path = "/api/v1/discrepancies/resolutions/bulk"

    unknown = manager.post(path, {**body, "ids": [*ids, ids[0], "dsc_none"]})
    refused = manager.post(path, body)
    other = manager.post(path, {**body, "resolution": "explained", "sums": []})
    done = manager.post(path, {**body, "resolution": "explained"})
    again = manager.post(path, {**body, "resolution": "explained"})

    assert [error["field"] for error in unknown.json["errors"]] == ["ids.2", "ids.3"]
    assert (refused.status_code, len(refused.json["errors"])) == (409, 1)
    assert (other.status_code, other.json["type"]) == (409, "/problems/bulk-changed")
    assert [each["state"] for each in done.json["items"]] == ["resolved", "resolved"]
    assert "is resolved" in again.json["errors"][0]["reason"]
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Adjustment.id))) == 0


def test_the_severity_that_is_asked_for_is_the_one_that_is_shown(runtime: Runtime, reconcile: Reconcile) -> None:
    run = reconcile("payout")
    amounts = (None, 99, 9_999, 10_000, 99_999, 100_000, 1_000_000, 10_000_000)
    currencies = ("EUR", "JPY", "KWD", "UYW")
    with runtime.transaction() as session:
        session.add_all(
            Discrepancy(
                id=runtime.new_id("dsc"), reconciliation_id=run.id, period="2026-10", leg="payout", klass=klass,
                subject_key=f"{klass}{minor}{ours}{theirs}", ours_minor=7, ours_currency=ours,
                theirs_minor=None if minor is None else 7 - minor, theirs_currency=None if minor is None else theirs,
                state="open", created_at=runtime.clock(),
            )
            for klass in DiscrepancyClass for minor in amounts
            for ours, theirs in (*zip(currencies, currencies, strict=True), ("EUR", "USD"), (None, "JPY"))
        )  # fmt: skip
    with runtime.reading() as session:
        for wanted in Severity:
            asked = set(session.scalars(sa.select(Discrepancy.id).where(queries.is_severity(wanted))))
            shown = {
                each.id
                for each in session.scalars(sa.select(Discrepancy))
                if severity(
                    DiscrepancyClass(each.klass),
                    *(
                        difference(each.ours_minor, each.ours_currency, each.theirs_minor, each.theirs_currency)
                        or (None, None)
                    ),
                )
                is wanted
            }
            assert asked == shown
            assert asked
