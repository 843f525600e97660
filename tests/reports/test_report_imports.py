"""Networks' reports that come again, previews of them, kept mappings, and imports that a worker does."""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core import leasing
from core.runtime import Runtime
from ledger.models import Period
from reports import line_spool
from reports.importing import jobs as importing
from reports.importing.models import ReportImport
from reports.models import NetworkLine, Statement
from tests.conftest import Answer, Caller, TestClock
from tests.reports.test_csv_report import SMALL
from tests.reports.test_doors import made_source, send_report
from tests.reports.test_passes import Month

OWN = {**SMALL, "line_id": "id", "status": "state"}
HEAD = b"id,sum,state,day\n"
BROKEN = b"[" + b'{"id":"a","sum":"1","day":"2026-10-01"},' * 300
OURS = """\
transaction_id: Id
amount: Payout
currency: =EUR
occurred_on: {column: EventDate, format: iso8601, timezone: UTC}
"""
IMPACT = b"Id,State,Payout,Currency,SubId1,EventDate\n1,PENDING,3.00,EUR,c1,2026-10-02T12:00:00Z\n"


def send(caller: Caller, door: str, content: bytes, mapping: Any = None, **fields: str) -> Answer:
    said = {} if mapping is None else {"mapping": mapping if isinstance(mapping, str) else json.dumps(mapping)}
    return caller.post(f"/api/v1/{door}", data={**fields, **said, "file": (io.BytesIO(content), "report.csv")})


def lines(runtime: Runtime) -> list[tuple[str | None, int, str | None]]:
    with runtime.reading() as session:
        found = session.execute(
            sa.select(NetworkLine.transaction_id, NetworkLine.amount_minor, NetworkLine.status_word).order_by(
                NetworkLine.transaction_id, NetworkLine.id
            )
        )
        return [(row[0], row[1], row[2]) for row in found]


def test_a_newer_file_tells_the_status_and_of_lines_with_ids_the_amount_unless_a_person_has_matched_it(
    machine: Caller, runtime: Runtime
) -> None:
    source_id = made_source(runtime, "Awin")
    send_report(machine, source_id, HEAD + b"a,1,new,2026-10-01\nb,2,new,2026-10-01\nc,3,new,2026-10-01\n", OWN)
    with runtime.transaction() as session:
        month = Month(runtime, session)
        line_id = session.scalars(sa.select(NetworkLine.id).where(NetworkLine.transaction_id == "b")).one()
        month.edge(month.ours("other", 200), line_id, 200)

    again = send_report(
        machine,
        source_id,
        HEAD
        + b"a,1.50,paid,2026-10-01\nb,9,paid,2026-10-01\nc,3,new,2026-10-01\nd,4,new,2026-10-01\na,7,x,2026-10-01\n",
        OWN,
    )

    assert {name: again.json[name] for name in ("lines", "new", "repeated", "restated")} == {
        "lines": 3, "new": 1, "repeated": 2, "restated": 1,
    }  # fmt: skip
    assert [(row["line"], row["reason"].split(":")[0]) for row in again.json["rejected"]] == [
        (3, "says another amount than before, and a person has matched it"),
        (6, "has an id of its own that stands further up in this file already"),
    ]
    assert lines(runtime) == [("a", 150, "paid"), ("b", 200, "new"), ("c", 300, "new"), ("d", 400, "new")]


def test_many_twins_in_one_file_stay_as_many_in_any_order_of_files(machine: Caller, runtime: Runtime) -> None:
    source_id = made_source(runtime)
    twins = b"T,1,2026-10-01\n" * 7000

    first = send_report(machine, source_id, b"id,sum,day\n" + twins)
    again = send_report(machine, source_id, b"id,sum,day\nU,1,2026-10-01\n" + twins + b"T,1,2026-10-01\n")

    assert (first.json["new"], again.json["new"], again.json["repeated"]) == (7000, 2, 7000)
    with runtime.reading() as session:
        ids = sa.select(sa.func.count(sa.distinct(NetworkLine.id)), sa.func.count(sa.distinct(NetworkLine.line_key)))
        assert tuple(session.execute(ids).one()) == (7002, 7002)


