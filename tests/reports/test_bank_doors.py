"""Bank statements of every format through their doors, on both databases."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa

from core.runtime import Runtime
from reports.models import BankLine, Statement
from tests.builders import OUR_IBAN
from tests.conftest import Answer, Caller, TestClock
from tests.reports.bank_formats.test_csv_statement import SMALL
from tests.reports.bank_formats.test_mt940 import SMALL as MT940
from tests.reports.test_doors import DAYS, OCTOBER, made_source, send_report

FILES = Path(__file__).parent / "bank_formats" / "files"
CSV = b"day,sum,text\n2026-10-20,-1.00,x\n2026-10-20,-1.00,x\ntoday,1.00,=y\n"


def send(caller: Caller, content: bytes, door: str = "", **fields: Any) -> Answer:
    form = {name: json.dumps(value) if name == "mapping" else value for name, value in fields.items()}
    return caller.post(f"/api/v1/bank-statements{door}", data={**form, "file": (io.BytesIO(content), "bank.txt")})


def counts(answer: Answer) -> tuple[int, int]:
    return answer.json["new"], answer.json["repeated"]


def test_every_format_loads_once_and_true_twins_stay_two(machine: Caller, runtime: Runtime) -> None:
    csv_fields: dict[str, Any] = {"account": "CSV-1", "mapping": SMALL}
    overlapping = CSV.replace(b"today,1.00,=y", b"2026-10-21,5.00,z")
    files: list[tuple[bytes, dict[str, Any], int]] = [
        (OCTOBER, {"format": "camt.053"}, 4),
        (MT940.encode(), {"account": "DE89370400440532013000"}, 2),
        ((FILES / "svb_us_example.bai2").read_bytes(), {}, 2),
        ((FILES / "checking.ofx").read_bytes(), {}, 3),
        (CSV, csv_fields, 2),
    ]
    # The same bank and number, under the other account of this test.
    files[1] = (MT940.replace("12030000/0000202051", "37040044/0532013000").encode(), *files[1][1:])

    for content, fields, lines in files:
        first, second = send(machine, content, **fields), send(machine, content, **fields)
        assert (first.status_code, counts(first), counts(second)) == (201, (lines, 0), (0, lines)), first.text

    assert counts(send(machine, overlapping, **csv_fields)) == (1, 2)
    with runtime.reading() as session:
        accounts = sa.select(BankLine.account, sa.func.count()).group_by(BankLine.account)
        found: dict[str, int] = {row[0]: row[1] for row in session.execute(accounts)}
    assert found == {OUR_IBAN: 4, "DE89370400440532013000": 2, "1234567890": 2, "1452687~7": 3, "CSV-1": 3}


def test_the_same_days_in_another_format_are_refused_and_nothing_of_a_refused_file_is_kept(
    machine: Caller, runtime: Runtime
) -> None:
    assert send(machine, OCTOBER, account=OUR_IBAN).status_code == 201

    again = send(machine, MT940.encode(), account=OUR_IBAN)
    wrong = send(machine, (FILES / "citi_example.bai2").read_bytes())
    nothing = send(machine, b"%PDF-1.7", account=OUR_IBAN, format="ofx")

    assert (again.status_code, again.json["type"]) == (409, "/problems/loaded-in-another-format")
    assert f"lines of {OUR_IBAN} booked on 2026-10-2" in again.json["detail"]
    assert (wrong.status_code, "does not add up" in wrong.json["detail"]) == (422, True)
    assert (nothing.status_code, nothing.json["errors"][0]["field"]) == (422, "file")
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Statement.id))) == 1
        assert session.scalar(sa.select(sa.func.count(BankLine.id))) == 4


def test_a_preview_shows_rows_balances_and_every_fault_and_stores_nothing(
    machine: Caller, app: flask.Flask, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "MAX_CONTENT_LENGTH", 100)  # these doors take more than all others
    good = send(machine, OCTOBER, "/preview", account=OUR_IBAN).json
    told = {"opening": {"amount": "0.00", "on": "2026-10-01"}, "closing": {"amount": "5.00", "on": "2026-10-31"}}
    bad = send(machine, CSV, "/preview", account="CSV-1", mapping=SMALL | told).json
    unmapped = send(machine, CSV, "/preview", account="CSV-1", mapping={"booked_on": "date"}).json
    unknown = send(machine, b"what is this", "/preview").json

    assert (good["format"], good["is_loadable"], len(good["rows"]), good["faults"]) == ("camt.053", True, 4, [])
    [statement] = good["statements"]
    assert statement["opening"] == {"amount": "100.00", "currency": "EUR"}
    assert statement["closing"] == {"amount": "-9.50", "currency": "EUR"}
    assert (statement["lines"], statement["sum"]["amount"], statement["rejected"]) == (4, "-109.50", 1)
    assert good["rows"][0] | {"text": ""} == {
        "line": 17,
        "booked_on": "2026-10-20",
        "value_on": "2026-10-21",
        "money": {"amount": "-12.50", "currency": "EUR"},
        "text": "",
        "end_to_end_id": "E2E-1",
        "counterparty": "Blog One GmbH",
        "counterparty_iban": "DE89…13000",
        "bank_reference": "REF-1",
    }
    assert (bad["is_loadable"], [fault["field"] for fault in bad["faults"]]) == (False, ["line 4", "file"])
    assert [entry["line"] for entry in bad["rejected"]] == [4]
    assert {fault["field"] for fault in unmapped["faults"]} == {
        "mapping.booked_on",
        "mapping.currency",
        "mapping.amount",
    }
    assert (unknown["format"], unknown["faults"][0]["field"]) == (None, "format")
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(Statement.id))) == 0


def test_statements_of_both_kinds_are_listed_shown_and_their_bad_rows_exported(
    machine: Caller, runtime: Runtime, clock: TestClock, sign_in: Callable[..., Caller]
) -> None:
    source_id = made_source(runtime)
    report = send_report(machine, source_id, DAYS + b"T1,1.00,2026-10-01\nT2,x,2026-10-01\n").json
    clock.advance(seconds=1)
    bank = send(machine, CSV, account="CSV-1", mapping=SMALL).json

    every = machine.get("/api/v1/statements?limit=1").json
    rest = machine.get(f"/api/v1/statements?limit=1&after={every['next']}").json
    shown = machine.get(f"/api/v1/statements/{bank['id']}").json
    exported = machine.get(f"/api/v1/statements/{bank['id']}/rejected?format=csv")
    network = sign_in("auditor").get(f"/api/v1/statements/{report['id']}/rejected")

    assert [item["id"] for item in every["items"] + rest["items"]] == [bank["id"], report["id"]]
    assert (rest["items"][0]["kind"], rest["items"][0]["rejected_count"], rest["next"]) == ("network", 1, None)
    assert [item["id"] for item in machine.get("/api/v1/statements?account=csv-1").json["items"]] == [bank["id"]]
    assert machine.get(f"/api/v1/statements?kind=bank&source_id={source_id}").json["items"] == []
    assert (shown["format"], shown["mapping"], shown["lines"], shown["opened_on"]) == ("csv", SMALL, 2, "2026-10-20")
    assert exported.text.splitlines() == ["line,reason", "4,'today' is not a date of the form %Y-%m-%d"]
    assert network.json["items"] == report["rejected"]
    assert machine.get("/api/v1/statements/stm_none").status_code == 404
    assert sign_in("affiliate_manager").get("/api/v1/statements").status_code == 403
