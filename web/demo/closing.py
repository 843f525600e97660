"""The last chapters: reports and statement come in, are compared with what we know, and the month is closed."""

import json
from collections import Counter
from typing import Any

from web.demo import files, planted
from web.demo.cast import Story
from web.demo.client import Client, until
from web.demo.data import COMPANY_IBAN, NETWORKS, Kind
from web.demo.files import PaymentFile
from web.demo.planted import UNMATCHED_DEBIT, Problem

# A whole chain holds at least these, by the word that begins each step's kind.
CHAIN = ("click", "receipt", "accrual", "payout", "decision", "batch", "settlement", "match")


def import_files(story: Story, payment: PaymentFile) -> None:
    """Import each network's report and the bank's statement; bad rows are listed, a second time nothing is new."""
    with story.account.chapter("imports") as said:
        loaded = bad = 0
        for report in planted.reports(story.sample):
            content = files.network_report(report)
            name = f"report-{NETWORKS[report.network].prefix}.csv"
            (story.papers / name).write_bytes(content)
            style = files.STYLES[report.network]
            fields = {
                "source_id": story.partners.senders[report.network].source_id,
                "period": story.sample.period,
                "mapping": json.dumps(style.mapping),
            }
            first = story.cast.finance.upload("/api/v1/network-reports", name, content, fields)
            again = story.cast.finance.upload("/api/v1/network-reports", name, content, fields)
            story.account.expect(
                first["new"] == len(report.lines), f"{name}: {first['new']} of {len(report.lines)} lines loaded"
            )
            story.account.expect(again["new"] == 0, f"{name}: {again['new']} lines loaded twice")
            story.account.expect(
                len(first["rejected"]) == len(style.bad_rows), f"{name}: {len(first['rejected'])} rows were rejected"
            )
            loaded, bad = loaded + first["new"], bad + len(first["rejected"])
        content = files.bank_statement(payment.transfers, story.today)
        (story.papers / "bank.camt.053.xml").write_bytes(content)
        fields = {"format": "camt.053", "account": COMPANY_IBAN}
        bank = story.cast.finance.upload("/api/v1/bank-statements", "bank.camt.053.xml", content, fields)
        said.append(
            f"{loaded} lines of {len(NETWORKS)} networks ({bad} unreadable rows listed), {bank['new']} of the bank"
        )


def reconcile(story: Story) -> list[dict[str, Any]]:
    """Compare both legs, and what is found with what was planted; return the discrepancies."""
    story.account.planted = planted.stray_debits().union(*(report.problems for report in planted.reports(story.sample)))
    with story.account.chapter("matching") as said:
        transactions = {each["id"]: each["transaction_id"] for each in story.cast.finance.items("/api/v1/conversions")}
        every: list[dict[str, Any]] = []
        matched = 0
        for number, sender in enumerate(story.partners.senders):
            run, found = _run(
                story.cast.finance, {"period": story.sample.period, "leg": "network", "source_id": sender.source_id}
            )
            matched += run["counts"]["matched"]
            story.account.found.update(_network_problem(each, NETWORKS[number].name, transactions) for each in found)
            every += found
        run, found = _run(story.cast.finance, {"period": story.sample.period, "leg": "payout"})
        story.account.found.update(_bank_problem(each) for each in found)
        every += found
        story.account.judge()
        said.append(f"{matched} lines and {run['counts']['matched']} payments matched, {len(every)} discrepancies")
    return every


def wait_until_settled(story: Story, payment: PaymentFile) -> None:
    """Wait until each payment that the bank booked has settled its payout."""
    with story.account.chapter("settled") as said:
        until(
            lambda: (
                found
                if len(found := story.cast.finance.items("/api/v1/payouts", state="settled")) == payment.count
                else None
            ),
            f"{payment.count} payouts are settled",
        )
        said.append(f"{payment.count} payouts, by the bank's own lines")


def resolve_and_close(story: Story, found: list[dict[str, Any]]) -> None:
    """Explain every discrepancy, close the month, and keep what accountants take away."""
    with story.account.chapter("close") as said:
        for each in found:
            is_stray = each["class"] == UNMATCHED_DEBIT
            body = {
                "resolution": "explained" if is_stray else "carry_forward",
                "note": "Not a payout: booked by the bookkeeper." if is_stray else "Asked the network; due next month.",
                "version": each["version"],
            }
            story.cast.manager.post(f"/api/v1/discrepancies/{each['id']}/resolutions", body)
        checks = story.cast.finance.get(f"/api/v1/periods/{story.sample.period}/checks")
        red = [
            f"{check['sentence']}: {'; '.join(check['missing'])}" for check in checks["checks"] if not check["is_green"]
        ]
        story.account.faults += [f"the check list is red: {sentence}" for sentence in red]
        closed = story.cast.second_finance.post(f"/api/v1/periods/{story.sample.period}/close")
        for name, path, form in (
            ("journal.hledger", "/api/v1/journal", "hledger"),
            ("month.csv", f"/api/v1/periods/{story.sample.period}/report", "csv"),
            ("month.json", f"/api/v1/periods/{story.sample.period}/report", "json"),
        ):
            (story.papers / name).write_bytes(story.cast.finance.download(path, format=form))
        said.append(f"{len(found)} explained or carried by {story.cast.manager.name}, closed: {closed['digest'][:19]}…")


def show_custody(story: Story) -> None:
    """Follow one conversion from its click to the network's line."""
    settled = {each["id"] for each in story.cast.finance.items("/api/v1/payouts", state="settled")}
    odd = {each.about for each in story.account.planted} | {
        each.transaction_id for each in story.sample.of(Kind.CONFLICT)
    }
    with story.account.chapter("custody") as said:
        conversion = next(
            shown
            for each in story.cast.finance.items("/api/v1/accruals", period=story.sample.period)
            if each["payout_id"] in settled
            and (shown := story.cast.finance.get(f"/api/v1/conversions/{each['conversion_id']}"))["transaction_id"]
            not in odd
        )
        custody = conversion["custody"]
        kinds = [step["kind"] for step in custody]
        missing = [kind for kind in CHAIN if not any(kind in each for each in kinds)]
        story.account.expect(not missing, f"the custody of {conversion['id']} lacks {', '.join(missing)}: {kinds}")
        order = [step["at"] for step in custody]
        story.account.expect(order == sorted(order), f"the custody of {conversion['id']} is not in time order")
        said.append(f"{conversion['transaction_id']}: {' → '.join(Counter(kinds))}")
    story.account.notes.append(f"one whole chain: {story.cast.machine.url}/conversions/{conversion['id']}")


def _run(person: Client, body: dict[str, str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    path = f"/api/v1/reconciliations/{person.post('/api/v1/reconciliations', body)['id']}"
    run = until(
        lambda: each if (each := person.get(path))["state"] in {"finished", "failed"} else None,
        f"the reconciliation {body} is finished",
    )
    return run, person.items(f"{path}/discrepancies")


def _network_problem(found: dict[str, Any], network: str, transactions: dict[str, str]) -> Problem:
    conversion_id = found["conversion_id"]
    about = transactions.get(conversion_id) if conversion_id else found["line"]["transaction_id"]
    return Problem(found["class"], network, str(about))


def _bank_problem(found: dict[str, Any]) -> Problem:
    about = found["line"]["text"] if found["line"] else found["payout_id"]
    return Problem(found["class"], "bank", str(about))
