"""What the reports say of one month, on both databases, and each of them in every form."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet
import pypdf
import pytest

from core.runtime import Runtime
from reports.exports import producing
from reports.exports.catalogue import REPORTS
from tests.conftest import Caller
from tests.payouts.books import Payers


@pytest.fixture
def report(month: str, payers: Payers) -> Callable[..., list[list[str]]]:
    """Return a report's rows, without its header: `report("payouts", period="2026-10")`."""

    def rows(name: str, **filters: str) -> list[list[str]]:
        answer = payers.gatherer.get(f"/api/v1/reports/{name}", query_string={"format": "csv", **filters})
        assert (answer.status_code, answer.mimetype) == (200, "text/csv"), answer.text
        return list(csv.reader(io.StringIO(answer.text, newline="")))[1:]

    return rows


def test_each_report_says_of_one_month_what_it_is_about(
    month: str, report: Callable[..., list[list[str]]], payers: Payers
) -> None:
    october, november = report("roll-forward", period="2026-10"), report("roll-forward", period="2026-11")

    # Currency, opening, accrued, clawed back, paid, came back, FX and other, closing.
    assert october == [
        ["EUR", "0.00", "21.50", "0.00", "0.00", "0.00", "0.00", "21.50"],
        ["JPY", "0", "700", "0", "0", "0", "0", "700"],
    ]
    assert november == [
        ["EUR", "21.50", "0.00", "9.00", "12.50", "0.00", "0.00", "0.00"],
        ["JPY", "700", "0", "0", "0", "0", "0", "700"],
    ]
    each = report("roll-forward-by-affiliate", period="2026-11", currency="EUR")
    assert [[row[2], *row[3:]] for row in each] == [
        ["'=Blog One", "9.00", "0.00", "9.00", "0.00", "0.00", "0.00", "0.00"],
        [each[1][2], "12.50", "0.00", "0.00", "12.50", "0.00", "0.00", "0.00"],
    ]

    # Currency, conversions, accruals, accrued, taken back, net, paid, unpaid.
    eur = ["EUR", "2", "3", "21.50", "9.00", "12.50", "12.50", "0.00"]
    jpy = ["JPY", "1", "1", "700", "0", "700", "0", "700"]

    assert report("by-network") == [["src_1", "src_1", *eur], ["src_1", "src_1", *jpy]]
    assert report("by-campaign", source_id="src_1") == [["cmp_1", "cmp_1", *eur], ["cmp_1", "cmp_1", *jpy]]
    assert [row[3:] for row in report("by-category")] == [eur, jpy]
    assert report("by-affiliate", affiliate_id="aff_1") == [
        ["aff_1", "'=Blog One", "EUR", "1", "2", "9.00", "9.00", "0.00", "0.00", "0.00"],
        ["aff_1", "'=Blog One", "JPY", "1", "1", "700", "0", "700", "0", "700"],
    ]
    assert report("by-network", period="2026-11") == [
        ["src_1", "src_1", "EUR", "1", "1", "0.00", "9.00", "-9.00", "0.00", "-9.00"]
    ]
    assert report("by-network", source_id="src_2") == []

    # Of 5 October: 30 days old on 4 November, 31 on the 5th, 60 on 4 December, 90 on 3 January.
    ages = {
        as_of: next(place for place, minor in enumerate(row[4:8]) if minor != "0")
        for as_of in ("2026-11-04", "2026-11-05", "2026-12-04", "2026-12-05", "2027-01-03", "2027-01-04")
        for row in report("ageing-unpaid", currency="JPY", as_of=as_of)
    }
    assert list(ages.values()) == [0, 1, 1, 2, 2, 3]
    assert [row[2:] for row in report("ageing-unpaid")] == [
        ["EUR", "2", "0.00", "0.00", "0.00", "0.00", "0.00"],
        ["JPY", "1", "700", "0", "0", "0", "700"],
    ]
    assert [[row[0], *row[3:]] for row in report("ageing-unmatched", as_of="2026-11-05")] == [
        ["network lines", "EUR", "1", "5.00", "0.00", "0.00", "0.00", "5.00"],
        ["our conversions", "EUR", "1", "0.00", "12.50", "0.00", "0.00", "12.50"],
        ["our conversions", "JPY", "1", "0", "700", "0", "0", "700"],
    ]

    assert report("match-rate", period="2026-10") == [
        ["2026-10", "network", "src_1", "src_1", "exact_id", "1", "2", "50.00"],
        ["2026-10", "network", "src_1", "src_1", "unmatched", "1", "2", "50.00"],
    ]
    exceptions = report("exceptions", state="open")
    assert sorted((row[3], *row[10:16]) for row in exceptions) == [
        ("amount_mismatch", "9.00", "EUR", "8.00", "EUR", "-1.00", "EUR"),
        ("missing_at_network", "12.50", "EUR", "", "", "-12.50", "EUR"),
        ("missing_at_network", "700", "JPY", "", "", "-700", "JPY"),
        ("missing_at_us", "", "", "5.00", "EUR", "5.00", "EUR"),
    ]
    assert report("exceptions", leg="payout") == []

    [decision] = report("approvals", period="2026-10")
    assert (decision[0], decision[3], decision[5], decision[9], decision[10]) == (
        "2026-10-16T10:00:00Z", month, "12.50", "approve", payers.gatherer.staff_id,
    )  # fmt: skip
    assert decision[11].endswith("@example.com")
    [adjusted] = report("adjustments", affiliate_id="aff_1")
    assert (adjusted[1], adjusted[2], adjusted[7], adjusted[10:12]) == (
        "clawback", "2026-11", "cnv_owed", ["-9.00", "EUR"],
    )  # fmt: skip
    [payout] = report("payouts", state="settled", period="2026-10")
    assert (payout[0], payout[6:8], payout[12], payout[15]) == (month, ["12.50", "EUR"], "sepa", "2026-11-02")
    assert len(report("conversions", period="2026-10")) == 3
    assert report("conversions", period="2026-09") == []


