"""Payments through the real doors on both databases: sent, answered, lost, failed, come back, and paid again."""

from dataclasses import replace
from datetime import date, timedelta

import sqlalchemy as sa

from core import runtime as runtimes
from core.runtime import AchAccount, Company, Runtime
from partners.models import Affiliate
from payouts import content, jobs, outcomes, settlement
from payouts.models import Batch, BatchItem, Payout
from tests.conftest import TestClock
from tests.payouts.books import LONG_AGO, Books, Payers

OURS = "bank:DE02120300000000202051"
NACHA = {"debtor": {"name": "Us Inc", "routing_number": "091000019", "company_id": "1234567890", "bank_name": "Bank"}}
US_PAYEE = {"payee_iban": None, "payee_kind": "us_bank", "payee_account": "011401533/12345678/checking/person"}


def test_a_result_file_settles_fails_and_returns_each_payment_with_its_entry(payers: Payers) -> None:
    first, second, third = payers.approved(100, 200, 400)
    batch = payers.sent("sepa")

    answered = payers.said(batch, {first: "settled", second: "failed", third: "returned"})

    assert (answered.status_code, answered.json["counts"]) == (201, {"failed": 1, "returned": 1, "settled": 1})
    assert [payers.state_of(each) for each in (first, second, third)] == ["settled", "failed", "returned"]
    # Settled left the bank; the others are owed again, and nothing is on its way.
    assert payers.books.balances() == {"expense:uncategorised": 700, "payable:affiliate": -600, OURS: -100}
    shown = payers.gatherer.get(f"/api/v1/batches/{batch['id']}").json
    assert shown["state"] == "settled"
    reasons = {item["payout_id"]: item["reason"] for item in shown["items"]}
    assert reasons == {first: None, second: "AC04", third: "AC04"}
    assert payers.gatherer.get(f"/api/v1/payouts/{second}").json["reason"] == "AC04"
    listed = payers.gatherer.get(f"/api/v1/batches/{batch['id']}/results").json["items"]
    assert [each["id"] for each in listed] == [answered.json["id"]]


def test_a_failed_payment_is_approved_again_and_leaves_under_a_new_id(payers: Payers) -> None:
    [payout_id] = payers.approved(100)
    first = payers.sent("sepa")
    payers.said(first, "failed")

    retried = payers.act(payout_id, "retry")
    second = payers.sent("sepa")
    payers.said(second, "settled")

    assert (retried.status_code, retried.json["state"], retried.json["reason"]) == (200, "approved", "seen")
    assert first["items"][0]["end_to_end_id"] != second["items"][0]["end_to_end_id"]
    assert payers.state_of(payout_id) == "settled"
    assert payers.books.balances() == {"expense:uncategorised": 100, OURS: -100}
    # The bank's late word about the first attempt changes nothing.
    assert payers.said(first, "settled").status_code == 422


def test_a_failed_payment_whose_account_was_corrected_is_asked_about_anew(payers: Payers) -> None:
    [payout_id] = payers.approved(100)
    payers.said(payers.sent("sepa"), "failed")
    affiliate_id = payers.books.payouts()[0].affiliate_id
    payers.books.change(Affiliate, affiliate_id, payee_iban="DE75512108001245126199")

    assert payers.act(payout_id, "retry").json["state"] == "pending"


def test_a_payment_that_came_back_keeps_its_lines_and_is_asked_about_anew(runtime: Runtime, payers: Payers) -> None:
    [payout_id] = payers.approved(100)
    batch = payers.sent("sepa")
    payers.said(batch, "settled")
    returned = payers.said(batch, "returned")

    assert returned.json["counts"] == {"returned": 1}
    assert payers.books.balances() == {"expense:uncategorised": 100, "payable:affiliate": -100}
    assert payers.act(payout_id, "cancel").status_code == 409
    jobs.bundle("2026-10")
    assert len(payers.books.payouts()) == 1
    assert payers.act(payout_id, "retry").json["state"] == "pending"
    # Given up by those who approve, it waits again: its lines stand on a document already.
    cancelled = payers.act(payout_id, "cancel")
    assert cancelled.json["state"] == "returned"
    assert payers.act(payout_id, "retry").json["state"] == "pending"
    payers.books.change(Payout, payout_id, state="approved")
    payers.said(payers.sent("sepa"), "settled")
    assert payers.books.balances() == {"expense:uncategorised": 100, OURS: -100}


