"""Self-billing documents: what they say, their numbers without a gap, and bytes that never change."""

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import replace

import pypdf
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DatabaseError

from core import runtime as runtimes
from core.errors import Unavailable
from core.runtime import Company, Runtime
from partners.models import Affiliate
from payouts import content, jobs, self_bills
from payouts.models import Payout, SelfBill
from payouts.self_billing import split_vat
from tests.conftest import Caller
from tests.payouts.books import Payers

US = Company("Clickledger Tests GmbH", "DE02120300000000202051", address="Ring 1, 10115 Berlin", vat_id="DE123456789")


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


def issued(runtime: Runtime) -> list[SelfBill]:
    with runtime.reading() as session:
        return list(session.scalars(sa.select(SelfBill).order_by(SelfBill.number)))


def test_a_settled_payout_gets_its_document_with_what_a_tax_office_wants(runtime: Runtime, payers: Payers) -> None:
    runtimes.install(replace(runtime, company=US))
    [payout_id] = payers.approved(
        11_900, vat_id="FR40303265045", address="1 rue du Blog, 75001 Paris", vat_treatment="included",
        vat_percent="19", payee_name="Żółw & Söhne, Ελλάδα",
    )  # fmt: skip
    payers.books.change(Payout, payout_id, payee_name="Żółw & Söhne")
    payers.books.change(Affiliate, payers.books.payouts()[0].affiliate_id, payee_name="Żółw & Söhne")
    path = f"/api/v1/payouts/{payout_id}/self-bill"
    _with_present_hash(runtime, payout_id)
    batch = payers.sent("sepa")
    assert payers.gatherer.get(path).status_code == 404
    payers.said(batch, "settled")

    jobs.settle()
    answer = payers.gatherer.get(path)

    assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
    text = text_of(answer.data)
    for said in (
        "Self-billing invoice", "SB-2026-000001", "2026-11-02", "2026-10-05", "Żółw & Söhne", "1 rue du Blog",
        "VAT id FR40303265045", "Clickledger Tests GmbH", "10115 Berlin", "VAT id DE123456789",
        "Affiliate commission, cmp_1, 2026-10", "100.00 EUR", "VAT 19 %", "19.00 EUR", "119.00 EUR",
        batch["items"][0]["end_to_end_id"],
    ):  # fmt: skip
        assert said in text
    [listed] = payers.gatherer.get("/api/v1/self-bills?year=2026").json["items"]
    assert (listed["number"], listed["total"]["amount"]) == ("SB-2026-000001", "119.00")
    assert listed["sha256"] == hashlib.sha256(answer.data).hexdigest()
    assert payers.gatherer.get(f"/api/v1/self-bills/{listed['id']}/file").data == answer.data


def test_the_document_stays_what_it_was_whatever_changes_after(runtime: Runtime, payers: Payers) -> None:
    [payout_id] = payers.approved(100)
    payers.said(payers.sent("sepa"), "settled")
    jobs.settle()
    path = f"/api/v1/payouts/{payout_id}/self-bill"
    before = payers.gatherer.get(path).data

    payers.books.change(Affiliate, payers.books.payouts()[0].affiliate_id, payee_name="Else", address="Elsewhere")
    jobs.settle()

    assert payers.gatherer.get(path).data == before
    assert len(issued(runtime)) == 1
    with pytest.raises(DatabaseError), runtime.engine.begin() as connection:
        connection.execute(sa.update(SelfBill).values(sha256="0"))


def test_what_is_paid_a_second_time_corrects_the_first_document(runtime: Runtime, payers: Payers) -> None:
    [payout_id] = payers.approved(100)
    batch = payers.sent("sepa")
    payers.said(batch, "settled")
    jobs.settle()
    payers.said(batch, "returned")
    payers.act(payout_id, "retry")
    payers.books.change(Payout, payout_id, state="approved")
    payers.said(payers.sent("sepa"), "settled")

    jobs.settle()

    first, second = issued(runtime)
    assert (first.content["corrects"], second.content["corrects"]) == (None, "SB-2026-000001")
    assert second.corrects_id == first.id
    assert "Corrects and replaces" in text_of(second.file)


def test_without_a_company_nobody_issues_anything(runtime: Runtime, payers: Payers) -> None:
    payers.approved(100)
    payers.said(payers.sent("sepa"), "settled")
    runtimes.install(replace(runtime, company=None))

    jobs.settle()

    assert issued(runtime) == []


def test_numbers_have_no_gap_when_many_are_issued_at_once_and_some_fail(runtime: Runtime, payers: Payers) -> None:
    payout_ids = payers.approved(*range(100, 112))
    payers.said(payers.sent("sepa"), "settled")
    together = threading.Barrier(4)

    def issue(every: int) -> None:
        together.wait(10)
        for count in range(len(payout_ids)):
            try:
                with runtime.transaction() as session:
                    self_bills.issue_next(runtime, session)
                    if (count + every) % 3 == 0:
                        raise KeyError  # noqa: TRY301 - what fails after its number was drawn
            except (KeyError, Unavailable):  # one that failed, or SQLite was busy for too long
                continue

    threads = [threading.Thread(target=issue, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    jobs.settle()

    found = issued(runtime)
    assert [each.number for each in found] == list(range(1, 13))
    assert {each.payout_id for each in found} == set(payout_ids)


@given(total=st.integers(1, 10**12), percent=st.decimals("0.01", "50", places=2))
def test_net_and_vat_are_the_total_to_the_cent(total: int, percent: object) -> None:
    net, vat = split_vat(total, "included", str(percent))

    assert net + vat == total
    assert net > 0
    assert vat >= 0
    assert split_vat(total, "reverse_charge", None) == (total, 0)
    assert split_vat(11_900, "included", "19") == (10_000, 1_900)


def test_the_fields_that_documents_need_are_checked_together(sign_in: Callable[..., Caller]) -> None:
    admin = sign_in("admin")
    body = {"name": "Blog", "currency": "EUR", "vat_id": "123", "vat_treatment": "included", "vat_percent": "ninety"}

    refused = admin.post("/api/v1/affiliates", body)
    made = admin.post(
        "/api/v1/affiliates",
        {**body, "vat_id": "ATU99999999", "vat_percent": "20", "payment_cycle": "monthly", "tax_form_required": "w9"},
    )
    path = f"/api/v1/affiliates/{made.json['id']}"
    changed = admin.patch(path, {"version": 1, "tax_form": "w9", "tax_form_received_on": "2026-11-01"})
    undone = admin.patch(path, {"version": 2, "vat_treatment": "reverse_charge"})

    assert [fault["field"] for fault in refused.json["errors"]] == ["vat_id", "vat_percent"]
    assert (made.status_code, made.json["payment_cycle"], made.json["vat_percent"]) == (201, "monthly", "20")
    assert (changed.json["tax_form"], changed.json["tax_form_received_on"]) == ("w9", "2026-11-01")
    assert [fault["field"] for fault in undone.json["errors"]] == ["vat_percent"]


def _with_present_hash(runtime: Runtime, payout_id: str) -> None:
    with runtime.transaction() as session:
        payout = session.get_one(Payout, payout_id)
        payout.content_hash = content.present(session, [payout])[payout_id].content_hash
