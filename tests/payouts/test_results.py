"""Result files at their door: all of a file or nothing, every fault at once, each file once."""

import hashlib

import sqlalchemy as sa

from core.audit import AuditEntry
from core.runtime import Runtime
from ledger.models import JournalEntry
from payouts.models import BatchResult
from tests.payouts.books import Books, Payers
from tests.payouts.formats.test_pain002 import report, transaction

HEADER = "end_to_end_id,status,amount,currency\n"


def counted(books: Books) -> tuple[int, int]:
    """Journal entries of payments, and results kept."""
    with books.runtime.reading() as session:
        about = sa.select(sa.func.count()).where(JournalEntry.source_type == "batch_item")
        return session.scalar(about) or 0, session.scalar(sa.select(sa.func.count()).select_from(BatchResult)) or 0


def test_a_file_with_one_fault_does_nothing_and_names_them_all(payers: Payers) -> None:
    payers.approved(100, 200, 300)
    batch = payers.sent("sepa")
    ids = [item["end_to_end_id"] for item in batch["items"]]
    amounts = [item["money"]["amount"] for item in batch["items"]]
    before = counted(payers.books)

    refused = payers.answer(
        batch,
        HEADER
        + f"{ids[0]},settled,{amounts[0]},EUR\n"
        + f"{ids[1]},settled,9.99,EUR\n"
        + f"{ids[2]},settled,{amounts[2]},USD\n"
        + f"{ids[2]},failed,,\n"
        + "E2ENOBODYS,settled,1.00,EUR\n"
        + f"{ids[1]},exploded,,\n",
    )

    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json["errors"]] == ["line 7", "line 3", "line 4", "line 5", "line 6"]
    assert counted(payers.books) == before
    assert {payout.state for payout in payers.books.payouts()} == {"sent"}


def test_a_file_of_another_batch_is_refused(payers: Payers) -> None:
    payers.approved(100)
    first = payers.sent("sepa")
    payers.approved(200)
    second = payers.sent("sepa")
    other = report(transaction(second["items"][0]["end_to_end_id"], "ACSC")).replace(
        b"BAT1", second["id"].replace("_", "").upper().encode()
    )

    refused = payers.answer(first, other, None)
    taken = payers.answer(second, other, None)

    assert refused.status_code == 422
    assert ["which is another batch" in fault["reason"] for fault in refused.json["errors"]] == [True, False]
    assert (taken.status_code, taken.json["format"], taken.json["counts"]) == (201, "pain.002", {"settled": 1})


def test_a_file_counts_once_whatever_batch_it_is_sent_to(runtime: Runtime, payers: Payers) -> None:
    payers.approved(100)
    batch = payers.sent("sepa")
    content = f"{HEADER}{batch['items'][0]['end_to_end_id']},unknown,,\n"

    first = payers.answer(batch, content)
    second = payers.answer(batch, content)

    assert (first.status_code, second.status_code) == (201, 409)
    assert second.json["type"] == "/problems/received-before"
    assert first.json["sha256"] == hashlib.sha256(content.encode()).hexdigest()
    with runtime.reading() as session:
        kept = session.scalars(sa.select(BatchResult)).one()
        noted = session.scalars(sa.select(AuditEntry).where(AuditEntry.verb == "answered")).one()
    assert kept.content == content.encode()
    assert noted.after == {"result_id": kept.id, "format": "csv", "sha256": kept.sha256, "counts": {"unknown": 1}}


def test_a_bank_that_rejects_the_whole_file_fails_every_payment(payers: Payers) -> None:
    payers.approved(100, 200)
    batch = payers.sent("sepa")
    rejected = report(group="<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>").replace(
        b"BAT1", batch["id"].replace("_", "").upper().encode()
    )

    answered = payers.answer(batch, rejected, None)

    assert answered.json["counts"] == {"failed": 2}
    assert {(payout.state, payout.reason) for payout in payers.books.payouts()} == {("failed", "FF01")}
    assert payers.books.balances() == {"expense:uncategorised": 300, "payable:affiliate": -300}


def test_pending_and_repeated_answers_change_nothing(payers: Payers) -> None:
    first, second = payers.approved(100, 200)
    batch = payers.sent("sepa")
    payers.said(batch, {first: "settled"})

    answered = payers.said(batch, {first: "settled", second: "pending"})

    assert answered.json["counts"] == {"pending": 1, "unchanged": 1}
    assert (payers.state_of(first), payers.state_of(second)) == ("settled", "sent")
    contradicted = payers.said(batch, {first: "failed", second: "settled"})
    assert contradicted.status_code == 422
    assert payers.state_of(second) == "sent"


def test_what_was_not_released_or_is_read_otherwise_has_no_results(payers: Payers) -> None:
    payers.approved(100)
    building = payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR"}).json

    assert payers.said(building, "settled").status_code == 409
    payers.releaser.post(f"/api/v1/batches/{building['id']}/release", {"version": 1})
    wrong = payers.answer(building, "x", "paypal")
    assert (wrong.status_code, wrong.json["errors"][0]["field"]) == (422, "format")
    assert payers.answer(building, b"", "csv").status_code == 422
    missing = payers.gatherer.post(f"/api/v1/batches/{building['id']}/results", data={"format": "csv"})
    assert missing.status_code == 422