def test_a_payment_without_an_answer_is_unknown_and_nothing_sends_it_again(
    runtime: Runtime, clock: TestClock, payers: Payers
) -> None:
    [payout_id] = payers.approved(100)
    batch = payers.sent("sepa")
    payers.books.change(Batch, batch["id"], released_at=clock() - timedelta(days=7))
    jobs.settle()
    assert payers.state_of(payout_id) == "sent"
    payers.books.change(Batch, batch["id"], released_at=clock() - timedelta(days=7, seconds=1))

    jobs.settle()

    assert payers.state_of(payout_id) == "unknown"
    assert payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR"}).status_code == 409
    named = {"method": "sepa", "currency": "EUR", "payout_ids": [payout_id]}
    assert payers.gatherer.post("/api/v1/batches", named).status_code == 422
    assert payers.act(payout_id, "retry").status_code == 409
    assert payers.act(payout_id, "cancel").status_code == 409
    # The statement resolves it.
    with runtime.transaction() as session:
        item = session.scalars(sa.select(BatchItem)).one()
        settled = settlement.settle(
            runtime, session, item, bank_line_id="bln_1", bank_account="DE02120300000000202051",
            settled_on=date(2026, 11, 9),
        )  # fmt: skip
    assert settled == "settled"
    assert payers.state_of(payout_id) == "settled"
    assert batch["items"][0]["state"] == "live"


def test_unknown_by_a_file_is_resolved_by_the_next_file(payers: Payers) -> None:
    payouts = payers.approved(100, 200)
    batch = payers.sent("sepa")

    assert payers.said(batch, "unknown").json["counts"] == {"unknown": 2}
    assert {payers.state_of(each) for each in payouts} == {"unknown"}
    assert payers.said(batch, dict(zip(payouts, ("failed", "settled"), strict=True))).json["counts"] == {
        "failed": 1,
        "settled": 1,
    }
    assert [payers.state_of(each) for each in payouts] == ["failed", "settled"]


def test_the_statements_line_is_kept_when_a_file_has_settled_before(runtime: Runtime, payers: Payers) -> None:
    payers.approved(100)
    payers.said(payers.sent("sepa"), "settled")

    def settle(line: str) -> str:
        with runtime.transaction() as session:
            item = session.scalars(sa.select(BatchItem)).one()
            return outcomes.settle(
                runtime, session, item, bank_line_id=line, bank_account="DE02", settled_on=date(2026, 11, 3)
            )

    assert [settle("bln_1"), settle("bln_1"), settle("bln_2")] == ["already", "already", "refused"]
    assert payers.books.balances() == {"expense:uncategorised": 100, OURS: -100}


def test_papers_hold_a_payout_as_a_draft_until_they_are_there(payers: Payers) -> None:
    payers.books.affiliate("aff_t", tax_form_required="w9")
    payers.books.conversion("cnv_t", affiliate_id="aff_t")
    jobs.accrue()
    jobs.bundle("2026-10")
    payers.books.conversion("cnv_u", affiliate_id="aff_t")
    jobs.accrue()
    jobs.bundle("2026-10")
    jobs.settle()

    [draft] = payers.gatherer.get("/api/v1/payouts?state=draft").json["items"]
    assert (draft["reason"], draft["approval_id"]) == ("its form w9 is missing", None)
    payers.books.change(Affiliate, "aff_t", tax_form="w9", tax_form_received_on=date(2026, 11, 1))
    jobs.settle()

    [pending] = payers.gatherer.get("/api/v1/payouts?state=pending").json["items"]
    assert (pending["id"], pending["money"]["amount"]) == (draft["id"], "12.50")
    assert pending["approval_id"] is not None
    jobs.bundle("2026-10")
    assert len(payers.gatherer.get("/api/v1/payouts?state=pending").json["items"]) == 2


def test_papers_that_ran_out_after_the_approval_stop_the_payment(payers: Payers) -> None:
    [payout_id] = payers.approved(100)
    affiliate_id = payers.books.payouts()[0].affiliate_id
    payers.books.change(Affiliate, affiliate_id, tax_form_required="vat_id")

    refused = payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR", "payout_ids": [payout_id]})

    assert refused.status_code == 422
    assert "VAT id is missing" in refused.json["errors"][0]["reason"]
    assert payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR"}).status_code == 409


def test_no_money_leaves_to_an_account_changed_a_short_while_ago(
    runtime: Runtime, clock: TestClock, payers: Payers
) -> None:
    kept, changed = payers.approved(100, 200)
    by_id = {payout.id: payout for payout in payers.books.payouts()}
    payers.books.change(Affiliate, by_id[changed].affiliate_id, payee_changed_at=clock(), payee_changed_by="stf_x")

    first = payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR"})
    named = payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR", "payout_ids": [changed]})

    assert [item["payout_id"] for item in first.json["items"]] == [kept]
    assert named.status_code == 422
    assert "may be paid from 2026-11-05 09:00 UTC" in named.json["errors"][0]["reason"]
    # Changed between gathering and release: the release stops too.
    payers.books.change(Affiliate, by_id[kept].affiliate_id, payee_changed_at=clock(), payee_changed_by="stf_x")
    stopped = payers.releaser.post(f"/api/v1/batches/{first.json['id']}/release", {"version": 1})
    assert (stopped.status_code, stopped.json["type"]) == (409, "/problems/payout-changed")
    three_days_ago = clock() - timedelta(days=3)
    payers.books.change(Affiliate, by_id[kept].affiliate_id, payee_changed_at=three_days_ago)
    assert payers.releaser.post(f"/api/v1/batches/{first.json['id']}/release", {"version": 1}).status_code == 200
    runtimes.install(replace(runtime, payee_cool_off=timedelta(0)))
    payers.books.change(Affiliate, by_id[changed].affiliate_id, payee_changed_at=clock(), payee_changed_by="stf_x")
    assert payers.sent("sepa")["count"] == 1


