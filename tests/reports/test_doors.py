"""Imports, reconciliations and resolutions through their doors, on both databases."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.audit import AuditEntry
from core.runtime import Runtime
from reports import jobs
from reports.models import BankLine, NetworkLine, Statement
from reports.payout_leg import PayoutLeg
from tests.builders import OUR_IBAN, Builder
from tests.conftest import Answer, Caller
from tests.reports.test_csv_report import MAPPING, SMALL

FILES = Path(__file__).parent / "files"
OCTOBER = (FILES / "october.camt053.xml").read_bytes()
DAYS = b"id,sum,day\n"


def made_source(runtime: Runtime, name: str = "Everflow") -> str:
    with runtime.transaction() as session:
        return str(Builder(runtime, session).source(name).id)


def send_report(caller: Caller, source_id: str, content: bytes, mapping: Any = SMALL, **fields: str) -> Answer:
    form = {"source_id": source_id, "period": "2026-10", "mapping": json.dumps(mapping), **fields}
    return caller.post("/api/v1/network-reports", data={**form, "file": (io.BytesIO(content), "report.csv")})


def send_statement(caller: Caller, content: bytes, account: str = OUR_IBAN) -> Answer:
    form = {"format": "camt.053", "account": account, "file": (io.BytesIO(content), "october.xml")}
    return caller.post("/api/v1/bank-statements", data=form)


def test_a_report_is_loaded_with_every_bad_row_listed_and_the_same_file_again_brings_nothing_new(
    machine: Caller, runtime: Runtime
) -> None:
    source_id = made_source(runtime)
    content = (FILES / "october.csv").read_bytes()

    first = send_report(machine, source_id, content, MAPPING)
    second = send_report(machine, source_id, content, MAPPING)

    assert first.status_code == 201
    assert {name: first.json[name] for name in ("lines", "new", "repeated")} == {"lines": 4, "new": 4, "repeated": 0}
    assert [row["line"] for row in first.json["rejected"]] == [7, 8, 9, 10, 11]
    assert {name: second.json[name] for name in ("lines", "new", "repeated")} == {"lines": 4, "new": 0, "repeated": 4}
    with runtime.reading() as session:
        kept = session.get_one(Statement, first.json["id"])
        assert kept.rejected == first.json["rejected"]
        assert session.scalar(sa.select(sa.func.count(NetworkLine.id))) == 4


def test_overlapping_files_load_once_and_true_twins_stay_two(machine: Caller, runtime: Runtime) -> None:
    source_id = made_source(runtime)
    twin, other = b"T1,1.00,2026-10-01\n", b"T2,1.00,2026-10-01\n"

    send_report(machine, source_id, DAYS + twin + other)
    answer = send_report(machine, source_id, DAYS + other + twin + twin)

    assert (answer.json["new"], answer.json["repeated"]) == (1, 2)
    with runtime.reading() as session:
        assert sorted(map(str, session.scalars(sa.select(NetworkLine.transaction_id)))) == ["T1", "T1", "T2"]


def test_all_faults_of_an_import_are_told_at_once_and_nothing_is_kept(machine: Caller, runtime: Runtime) -> None:
    answer = send_report(machine, "src_none", b"a,b\n", {**SMALL, "colour": "red"})

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [
        "source_id",
        "mapping.colour",
        "mapping.transaction_id",
        "mapping.amount",
        "mapping.occurred_on.column",
    ]
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Statement.id))) == 0


def test_a_form_that_is_none_is_refused_field_by_field(machine: Caller, runtime: Runtime) -> None:
    form = {"source_id": "src", "period": "2026-13", "mapping": "{", "file": "no file"}

    answer = machine.post("/api/v1/network-reports", data=form)

    assert answer.status_code == 422
    assert {error["field"] for error in answer.json["errors"]} == {"period", "mapping", "file"}


def test_a_bank_statement_is_loaded_once_and_what_is_not_booked_is_listed(machine: Caller, runtime: Runtime) -> None:
    first = send_statement(machine, OCTOBER, "de02 1203 0000 0000 2020 51")
    second = send_statement(machine, OCTOBER)

    assert first.status_code == 201
    assert (first.json["lines"], first.json["new"]) == (4, 4)
    assert first.json["rejected"] == [{"line": 43, "reason": "is PDNG, not booked"}]
    assert (second.json["new"], second.json["repeated"]) == (0, 4)
    with runtime.reading() as session:
        assert sorted(session.scalars(sa.select(BankLine.amount_minor))) == [-6000, -4000, -1250, 300]


def test_a_statement_that_does_not_add_up_leaves_nothing_behind(machine: Caller, runtime: Runtime) -> None:
    answer = send_statement(machine, OCTOBER.replace(b"9.50", b"9.49"))

    assert answer.status_code == 422
    assert "does not add up" in answer.json["detail"]
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Statement.id))) == 0
        assert session.scalar(sa.select(sa.func.count(BankLine.id))) == 0


def test_the_same_key_imports_once(machine: Caller, runtime: Runtime) -> None:
    source_id = made_source(runtime)
    keyed = Caller(machine.client, {**machine.headers, "Idempotency-Key": "one"})

    first = send_report(keyed, source_id, DAYS + b"T1,1.00,2026-10-01\n")
    second = send_report(keyed, source_id, DAYS + b"T1,1.00,2026-10-01\n")

    assert second.json == first.json
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Statement.id))) == 1


def test_a_reconciliation_is_asked_for_done_by_the_stage_and_shown(machine: Caller, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        build.conversion(source, "T1", 1250)
        build.network_line(build.report(source), "T1", 1200)

    asked = machine.post("/api/v1/reconciliations", {"period": "2026-10", "leg": "network", "source_id": source.id})
    path = f"/api/v1/reconciliations/{asked.json['id']}"
    waiting = machine.get(path).json["state"]
    jobs.month_end()
    run, found = machine.get(path).json, machine.get(f"{path}/discrepancies").json

    assert (asked.status_code, waiting) == (202, "waiting")
    assert run["state"] == "finished"
    by_pass = {"confirmed": {"exact_id": 1}, "suggested": {}}
    assert run["counts"] == {"ours": 1, "theirs": 1, "matched": 1, "by_pass": by_pass}
    assert run["discrepancies"] == {"amount_mismatch": 1}
    assert run["digest"].startswith("sha256:")
    [item] = found["items"]
    assert (item["class"], item["state"], item["line"]["transaction_id"]) == ("amount_mismatch", "open", "T1")
    assert item["ours"] == {"amount": "12.50", "currency": "EUR"}
    assert item["theirs"] == {"amount": "12.00", "currency": "EUR"}
    assert item["difference"] == {"amount": "-0.50", "currency": "EUR"}
    assert machine.get(f"{path}/discrepancies?class=late").json["items"] == []
    assert [each["id"] for each in machine.get("/api/v1/reconciliations?period=2026-10").json["items"]] == [run["id"]]


def test_a_run_that_fails_says_so_and_does_not_wait_for_ever(
    machine: Caller, runtime: Runtime, monkeypatch: Any
) -> None:
    def broken(*_: object) -> None:
        message = "secret details"
        raise RuntimeError(message)

    asked = machine.post("/api/v1/reconciliations", {"period": "2026-10", "leg": "payout"})
    monkeypatch.setattr(PayoutLeg, "keep", broken)

    jobs.month_end()

    run = machine.get(f"/api/v1/reconciliations/{asked.json['id']}").json
    assert (run["state"], run["error"]) == ("failed", "something broke on our side (RuntimeError)")


def test_a_source_narrows_the_network_leg_alone_and_must_be_ours(machine: Caller) -> None:
    unknown = {"period": "2026-10", "leg": "network", "source_id": "src_none"}

    for body in (unknown, {**unknown, "leg": "payout"}):
        answer = machine.post("/api/v1/reconciliations", body)
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "source_id")


def test_a_person_explains_a_discrepancy_once_at_the_version_he_saw(
    machine: Caller, runtime: Runtime, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        build.conversion(build.source(), "T1", 1250)
    asked = machine.post("/api/v1/reconciliations", {"period": "2026-10", "leg": "network"})
    jobs.month_end()
    listing = f"/api/v1/reconciliations/{asked.json['id']}/discrepancies"
    [item] = machine.get(listing).json["items"]
    path = f"/api/v1/discrepancies/{item['id']}/resolutions"
    body = {"resolution": "carry_forward", "note": "they report it next month", "version": item["version"]}
    manager = sign_in("manager")

    by_machine = machine.post(path, body)
    first = manager.post(path, body)
    second = manager.post(path, body)

    assert by_machine.status_code == 403
    assert (first.status_code, first.json["state"], first.json["version"]) == (201, "carried", 2)
    assert first.json["resolved_by"] == manager.staff_id
    assert (second.status_code, second.json["type"]) == (409, "/problems/version-moved-on")
    with runtime.reading() as session:
        act = session.scalars(sa.select(AuditEntry).where(AuditEntry.subject_id == item["id"])).one()
    assert (act.verb, act.reason, act.after) == (
        "resolved",
        "they report it next month",
        {"state": "carried", "resolution": "carry_forward"},
    )


def test_an_export_holds_matches_and_discrepancies_and_runs_no_formula(machine: Caller, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        report = build.report(source)
        for transaction_id in ("=1+1", "T2"):
            build.conversion(source, transaction_id, 300)
        build.network_line(report, "=1+1", 300)
        build.network_line(report, "@SUM(A1)", -300)
    asked = machine.post("/api/v1/reconciliations", {"period": "2026-10", "leg": "network"})
    jobs.month_end()
    path = f"/api/v1/reconciliations/{asked.json['id']}/export"

    written, shown = machine.get(f"{path}?format=csv"), machine.get(path)

    assert written.mimetype == "text/csv"
    assert ",'=1+1,3.00,EUR,3.00,EUR,0.00," in written.text
    assert ",'@SUM(A1),,,-3.00,EUR,-3.00," in written.text
    assert [row["name"] for row in shown.json["rows"]].count("exact_id") == 1
    assert len(shown.json["rows"]) == 3


def test_imports_are_finance_s(runtime: Runtime, sign_in: Callable[..., Caller]) -> None:
    source_id = made_source(runtime)

    assert send_report(sign_in("manager"), source_id, DAYS).status_code == 403
    assert send_report(sign_in("finance"), source_id, DAYS).status_code == 201