def test_without_a_mapping_the_only_one_that_fits_is_taken_a_kept_one_first(
    machine: Caller, runtime: Runtime, sign_in: Callable[..., Caller]
) -> None:
    finance = sign_in("finance")
    source_id = made_source(runtime)

    known = send(machine, "network-reports", IMPACT, source_id=source_id, period="2026-10")
    unknown = send(machine, "network-reports", HEAD, source_id=source_id, period="2026-10")
    wrong = send(machine, "network-reports", IMPACT, "nonesuch", source_id=source_id, period="2026-10")
    kept = finance.call("PUT", "/api/v1/report-mappings/ours", json={"mapping": OURS})
    ours = send(machine, "network-reports", IMPACT, source_id=source_id, period="2026-11")
    named = send(machine, "network-reports", IMPACT, "impact", source_id=source_id, period="2026-12")

    assert (known.status_code, unknown.status_code, wrong.status_code) == (201, 422, 422)
    assert "those of no known report (awin, cj, everflow" in unknown.json["errors"][0]["reason"]
    assert "there is no mapping nonesuch" in wrong.json["errors"][0]["reason"]
    assert (kept.status_code, ours.status_code, named.status_code) == (200, 201, 201)
    with runtime.reading() as session:
        mappings = session.scalars(sa.select(Statement.mapping).order_by(Statement.period)).all()
    assert [mapping["currency"] for mapping in mappings if mapping] == ["Currency", "=EUR", "Currency"]


def test_mappings_are_kept_shown_and_dropped_and_every_fault_is_told(sign_in: Callable[..., Caller]) -> None:
    finance, auditor = sign_in("finance"), sign_in("auditor")

    bad = finance.call(
        "PUT", "/api/v1/report-mappings/ours", json={"mapping": {"amount": 7, "colour": "red", "format": "x"}}
    )
    taken = finance.call("PUT", "/api/v1/report-mappings/awin", json={"mapping": SMALL})
    misnamed = finance.call("PUT", "/api/v1/report-mappings/Ours", json={"mapping": SMALL})
    refused = auditor.call("PUT", "/api/v1/report-mappings/ours", json={"mapping": SMALL})
    finance.call("PUT", "/api/v1/report-mappings/ours", json={"mapping": SMALL})
    shown = auditor.get("/api/v1/report-mappings/ours").json
    every = auditor.get("/api/v1/report-mappings").json["items"]
    dropped = finance.delete("/api/v1/report-mappings/ours")

    assert {"mapping.colour", "mapping.amount", "mapping.transaction_id", "mapping.format"} <= {
        error["field"] for error in bad.json["errors"]
    }
    assert (taken.status_code, misnamed.status_code, refused.status_code) == (409, 422, 403)
    assert (shown["mapping"], shown["is_built_in"]) == (SMALL, False)
    assert [each["name"] for each in every] == ["ours", "awin", "cj", "everflow", "impact", "rakuten", "tune"]
    assert (dropped.status_code, auditor.get("/api/v1/report-mappings/ours").status_code) == (204, 404)


def test_a_preview_shows_what_is_understood_or_what_the_columns_suggest_and_stores_nothing(
    machine: Caller, runtime: Runtime
) -> None:
    good = send(machine, "network-reports/preview", IMPACT + b"2,APPROVED,x,EUR,c2,2026-10-03T12:00:00Z\n").json
    unknown = send(machine, "network-reports/preview", b"Order ID;Commission;Date\n1;2.00;31.10.2026\n").json
    nothing = send(machine, "network-reports/preview", b"\xff\xfe\x00").json

    assert (good["format"], good["is_loadable"], good["lines"], good["rejected_count"]) == ("csv", True, 1, 1)
    assert good["mapping"]["transaction_id"] == "Id"
    assert good["rows"][0] | {"line_id": "", "group_key": ""} == {
        "line": 2, "transaction_id": "1", "click_id": "c1", "money": {"amount": "3.00", "currency": "EUR"},
        "status": "PENDING", "occurred_on": "2026-10-02", "group_key": "", "line_id": "",
    }  # fmt: skip
    assert (good["sums"], good["statuses"]) == (
        [{"amount": "3.00", "currency": "EUR"}],
        [{"word": "PENDING", "lines": 1}],
    )
    assert (unknown["is_loadable"], unknown["header"]) == (False, ["Order ID", "Commission", "Date"])
    assert unknown["suggested"] == {
        "transaction_id": "Order ID", "amount": "Commission", "delimiter": ";",
        "occurred_on": {"column": "Date", "format": "%d.%m.%Y", "timezone": "UTC"},
    }  # fmt: skip
    assert (nothing["is_loadable"], bool(nothing["faults"])) == (False, True)
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Statement.id))) == 0


def test_a_file_of_which_hardly_anything_can_be_read_is_refused_whole(
    machine: Caller, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_spool, "REJECTED_MAX", 2)
    source_id = made_source(runtime)

    answer = send_report(machine, source_id, b"id,sum,day\n" + b"T,x,2026-10-01\n" * 3 + b"T,1,2026-10-01\n")

    assert answer.status_code == 422
    assert "is this the mapping of this file? line 2 'x' is not an amount" in answer.json["errors"][0]["reason"]
    assert lines(runtime) == []