def test_each_method_takes_whom_it_can_pay_and_writes_its_own_file(payers: Payers) -> None:
    payers.approved(1250, currency="USD", **US_PAYEE)
    payers.approved(999, currency="USD", payee_iban=None, payee_kind="email", payee_account="ada@shop.example")
    payers.approved(333, payee_iban=None, payee_kind="other", payee_account="cash desk 2")

    nacha = payers.sent("nacha", "USD", **NACHA)
    paypal = payers.sent("paypal", "USD")
    by_hand = payers.sent("csv")

    assert (nacha["count"], paypal["count"], by_hand["count"]) == (1, 1, 1)
    assert payers.file(nacha).startswith(b"101 0910000191234567890")
    assert len(nacha["items"][0]["end_to_end_id"]) == 15
    reference = paypal["items"][0]["end_to_end_id"]
    assert payers.file(paypal).decode().startswith(f"ada@shop.example,9.99,USD,{reference},")
    assert b"cash desk 2" in payers.file(by_hand)
    assert (nacha["file_name"], paypal["file_name"]) == (f"nacha-{nacha['id']}.ach", f"paypal-{paypal['id']}.csv")
    status = payers.answer(paypal, f"Customer ID,Amount,Currency,Status\n{reference},9.99,USD,SUCCESS\n", "paypal")
    assert status.json["counts"] == {"settled": 1}
    assert payers.books.balances()["bank:paypal"] == -999
    assert payers.said(nacha, "settled").status_code == 201
    assert payers.books.balances()["bank:nacha:091000019"] == -1250


def test_the_account_of_the_settings_pays_by_nacha_too_and_sepa_asks_for_an_iban(
    payers: Payers, runtime: Runtime
) -> None:
    ours = AchAccount("091000019", "1234567890", "First Bank")
    runtimes.install(replace(runtime, company=Company("Harbour Inc", ach=ours)))
    payers.approved(1250, currency="USD", **US_PAYEE)
    payers.approved(100)

    nacha = payers.sent("nacha", "USD")
    sepa = payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR"})

    assert payers.file(nacha).startswith(b"101 0910000191234567890")
    assert (sepa.status_code, [each["field"] for each in sepa.json["errors"]]) == (422, ["debtor"])


def test_pain_001_of_2019_is_written_when_asked_for(payers: Payers) -> None:
    payers.approved(100)

    batch = payers.sent("sepa", format="pain.001.001.09")

    assert b"xsd:pain.001.001.09" in payers.file(batch)
    assert batch["format"] == "pain.001.001.09"


def test_what_a_format_cannot_carry_stops_the_batch_with_every_fault_and_nothing_done(payers: Payers) -> None:
    good, greek = payers.approved(100, 200)
    by_id = {payout.id: payout for payout in payers.books.payouts()}
    for table, row_id in ((Affiliate, by_id[greek].affiliate_id), (Payout, greek)):
        payers.books.change(table, row_id, payee_name="Ελλάδα")
    payers.books.change(Payout, greek, content_hash=_hash_of(payers.books, greek))

    refused = payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR"})

    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json["errors"]] == [f"{greek}.name"]
    assert {payers.state_of(good), payers.state_of(greek)} == {"approved"}
    only = payers.gatherer.post("/api/v1/batches", {"method": "sepa", "currency": "EUR", "payout_ids": [good]})
    assert only.status_code == 201


def test_a_payout_given_up_frees_its_lines_and_voids_its_approval(payers: Payers) -> None:
    [payout_id] = payers.approved(100)

    assert payers.act(payout_id, "cancel").json["state"] == "cancelled"
    jobs.bundle("2026-10")

    assert sorted(payout.state for payout in payers.books.payouts()) == ["cancelled", "pending"]
    assert payers.act(payout_id, "cancel").status_code == 409
    stale = payers.gatherer.post(f"/api/v1/payouts/{payout_id}/retry", {"version": 1, "reason": "x"})
    assert stale.status_code == 409


def test_an_affiliates_cycle_keeps_it_out_of_a_second_bundling_of_the_month(books: Books) -> None:
    books.affiliate("aff_m", payment_cycle="monthly", created_at=LONG_AGO)
    books.conversion("cnv_m1", affiliate_id="aff_m")
    jobs.accrue()
    jobs.bundle("2026-10")
    books.conversion("cnv_m2", affiliate_id="aff_m")
    jobs.accrue()

    jobs.bundle("2026-10")
    assert len(books.payouts()) == 1
    jobs.bundle("2026-11")

    assert sorted(payout.period for payout in books.payouts()) == ["2026-10", "2026-11"]


def _hash_of(books: Books, payout_id: str) -> str:
    with books.runtime.transaction() as session:
        payout = session.get_one(Payout, payout_id)
        return content.present(session, [payout])[payout_id].content_hash
