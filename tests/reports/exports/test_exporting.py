"""Files that are asked for, made by the stage, fetched, and gone after seven days; and what a killed worker leaves."""

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import openpyxl
import pypdf
import pytest
import sqlalchemy as sa

from core import leasing
from core.actors import system
from core.audit import AuditEntry
from core.errors import Conflict, Invalid
from core.runtime import Runtime
from payouts import jobs as payout_jobs
from reports.exports import asking, jobs, producing
from reports.exports.asking import Job
from reports.exports.formats import FORMATS
from reports.exports.models import Export, ExportMark
from reports.exports.producing import Produced
from reports.models import Reconciliation
from tests.conftest import Answer, Caller, TestClock
from tests.payouts.books import Books, Payers
from tests.web.pages import get
from web.jobs import purge

EXPORTS = "/api/v1/exports"
BODY = {"report": "conversions", "format": "csv", "filters": {"period": "2026-10"}}


@pytest.fixture
def books(runtime: Runtime) -> Books:
    """Three accrued conversions of October."""
    books = Books(runtime)
    books.source()
    books.campaign()
    books.affiliate()
    for number in range(3):
        books.conversion(f"cnv_{number}")
    payout_jobs.accrue()
    return books


def asked(caller: Caller, **body: object) -> str:
    answer = caller.post(EXPORTS, {**BODY, **body})
    assert (answer.status_code, answer.json["state"]) == (202, "waiting"), answer.text
    return str(answer.json["id"])


def shown(caller: Caller, export_id: str) -> dict[str, object]:
    found: dict[str, object] = caller.get(f"{EXPORTS}/{export_id}").json
    return found


def file_of(caller: Caller, export_id: str) -> Answer:
    return caller.get(f"{EXPORTS}/{export_id}/file")