def test_a_report_sent_in_is_loaded_by_the_stage_with_its_progress_and_its_file_is_gone(
    machine: Caller, runtime: Runtime
) -> None:
    source_id = made_source(runtime)
    content = b"id,sum,day\n" + b"".join(b"T%d,1,2026-10-01\n" % number for number in range(15_000)) + b"x,y,z\n"

    sent = send(machine, "imports", content, SMALL, source_id=source_id, period="2026-10")
    waiting = machine.get(f"/api/v1/imports/{sent.json['id']}").json
    importing.import_reports()
    done = machine.get(f"/api/v1/imports/{sent.json['id']}").json
    again = send(machine, "imports", content, SMALL, source_id=source_id, period="2026-10")
    importing.import_reports()

    assert (sent.status_code, waiting["state"], waiting["lines_done"]) == (202, "waiting", 0)
    assert (done["state"], done["lines_done"], done["result"]["new"], done["result"]["rejected"]) == (
        "finished", 15_001, 15_000, 1,
    )  # fmt: skip
    assert machine.get(f"/api/v1/imports/{again.json['id']}").json["result"]["new"] == 0
    assert len(machine.get("/api/v1/imports?state=finished").json["items"]) == 2
    assert list(runtime.imports.iterdir()) == []


def test_what_is_wrong_with_a_report_sent_in_is_told_at_once_or_on_the_import(
    machine: Caller, runtime: Runtime, sign_in: Callable[..., Caller]
) -> None:
    source_id = made_source(runtime)
    fields = {"source_id": source_id, "period": "2026-10"}

    at_once = send(machine, "imports", HEAD, {**SMALL, "colour": "red"}, **fields)
    later = send(machine, "imports", BROKEN, SMALL, **fields)
    importing.import_reports()
    shown = machine.get(f"/api/v1/imports/{later.json['id']}").json

    assert (at_once.status_code, [error["field"] for error in at_once.json["errors"]]) == (422, ["mapping.colour"])
    assert (shown["state"], shown["faults"][0]["field"]) == ("failed", "file")
    assert send(sign_in("manager"), "imports", HEAD, SMALL, **fields).status_code == 403
    assert lines(runtime) == []


def test_an_import_whose_worker_is_gone_is_done_by_the_next_and_given_up_after_three(
    machine: Caller, runtime: Runtime, clock: TestClock
) -> None:
    fields = {"source_id": made_source(runtime), "period": "2026-10"}
    first = send(machine, "imports", b"id,sum,day\nT,1,2026-10-01\n", SMALL, **fields).json["id"]
    with runtime.transaction() as session:
        gone = leasing.taken(session, ReportImport, runtime.clock())
        assert gone is not None
        held = leasing.Held(gone.id, gone.attempts)

    importing.import_reports()  # its lease lasts
    clock.advance(seconds=leasing.LEASE.total_seconds() + 1)
    importing.import_reports()

    with runtime.transaction() as session:
        assert leasing.locked(session, ReportImport, held) is None
        assert session.get_one(ReportImport, first).state == leasing.FINISHED
    second = send(machine, "imports", b"id,sum,day\nU,1,2026-10-01\n", SMALL, **fields).json["id"]
    for _ in range(leasing.ATTEMPTS_MAX):
        with runtime.transaction() as session:
            assert leasing.taken(session, ReportImport, runtime.clock()) is not None
        clock.advance(seconds=leasing.LEASE.total_seconds() + 1)
    importing.import_reports()
    assert "stopped 3 times" in machine.get(f"/api/v1/imports/{second}").json["error"]
    assert lines(runtime) == [("T", 100, None)]


def test_a_month_that_closes_meanwhile_takes_no_report(machine: Caller, runtime: Runtime) -> None:
    source_id = made_source(runtime)
    sent = send(machine, "imports", b"id,sum,day\nT,1,2026-10-01\n", SMALL, source_id=source_id, period="2026-10")
    with runtime.transaction() as session:
        session.add(Period(id="2026-10", state="closed"))

    importing.import_reports()
    at_once = send(machine, "imports", b"id,sum,day\nT,1,2026-10-01\n", SMALL, source_id=source_id, period="2026-10")

    assert "2026-10 is closed" in machine.get(f"/api/v1/imports/{sent.json['id']}").json["error"]
    assert (at_once.status_code, at_once.json["type"]) == (409, "/problems/period-closed")


def test_what_belongs_to_no_import_is_removed_after_a_day(machine: Caller, runtime: Runtime, clock: TestClock) -> None:
    send(machine, "imports", b"id,sum,day\nT,1,2026-10-01\n", SMALL, source_id=made_source(runtime), period="2026-10")
    stray = runtime.imports / "imp_stray.report"
    stray.write_bytes(b"x")

    importing.tidy()
    both = len(list(runtime.imports.iterdir()))
    clock.advance(seconds=timedelta(days=400 * 10).total_seconds())
    importing.tidy()

    assert (both, [path.name == stray.name for path in runtime.imports.iterdir()]) == (2, [False])