def test_every_report_is_written_in_every_form_and_has_the_same_rows_in_each(
    month: str, runtime: Runtime, tmp_path: Path
) -> None:
    for name, report in REPORTS.items():
        filters = {"period": "2026-11"} if report.needs else {}
        counts: dict[str, Any] = {}
        for form in producing.formats_of(report):
            path = tmp_path / f"{name}.{form}"
            with runtime.reading() as session:
                produced = producing.produce(session, name, form, filters, path, now=runtime.clock())
            counts[form] = produced.rows
            assert produced.size_bytes == path.stat().st_size
        whole = json.loads((tmp_path / f"{name}.json").read_bytes())
        with (tmp_path / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
        book = openpyxl.load_workbook(tmp_path / f"{name}.xlsx")
        text = "".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / f"{name}.pdf").pages)
        rows = {
            "csv": len(lines) - 1,
            "xlsx": book["Rows"].max_row - 1,
            "json": len(whole["rows"]),
            "pdf": counts["pdf"],
            "parquet": pyarrow.parquet.read_table(tmp_path / f"{name}.parquet").num_rows,
        }
        assert set(rows.values()) == {counts["csv"]}, name
        assert {counts[form] for form in rows} == {counts["csv"]}, name
        assert counts["csv"] > 0, name
        assert f"{counts['csv']} rows" in text, name
        assert report.title in text, name
    assert (tmp_path / "journal.hledger").read_text(encoding="utf-8").startswith("; Clickledger journal")
    assert (tmp_path / "journal.beancount").read_text(encoding="utf-8").startswith("option")


def test_the_reports_say_what_they_take_and_every_fault_is_told_at_once(
    machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    listed = {each["name"]: each for each in machine.get("/api/v1/reports").json["items"]}
    faulty = machine.get("/api/v1/reports/roll-forward?format=hledger&state=open&currency=ABC")
    form = machine.get("/api/v1/reports/payouts?format=docx")

    assert listed["journal"]["formats"] == ["csv", "xlsx", "json", "pdf", "parquet", "hledger", "beancount"]
    assert (listed["roll-forward"]["filters"], listed["roll-forward"]["needs"]) == (["period", "currency"], ["period"])
    assert {"name": "opening", "title": "Opening", "kind": "money"} in listed["roll-forward"]["columns"]
    assert [(fault["field"], fault["reason"]) for fault in faulty.json["errors"]] == [
        ("format", "is for the journal alone; this report is written as csv, xlsx, json, pdf, parquet"),
        ("currency", "'ABC' is not a currency of ISO 4217"),
        ("state", "is no filter here: the report takes period, currency"),
        ("period", "is needed"),
    ]
    assert [fault["field"] for fault in form.json["errors"]] == ["format"]
    assert machine.get("/api/v1/reports/profit").status_code == 404
    assert sign_in("affiliate_manager").get("/api/v1/reports").status_code == 403
    assert sign_in("auditor").get("/api/v1/reports/journal?format=hledger").mimetype == "text/plain"
