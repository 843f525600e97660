"""Reports that go out by themselves: once a schedule and month, whoever dies meanwhile, on both databases."""

import email
import email.policy
import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import approvals.jobs
import config
from core import runtime as runtimes
from core.outbox import OutboxMessage
from core.runtime import Runtime
from reports.delivery import jobs
from reports.delivery.models import ReportDelivery
from tests.conftest import Caller, TestClock
from tests.reports.test_closing import whole_month
from web import assembly

NEW = {
    "name": "Books", "day": 5, "hour": 6, "reports": ["month", "journal"], "formats": ["csv", "hledger"],
    "recipients": ["cfo@example.com", "tax@example.com"], "folder": "books",
}  # fmt: skip
DUE = datetime(2026, 11, 5, 6, 0, tzinfo=UTC)


def deliveries(runtime: Runtime) -> list[ReportDelivery]:
    with runtime.reading() as session:
        return list(session.scalars(sa.select(ReportDelivery)))


def messages(runtime: Runtime) -> int:
    with runtime.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(OutboxMessage)) or 0


def letters(folder: Path) -> list[EmailMessage]:
    return [email.message_from_bytes(each.read_bytes(), policy=email.policy.default) for each in folder.glob("*.eml")]


def test_reports_are_delivered_once_a_month_into_a_folder_and_by_letter(
    runtime: Runtime, sign_in: Callable[..., Caller], clock: TestClock, tmp_path: Path
) -> None:
    whole_month(runtime)
    finance = sign_in("finance")
    made = finance.post("/api/v1/report-schedules", NEW)
    taken = finance.post("/api/v1/report-schedules", NEW | {"name": "Other"})
    waiting = finance.post(
        "/api/v1/report-schedules", NEW | {"folder": "closed", "waits_for_close": True, "recipients": []}
    )
    wrong = finance.post("/api/v1/report-schedules", {"name": " ", "day": 32, "hour": 6, "reports": []})
    jobs.deliver()
    assert deliveries(runtime) == []
    clock.now = DUE  # days later: sessions are over
    auditor = sign_in("auditor")
    jobs.deliver()
    jobs.deliver()
    approvals.jobs.notify()

    url = f"/api/v1/report-schedules/{made.json['id']}"
    [listed] = auditor.get(f"{url}/deliveries").json["items"]
    assert (made.status_code, made.json["next_at"], made.json["version"]) == (201, "2026-11-05T06:00:00Z", 1)
    assert (taken.status_code, taken.json["type"]) == (409, "/problems/folder-taken")
    assert (wrong.status_code, {each["field"] for each in wrong.json["errors"]}) == (422, {"name", "day", "formats"})
    assert auditor.post("/api/v1/report-schedules", NEW).status_code == 403
    assert (listed["period"], listed["letters"], listed["folder"]) == ("2026-10", 2, "books/2026-10")
    names = [each["name"] for each in listed["files"]]
    assert names == ["month-2026-10.csv", "journal-2026-10.csv", "journal-2026-10.journal"]
    folder = tmp_path / "deliveries" / "books" / "2026-10"
    assert sorted(each.name for each in folder.iterdir()) == sorted(names)
    assert [each.name for each in (tmp_path / "deliveries").iterdir()] == ["books"]
    content = (folder / "month-2026-10.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == listed["files"][0]["sha256"]
    assert b"accruals,6210 Affiliate Commission - Spring,accrue,1,12.50,EUR\r\n" in content
    fetched = auditor.get(listed["files"][0]["url"].removeprefix("http://localhost"))
    assert (fetched.data, fetched.mimetype) == (content, "text/csv")
    sent = letters(tmp_path / "outbox")
    assert sorted(each["To"] for each in sent) == ["cfo@example.com", "tax@example.com"]
    attached = {each.get_filename() or "": each.get_content() for each in sent[0].iter_attachments()}
    assert sorted(attached) == sorted(names)
    assert attached["month-2026-10.csv"].replace("\r\n", "\n").encode() == content.replace(b"\r\n", b"\n")

    # What waits for the close goes out with it; what lies there no more as it was delivered is not shown as it.
    with runtime.transaction() as session:
        session.execute(sa.text("UPDATE periods SET state = 'closed' WHERE id = '2026-10'"))
    jobs.deliver()
    assert len(auditor.get(f"/api/v1/report-schedules/{waiting.json['id']}/deliveries").json["items"]) == 1
    (folder / "month-2026-10.csv").write_text("forged")
    assert auditor.get(listed["files"][0]["url"].removeprefix("http://localhost")).status_code == 404


def test_a_schedule_is_changed_paused_and_removed_and_a_failure_is_seen(
    runtime: Runtime, sign_in: Callable[..., Caller], clock: TestClock, tmp_path: Path
) -> None:
    manager = sign_in("manager")
    made = manager.post("/api/v1/report-schedules", NEW | {"folder": "a/b"}).json
    url = f"/api/v1/report-schedules/{made['id']}"
    (tmp_path / "deliveries").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # A link out of the folder of deliveries is not followed.
    (tmp_path / "deliveries" / "a").symlink_to(elsewhere)
    clock.now = DUE
    manager = sign_in("manager")
    jobs.deliver()
    failed = manager.get(url).json
    left = [*elsewhere.rglob("*.csv"), *(tmp_path / "deliveries").glob(".*")]
    (tmp_path / "deliveries" / "a").unlink()

    paused = manager.patch(url, {"version": 1, "state": "paused"}).json
    stale = manager.patch(url, {"version": 1, "day": 7})
    wrong = manager.patch(url, {"version": 2, "reports": ["month"], "formats": ["beancount"]})
    jobs.deliver()
    # What passed while it was paused is not made up for; its next moment is a day later.
    clock.advance(hours=1)
    manager.patch(url, {"version": 2, "state": "active"})
    jobs.deliver()
    assert deliveries(runtime) == []
    manager.patch(url, {"version": 3, "day": 6, "hour": 3})
    clock.advance(days=1)
    manager = sign_in("manager")
    jobs.deliver()

    assert (failed["failed_at"], failed["error"]) == ("2026-11-05T06:00:00Z", "something broke on our side (OSError)")
    assert (left, messages(runtime)) == ([], 2)
    assert (paused["state"], stale.status_code, wrong.status_code) == ("paused", 409, 422)
    assert [each.period for each in deliveries(runtime)] == ["2026-10"]
    assert manager.get(url).json["error"] is None
    assert manager.delete(url).json["state"] == "removed"
    assert (manager.get(url).status_code, manager.delete(url).status_code) == (404, 404)
    clock.advance(days=31)
    jobs.deliver()
    assert len(deliveries(runtime)) == 1


def _worker(environment: dict[str, str]) -> None:
    """Run the stage in a process of its own."""
    built = replace(assembly.build(config.load(environment)), clock=lambda: DUE)
    runtimes.install(built)
    jobs.deliver()


def _while_held(runtime: Runtime, schedule_id: str, then: Callable[[], Any]) -> None:
    """Call `then` while nobody else can deliver the schedule: what a worker has made lies aside by then."""
    with runtime.transaction() as session:
        session.execute(sa.text("UPDATE report_schedules SET name = name WHERE id = :id"), {"id": schedule_id})
        then()


def test_a_worker_killed_in_between_leaves_nothing_twice_and_two_at_once_deliver_once(
    runtime: Runtime, sign_in: Callable[..., Caller], clock: TestClock, environment: dict[str, str], tmp_path: Path
) -> None:
    whole_month(runtime)
    schedule = sign_in("finance").post("/api/v1/report-schedules", NEW).json
    root = tmp_path / "deliveries"
    process = multiprocessing.get_context("spawn").Process(target=_worker, args=(environment,))

    def killed() -> None:
        process.start()
        deadline = time.monotonic() + 60
        while len(list(root.glob(f"{jobs.ASIDE}*/*"))) < 3 and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()

    _while_held(runtime, schedule["id"], killed)
    assert process.exitcode == -signal.SIGKILL
    assert (deliveries(runtime), messages(runtime)) == ([], 0)
    assert len(list(root.glob(f"{jobs.ASIDE}*"))) == 1

    clock.now = DUE
    threads = [threading.Thread(target=jobs.deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs.deliver()

    assert [(each.period, len(each.files)) for each in deliveries(runtime)] == [("2026-10", 3)]
    assert messages(runtime) == 2
    [left] = root.glob(f"{jobs.ASIDE}*")
    os.utime(left, (0, 0))
    jobs.deliver()
    assert [each.name for each in root.iterdir()] == ["books"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_too_large_for_a_letter_goes_as_links(
    runtime: Runtime, sign_in: Callable[..., Caller], clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.delivery.sending.ATTACHED_BYTES_MAX", 10)
    sign_in("finance").post("/api/v1/report-schedules", NEW)
    clock.now = DUE
    jobs.deliver()

    with runtime.reading() as session:
        payload = session.scalars(sa.select(OutboxMessage.payload)).first()
    assert payload is not None
    assert payload["attachments"] == []
    assert "http://localhost/api/v1/report-deliveries/rdl_" in payload["text"]
