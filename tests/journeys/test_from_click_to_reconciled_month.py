"""The main job through its real doors: HTTP, RQ workers, files; on both databases, with Redis lost on the way."""

import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import PASSWORD
from tests.journeys.engine import Engine, Person, Source, running, until

TODAY = datetime.now(UTC)
LAST_MONTH_END = TODAY.replace(day=1) - timedelta(days=1)
MONTH = LAST_MONTH_END.strftime("%Y-%m")
OCCURRED = f"{MONTH}-10T12:00:00Z"
CLICKED = f"{MONTH}-09T12:00:00Z"
COMPANY_IBAN = "DE75512108001245126199"
POLICY = {
    "chains": [
        {
            "id": "small",
            "when": {"all": [{"amount_base": {"lte": 1000}}, {"assurance": {"in": ["A"]}}]},
            "steps": [],
        },
        {
            "id": "default",
            "when": {},
            "steps": [
                {"id": "manager", "approvers": {"role": "manager"}, "need": 1},
                {"id": "finance", "approvers": {"role": "finance"}, "need": 1},
            ],
        },
    ]
}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Run the whole engine; a unix socket's path must be short, so not under pytest's own folder."""
    folder = Path(tempfile.mkdtemp(prefix="clickledger-journey-", dir="/tmp"))
    with running(database_url, folder) as engine:
        yield engine
    for log in sorted(folder.glob("*.log")):
        print(f"--- {log.name}\n{log.read_text()[-3000:]}")  # noqa: T201 - pytest shows it when the test has failed
    shutil.rmtree(folder)


@pytest.mark.timeout(300)
def test_a_month_goes_from_its_clicks_to_its_close(engine: Engine) -> None:
    machine = engine.machine()
    admin = engine.first_admin("ada@example.com")
    second_admin = engine.person(admin, "bob@example.com", "admin")
    creator, approver = (engine.person(admin, f"{name}@example.com", "finance") for name in ("cleo", "dan"))
    manager, auditor = (
        engine.person(admin, f"{name}@example.com", role) for name, role in (("eve", "manager"), ("fay", "auditor"))
    )

    source, affiliates, clicks = _partners_and_clicks(machine, engine.url)
    _rules(machine, admin, second_admin, campaign=clicks[2]["campaign"])

    _fire_postbacks(source, clicks)
    engine.lose_redis()
    _late_click_arrives(machine, clicks)
    conversions = _accrued(machine)
    held = _the_held_one_waits_for_a_person(machine, creator)

    payouts = _bundled(machine, creator)
    assert {(p["affiliate_id"], p["money"]["amount"]) for p in payouts} == {
        (affiliates[0], "19.75"),  # 12.50 + 7.25 as told
        (affiliates[1], "20.00"),  # 12.5 % of 100.00 and of 19.99, and 5.00 that waited for its click
        (affiliates[2], "3.00"),
    }
    _decided(machine, creator=creator, manager=manager, approver=approver)
    batch, instructions = _paid(creator, approver)
    assert sum(amount for _, amount in instructions) == pytest.approx(42.75)

    _month_end(machine, creator, manager, source, instructions)
    _closed(creator, auditor, machine)
    _exported(auditor)

    chain = machine.get(f"/api/v1/conversions/{conversions['TX-1']}")["custody"]
    kinds = [link["kind"] for link in chain]
    assert [link["at"] for link in chain] == sorted(link["at"] for link in chain)
    for kind in ("click", "receipt", "accrual", "payout", "decision", "batch", "settlement", "match"):
        assert any(kind in each for each in kinds), f"{kind} is missing in {kinds}"
    assert batch["count"] == 3
    assert machine.get(f"/api/v1/conversions/{held}")["state"] == "rejected"
    assert engine.command("audit", "verify")["holds"] is True
    assert engine.command("ledger", "verify")["holds"] is True
    token = str(machine.session.headers["Authorization"]).removeprefix("Bearer ")
    _nothing_secret_was_logged(engine, source.secret, token, PASSWORD, "sig=", "19.75", "DE89370400440532013000")


def _nothing_secret_was_logged(engine: Engine, *canaries: str) -> None:
    logs = "".join(log.read_text() for log in engine.folder.glob("*.log"))
    assert "/api/v1/" in logs
    assert [canary for canary in canaries if canary in logs] == []


def _partners_and_clicks(machine: Person, url: str) -> tuple[Source, list[str], list[dict[str, str]]]:
    created = machine.post(
        "/api/v1/sources",
        {
            "name": "Everflow", "scheme": "pb1", "allowlist": ["127.0.0.1/32"], "stale": "hold",
            "default_currency": "EUR",
        },
        expect=201,
    )  # fmt: skip
    source = Source(created["id"], url, created["secret"]["value"])
    affiliates = [
        machine.post(
            "/api/v1/affiliates",
            {
                "name": name, "currency": "EUR", "payee": {"name": name, "iban": iban, "bic": bic},
                "hold_days": 0, "minimum_payout": "0.00",
            },
            expect=201,
        )["id"]
        for name, iban, bic in (
            ("Blog One GmbH", "DE89370400440532013000", "COBADEFFXXX"),
            ("Café Deux", "FR1420041010050500013M02606", "PSSTFRPPXXX"),
            ("Drie B.V.", "NL91ABNA0417164300", "ABNANL2AXXX"),
        )
    ]  # fmt: skip
    told, percent = (
        machine.post(
            "/api/v1/campaigns",
            {
                "name": name, "destination_url": "https://shop.example/?cid={click_id}", "terms": terms,
                "attribution_window_days": 30,
            },
            expect=201,
        )["id"]
        for name, terms in (("Told", {"kind": "told"}), ("Percent", {"kind": "percent", "percent": "12.5"}))
    )  # fmt: skip
    wanted = [(told, 0), (told, 0), (percent, 1), (percent, 1), (told, 2)]
    answers = machine.post(
        "/api/v1/clicks",
        [
            {"campaign_id": campaign, "affiliate_id": affiliates[affiliate], "clicked_at": CLICKED}
            for campaign, affiliate in wanted
        ],
        expect=201,
    )["items"]
    clicks = [
        {"click_id": answer["click_id"], "campaign": campaign, "affiliate": affiliates[affiliate]}
        for answer, (campaign, affiliate) in zip(answers, wanted, strict=True)
    ]
    clicks.append({"click_id": "LATE-CLICK-1", "campaign": told, "affiliate": affiliates[1]})
    return source, affiliates, clicks


def _rules(machine: Person, admin: Person, second_admin: Person, *, campaign: str) -> None:
    rules = [
        {
            "id": "percent",
            "when": {"all": [{"campaign_id": {"eq": campaign}}]},
            "category": {"code": "6210", "name": "Affiliate commission, percent", "account": "expense:commission:sale"},
        },
        {
            "id": "rest",
            "when": {},
            "category": {"code": "6200", "name": "Affiliate commission", "account": "expense:commission"},
        },
    ]
    assert machine.post("/api/v1/category-rulesets", {"rules": rules}, expect=201)["version"] == 1
    second_admin.post("/api/v1/category-rulesets/1/activate")
    assert admin.post("/api/v1/approval-policies", POLICY, expect=201)["version"] == 1
    admin.post("/api/v1/approval-policies/1/activate", expect=403)
    second_admin.post("/api/v1/approval-policies/1/activate")


def _fire_postbacks(source: Source, clicks: list[dict[str, str]]) -> None:
    def query(number: int, transaction: str, payout: str, **more: Any) -> str:
        return source.signed_query(
            click_id=clicks[number]["click_id"], transaction_id=transaction, payout=payout, currency="EUR",
            occurred_at=OCCURRED, **more,
        )  # fmt: skip

    fired = {
        "TX-1": query(0, "TX-1", "12.50"),
        "TX-2": query(1, "TX-2", "7.25"),
        "TX-3": query(2, "TX-3", "12.50", amount="100.00"),
        "TX-4": query(3, "TX-4", "2.50", amount="19.99"),
        "TX-5": query(4, "TX-5", "3.00"),
    }
    for transaction, each in fired.items():
        answer = source.fire(each)
        assert (answer.status_code, answer.json()["status"]) == (200, "accepted"), transaction
    again = source.fire(fired["TX-1"])
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    forged = source.fire(fired["TX-2"].replace("payout=7.25", "payout=9.25"))
    assert (forged.status_code, forged.json()["status"]) == (401, "unauthorised")
    unknown = source.fire(query(5, "TX-6", "5.00"))
    assert (unknown.status_code, unknown.json()["status"]) == (200, "unmatched")
    hour_ago = int(datetime.now(UTC).timestamp()) - 3600
    stale = source.fire(
        source.signed_query(
            ts=hour_ago, click_id=clicks[0]["click_id"], transaction_id="TX-7", payout="99.00", currency="EUR",
            occurred_at=OCCURRED,
        )
    )  # fmt: skip
    assert (stale.status_code, stale.json()["status"]) == (202, "held_late")


def _late_click_arrives(machine: Person, clicks: list[dict[str, str]]) -> None:
    late = clicks[5]
    machine.post(
        "/api/v1/clicks",
        {
            "campaign_id": late["campaign"], "affiliate_id": late["affiliate"], "click_id": late["click_id"],
            "clicked_at": CLICKED,
        },
        expect=201,
    )  # fmt: skip


def _accrued(machine: Person) -> dict[str, str]:
    """Wait for the stages to do their work, which nothing but the ring asks for after Redis was lost."""
    found = until(
        lambda: len(each := machine.items("/api/v1/conversions", state="accrued")) == 6 and each,
        "six conversions are accrued",
    )
    return {conversion["transaction_id"]: conversion["id"] for conversion in found}


def _the_held_one_waits_for_a_person(machine: Person, creator: Person) -> str:
    [held] = [each for each in machine.items("/api/v1/conversions") if each["transaction_id"] == "TX-7"]
    assert held["hold_reason"] == "late"
    creator.post(
        f"/api/v1/conversions/{held['id']}/events",
        {"kind": "reject", "reason": "The network cannot explain the delay.", "version": held["version"]},
        expect=201,
    )
    return str(held["id"])


def _bundled(machine: Person, creator: Person) -> list[dict[str, Any]]:
    creator.post("/api/v1/stages/bundling/runs", {"period": MONTH}, expect=202)
    payouts = until(
        lambda: len(each := machine.items("/api/v1/payouts", period=MONTH)) == 3 and each, "three payouts are made"
    )
    creator.post("/api/v1/stages/bundling/runs", {"period": MONTH}, expect=202)
    return list(payouts)


def _decided(machine: Person, *, creator: Person, manager: Person, approver: Person) -> None:
    waiting = manager.items("/api/v1/approvals", waiting_for="me")
    assert [request["chain"] for request in waiting] == ["default", "default"]
    for request in waiting:
        path = f"/api/v1/approvals/{request['id']}/decisions"
        manager.post(path, {"verdict": "approve", "comment": "", "version": request["version"]})
        version = machine.get(f"/api/v1/approvals/{request['id']}")["version"]
        # Whoever asked for the payouts made them, and does not approve them.
        creator.post(path, {"verdict": "approve", "comment": "", "version": version}, expect=403)
        # One person counts once.
        manager.post(path, {"verdict": "approve", "comment": "", "version": version}, expect=409)
        approver.post(path, {"verdict": "approve", "comment": "Seen.", "version": version})
    until(lambda: len(machine.items("/api/v1/payouts", state="approved")) == 3, "three payouts are approved")


def _paid(creator: Person, approver: Person) -> tuple[dict[str, Any], list[tuple[str, float]]]:
    batch = approver.post("/api/v1/batches", {"method": "sepa", "currency": "EUR"}, expect=201)
    assert batch["sum"] == {"amount": "42.75", "currency": "EUR"}
    # Who gathered a batch does not release it, nor does who decided one of its payouts.
    approver.post(f"/api/v1/batches/{batch['id']}/release", {"version": batch["version"]}, expect=403)
    creator.post(f"/api/v1/batches/{batch['id']}/release", {"version": batch["version"]})
    tree = ET.fromstring(approver.get(f"/api/v1/batches/{batch['id']}/file"))  # noqa: S314 - our own file
    name = {"p": tree.tag.partition("}")[0].strip("{")}
    return batch, [
        (str(each.findtext("p:PmtId/p:EndToEndId", None, name)), float(each.findtext("p:Amt/p:InstdAmt", "0", name)))
        for each in tree.iterfind(".//p:CdtTrfTxInf", name)
    ]


def _month_end(
    machine: Person, creator: Person, manager: Person, source: Source, instructions: list[tuple[str, float]]
) -> None:
    report = "Transaction ID,Payout,Cur,Status,Date\n" + "".join(
        f"{transaction},{payout},{currency},approved,{MONTH}-10\n"
        for transaction, payout, currency in (
            ("TX-1", "12.50", "EUR"),
            ("TX-2", "7.30", "EUR"),  # amount_mismatch
            ("TX-3", "12.50", "EUR"),
            ("TX-3", "12.50", "EUR"),  # duplicate_at_network
            ("TX-4", "2.50", "USD"),  # currency_mismatch
            ("TX-6", "5.00", "EUR"),
            ("TX-9", "4.00", "EUR"),  # missing_at_us; TX-5 is missing_at_network
            ("TX-8", "four", "EUR"),  # a bad row
        )
    )
    mapping = {
        "transaction_id": "Transaction ID", "amount": "Payout", "currency": "Cur", "status": "Status",
        "occurred_on": {"column": "Date", "format": "%Y-%m-%d", "timezone": "UTC"},
    }  # fmt: skip
    fields = {"source_id": source.id, "period": MONTH, "mapping": json.dumps(mapping)}
    imported = machine.upload("/api/v1/network-reports", "october.csv", report, fields)
    assert (imported["lines"], imported["new"], imported["repeated"]) == (7, 7, 0)
    assert [row["line"] for row in imported["rejected"]] == [9]
    assert machine.upload("/api/v1/network-reports", "october.csv", report, fields)["repeated"] == 7

    statement = _statement([*instructions, ("", 55.5)])
    fields = {"format": "camt.053", "account": COMPANY_IBAN}
    assert machine.upload("/api/v1/bank-statements", "bank.xml", statement, fields)["new"] == 4

    found = _reconciled(machine, "network", source_id=source.id) + _reconciled(machine, "payout")
    assert Counter(each["class"] for each in found) == {
        "amount_mismatch": 1,
        "duplicate_at_network": 1,
        "currency_mismatch": 1,
        "missing_at_us": 1,
        "missing_at_network": 1,
        "unmatched_debit": 1,
    }
    until(lambda: len(machine.items("/api/v1/payouts", state="settled")) == 3, "three payouts are settled")
    refused = creator.call("POST", f"/api/v1/periods/{MONTH}/close", json={}, expect=409)
    assert "discrepanc" in json.dumps(refused)
    for each in found:
        body = {"resolution": "carry_forward", "note": "Claimed from the network.", "version": each["version"]}
        manager.post(f"/api/v1/discrepancies/{each['id']}/resolutions", body, expect=201)


def _reconciled(machine: Person, leg: str, **scope: str) -> list[dict[str, Any]]:
    run = machine.post("/api/v1/reconciliations", {"period": MONTH, "leg": leg, **scope}, expect=202)
    path = f"/api/v1/reconciliations/{run['id']}"
    finished = until(lambda: (each := machine.get(path))["state"] not in {"waiting", "running"} and each, f"{leg} runs")
    assert finished["state"] == "finished", finished
    assert finished["digest"].startswith("sha256:")
    return machine.items(f"{path}/discrepancies")


def _closed(creator: Person, auditor: Person, machine: Person) -> None:
    creator.post(f"/api/v1/periods/{MONTH}/close")
    [period] = [each for each in auditor.items("/api/v1/periods") if each["period"] == MONTH]
    assert period["state"] == "closed"
    creator.call("POST", f"/api/v1/periods/{MONTH}/close", json={}, expect=409)
    assert machine.get(f"/api/v1/periods/{MONTH}/report", format="json")


def _exported(auditor: Person) -> None:
    journal = auditor.get("/api/v1/journal", format="hledger")
    if shutil.which("hledger") is None:
        pytest.skip("no hledger: install Debian's hledger")
    subprocess.run(["hledger", "-f", "-", "check", "-s"], input=journal, check=True, timeout=60)
    balances = subprocess.run(
        ["hledger", "-f", "-", "balance", "--flat", "-N", "-O", "csv"],
        input=journal, check=True, capture_output=True, timeout=60,
    ).stdout.decode()  # fmt: skip
    # Accrued 42.75 in all, all of it paid: nothing is owed, nothing is in clearing.
    assert "payable:affiliate" not in balances
    assert "clearing:payouts" not in balances
    assert "-42.75" in balances


def _statement(debits: list[tuple[str, float]]) -> str:
    """Return a camt.053 (own work after the public message definition) with one debit for each pair."""
    total = sum(amount for _, amount in debits)
    today = TODAY.date().isoformat()
    entries = "".join(
        f"""<Ntry><Amt Ccy="EUR">{amount:.2f}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts>
        <BookgDt><Dt>{today}</Dt></BookgDt><ValDt><Dt>{today}</Dt></ValDt><AcctSvcrRef>R{number}</AcctSvcrRef>
        <NtryDtls><TxDtls><Refs>{f"<EndToEndId>{reference}</EndToEndId>" if reference else ""}</Refs>
        <RmtInf><Ustrd>{"Payout" if reference else "Card terminal rent"}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"""
        for number, (reference, amount) in enumerate(debits)
    )

    def balance(code: str, amount: float) -> str:
        return f"""<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount:.2f}</Amt>
        <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>{today}</Dt></Dt></Bal>"""

    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>
    <GrpHdr><MsgId>M1</MsgId><CreDtTm>{today}T20:00:00</CreDtTm></GrpHdr>
    <Stmt><Id>S1</Id><CreDtTm>{today}T20:00:00</CreDtTm><Acct><Id><IBAN>{COMPANY_IBAN}</IBAN></Id></Acct>
    {balance("OPBD", 1000)}{balance("CLBD", 1000 - total)}{entries}</Stmt></BkToCstmrStmt></Document>"""