def test_an_export_is_made_by_the_stage_fetched_by_whoever_may_and_gone_after_seven_days(
    books: Books, runtime: Runtime, clock: TestClock, machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    manager, auditor = sign_in("manager"), sign_in("auditor")
    key = {"Idempotency-Key": "october"}
    first = manager.post(EXPORTS, BODY, headers=key)
    again = manager.post(EXPORTS, BODY, headers=key)
    export_id = first.json["id"]
    early = file_of(manager, export_id)

    jobs.export()

    assert (again.json["id"], early.status_code, early.json["type"]) == (export_id, 409, "/problems/export-not-ready")
    found, file = shown(manager, export_id), file_of(manager, export_id)
    assert (found["state"], found["rows"], found["rows_done"]) == ("finished", 3, 3)
    assert (found["file_name"], found["size_bytes"]) == ("conversions-2026-10.csv", len(file.data))
    assert found["sha256"] == hashlib.sha256(file.data).hexdigest()
    assert file.headers["Content-Disposition"] == 'attachment; filename="conversions-2026-10.csv"'
    assert file.data == manager.get("/api/v1/reports/conversions?format=csv&period=2026-10").data
    assert [file_of(each, export_id).status_code for each in (machine, auditor)] == [403, 200]
    assert [len(each.get(EXPORTS).json["items"]) for each in (manager, machine, auditor)] == [1, 0, 1]
    page = get(manager.client, "/reports").text
    assert f'href="/api/v1/exports/{export_id}/file">conversions-2026-10.csv</a>' in page
    assert 'href="/api/v1/reports/roll-forward?format=xlsx&amp;period=2026-10"' in page
    assert 'href="/api/v1/reports/ageing-unpaid?format=pdf"' in page
    assert "journal?format=beancount&amp;period=2026-08" in get(manager.client, "/reports?period=2026-08").text
    assert get(manager.client, "/reports?period=2026-13").status_code == 422
    with runtime.reading() as session:
        entry = session.scalars(sa.select(AuditEntry).where(AuditEntry.subject_kind == "export")).one()
        assert (entry.verb, entry.subject_id, entry.actor_id) == ("asked", export_id, manager.staff_id)
    clock.advance(days=6, hours=23)
    purge()
    assert [path.read_bytes() for path in runtime.exports.iterdir()] == [file.data]
    clock.advance(hours=1)
    purge()
    auditor = sign_in("auditor")
    assert (file_of(auditor, export_id).status_code, shown(auditor, export_id)["state"]) == (404, "expired")
    assert list(runtime.exports.iterdir()) == []


def test_what_a_killed_worker_began_starts_anew_and_is_never_half_a_file(
    books: Books, runtime: Runtime, clock: TestClock, machine: Caller
) -> None:
    export_id = asked(machine)
    with runtime.transaction() as session:
        killed = asking.claimed(runtime, session)
    assert isinstance(killed, Job)
    runtime.exports.mkdir()
    left = runtime.exports / f".{export_id}-1.csv.0123456789abcdef.part"
    left.write_bytes(b"id,occurred_at\r\ncnv_")

    jobs.export()
    running = shown(machine, export_id)
    clock.advance(minutes=5, seconds=1)
    # The one that was thought dead comes back while another makes it: what it made is not kept.
    with runtime.transaction() as session:
        another = asking.claimed(runtime, session)
        late = Produced(1, 1, "0" * 64, producing.wanted(killed.report, killed.format, killed.filters).filters)
        is_kept = asking.finish(runtime, session, killed, late, stored_as="late", file_name="late")
    clock.advance(minutes=5, seconds=1)
    jobs.export()
    found = shown(machine, export_id)

    assert another is not None
    assert (running["state"], found["state"], found["rows"], is_kept) == ("running", "finished", 3, False)
    assert hashlib.sha256(file_of(machine, export_id).data).hexdigest() == found["sha256"]
    day_before = (clock.now - timedelta(days=1, seconds=1)).timestamp()
    os.utime(left, (day_before, day_before))
    purge()
    assert [path.name for path in runtime.exports.iterdir()] == [f"{export_id}-3.csv"]


def test_what_ends_every_worker_is_given_up_and_what_breaks_is_told(
    books: Books, runtime: Runtime, clock: TestClock, machine: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = asked(machine)
    clock.advance(seconds=1)
    too_long = asked(machine, format="pdf")
    for _ in range(leasing.ATTEMPTS_MAX):
        with runtime.transaction() as session:
            assert asking.claimed(runtime, session) is not None
        clock.advance(minutes=5, seconds=1)
    monkeypatch.setitem(FORMATS, "pdf", replace(FORMATS["pdf"], rows_max=2, rows_at_once_max=1))

    jobs.export()

    first, second = (shown(machine, each) for each in (deadly, too_long))
    assert (first["state"], first["error"]) == ("failed", "its worker was stopped 3 times before it was done")
    assert second["state"] == "failed"
    assert str(second["error"]).startswith("there are more than 2 rows, which is what this form bears here")
    assert file_of(machine, too_long).json["type"] == "/problems/export-failed"
    at_once = machine.get("/api/v1/reports/conversions?format=pdf")
    assert (at_once.status_code, at_once.json["type"]) == (422, "/problems/too-many-rows")
    assert [path for path in runtime.exports.iterdir() if path.is_file()] == []


def test_a_mark_moves_on_with_each_export_and_tells_nothing_twice(
    books: Books, runtime: Runtime, clock: TestClock, machine: Caller
) -> None:
    def told(**filters: str) -> tuple[str, set[str]]:
        export_id = asked(machine, report="changes", format="json", filters=filters)
        jobs.export()
        rows = file_of(machine, export_id).json["rows"]
        return export_id, {row["id"] for row in rows if row["what"] == "accrual"}

    clock.advance(minutes=2)
    first_id, first = told(mark="Xero")
    own_id, own = told()
    books.conversion("cnv_new", payout_minor=100)
    payout_jobs.accrue()
    too_young = told(mark="Xero")[1]
    clock.advance(minutes=2)
    second = told(mark="Xero")[1]
    third = told(mark="Xero")[1]

    assert (len(first), first == own, too_young, len(second), third) == (3, True, set(), 1, set())
    assert first & second == set()
    assert shown(machine, first_id)["filters"] == {"mark": "Xero", "until": "2026-11-02T09:01:00Z"}
    with runtime.reading() as session:
        marks = {mark.export_id: mark.name for mark in session.scalars(sa.select(ExportMark))}
        assert marks[own_id] == session.get_one(Export, own_id).asked_by
    others = machine.post(EXPORTS, {"report": "changes", "format": "csv", "filters": {"mark": "stf_of_another"}})
    assert [error["field"] for error in others.json["errors"]] == ["filters.mark"]

    # Two at once under one mark: the slower tells only what is left.
    slow = asked(machine, report="changes", filters={"mark": "both"})
    with runtime.transaction() as session:
        job = asking.claimed(runtime, session)
    assert job is not None
    wanted = producing.wanted(job.report, job.format, job.filters)
    with runtime.reading() as session:
        produced = producing.write(session, wanted, runtime.exports / "slow.csv", now=clock())
    fast = asked(machine, report="changes", filters={"mark": "both"})
    jobs.export()
    with runtime.transaction() as session:
        is_kept = asking.finish(runtime, session, job, produced, stored_as="slow.csv", file_name="slow.csv")
    jobs.export()
    assert (is_kept, shown(machine, fast)["rows"], shown(machine, slow)["rows"]) == (False, produced.rows, 0)
    assert produced.rows > 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_one_fills_the_line(runtime: Runtime) -> None:
    wanted = producing.wanted("payouts", "csv", {})
    with runtime.transaction() as session:
        for _ in range(asking.WAITING_MAX):
            asking.ask(runtime, session, wanted, actor=system("many"))
    with pytest.raises(Conflict, match="20 exports of yours"), runtime.transaction() as session:
        asking.ask(runtime, session, wanted, actor=system("many"))
    with runtime.transaction() as session:
        asking.ask(runtime, session, wanted, actor=system("another"))
        assert session.scalar(sa.select(sa.func.count(Export.id))) == asking.WAITING_MAX + 1


def test_the_older_exports_come_as_xlsx_and_pdf_too(month: str, runtime: Runtime, payers: Payers) -> None:
    with runtime.reading() as session:
        run_id = session.scalars(sa.select(Reconciliation.id)).one()
    paths = (f"/api/v1/reconciliations/{run_id}/export", "/api/v1/periods/2026-10/report")

    books, texts = [], []
    for path in paths:
        books.append(openpyxl.load_workbook(io.BytesIO(payers.gatherer.get(f"{path}?format=xlsx").data))["Rows"])
        pdf = pypdf.PdfReader(io.BytesIO(payers.gatherer.get(f"{path}?format=pdf").data))
        texts.append("".join(page.extract_text() for page in pdf.pages))

    run, report = ([[cell.value for cell in line] for line in book.iter_rows()] for book in books)
    assert run[0][:3] == ["Kind", "Name", "State"]
    assert [row[8:13] for row in run if row[:2] == ["match", "exact_id"]] == [[9, "EUR", 8, "EUR", -1]]
    assert ["roll_forward", "payable:affiliate", "closing", None, 21.5, "EUR"] in report
    assert "amount_mismatch" in texts[0]
    assert "payable:affiliate" in texts[1]
    assert payers.gatherer.get(f"{paths[0]}?format=docx").status_code == 422


def test_a_filter_that_is_wrong_is_told_under_its_name(machine: Caller) -> None:
    answer = machine.post(EXPORTS, {"report": "roll-forward", "format": "docx", "filters": {"period": "x", "leg": "y"}})

    assert [error["field"] for error in answer.json["errors"]] == ["format", "filters.period", "filters.leg"]
    with pytest.raises(Invalid):
        producing.wanted("journal", "csv", {"currency": "EUR"})
