"""Batches through the real doors on both databases: gathered, released by another, one file for ever."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sepaxml
import sqlalchemy as sa
import xmlschema
from lxml import etree
from sqlalchemy.exc import IntegrityError

from core import runtime as runtimes
from core.runtime import Runtime
from partners.models import Affiliate
from payouts import jobs
from payouts.models import Batch, BatchItem, Payout
from tests.conftest import Caller
from tests.payouts.books import IBANS, Books

BATCHES = "/api/v1/batches"
SEPA_EUR = {"method": "sepa", "currency": "EUR"}
NAMESPACE = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"}


@pytest.fixture
def approved(runtime: Runtime, books: Books) -> list[str]:
    """Three approved payouts of three affiliates; their ids, by affiliate."""
    for number, name in ((2, "Café Zoë & Fils"), (3, "O'Neil (Blog) @ Home")):
        books.affiliate(f"aff_{number}", payee_name=name, payee_bic="COBADEFFXXX" if number == 2 else None)
    for number, payout_minor in ((1, 1250), (2, 333), (3, 100_000)):
        books.conversion(f"cnv_{number}", affiliate_id=f"aff_{number}", payout_minor=payout_minor)
    jobs.accrue()
    jobs.bundle("2026-10")
    for payout in books.payouts():
        books.change(Payout, payout.id, state="approved")
    return [payout.id for payout in sorted(books.payouts(), key=lambda payout: payout.affiliate_id)]


def states(books: Books) -> set[str]:
    return {payout.state for payout in books.payouts()}


def test_a_batch_gathers_what_is_approved_and_another_person_lets_it_go(
    runtime: Runtime, books: Books, approved: list[str], sign_in: Callable[..., Caller]
) -> None:
    gatherer, releaser = sign_in("finance"), sign_in("finance")

    created = gatherer.post(BATCHES, SEPA_EUR)
    batch = created.json
    path = f"{BATCHES}/{batch['id']}"

    assert created.status_code == 201
    assert (batch["state"], batch["count"], batch["version"]) == ("building", 3, 1)
    assert batch["sum"] == {"amount": "1015.83", "currency": "EUR"}
    assert batch["debtor"]["iban"] == "DE02…02051"
    assert states(books) == {"batched"}
    assert gatherer.get(f"{path}/file").status_code == 404
    assert gatherer.post(f"{path}/release", {"version": 1}).status_code == 403
    assert releaser.post(f"{path}/release", {"version": 7}).status_code == 409
    released = releaser.post(f"{path}/release", {"version": 1})
    assert (released.status_code, released.json["state"], released.json["version"]) == (200, "released", 2)
    assert states(books) == {"sent"}
    assert releaser.post(f"{path}/release", {"version": 2}).status_code == 409
    assert books.balances() == {"expense:uncategorised": 101_583, "clearing:payouts": -101_583}
    listed = gatherer.get(BATCHES).json["items"]
    assert [(each["id"], each["state"], each["sum"]["amount"]) for each in listed] == [
        (batch["id"], "released", "1015.83")
    ]


def test_the_file_validates_adds_up_and_stays_the_same(
    runtime: Runtime, approved: list[str], sign_in: Callable[..., Caller]
) -> None:
    batch = sign_in("finance").post(BATCHES, SEPA_EUR).json
    releaser = sign_in("finance")
    released = releaser.post(f"{BATCHES}/{batch['id']}/release", {"version": 1}).json

    answer = releaser.get(f"{BATCHES}/{batch['id']}/file")

    assert answer.mimetype == "application/xml"
    assert hashlib.sha256(answer.data).hexdigest() == released["file_sha256"]
    assert releaser.get(f"{BATCHES}/{batch['id']}/file").data == answer.data
    schema = Path(sepaxml.__file__).parent / "schemas" / "pain.001.001.03.xsd"
    xmlschema.XMLSchema(schema).validate(answer.text)
    tree = etree.fromstring(answer.data)
    assert texts(tree, "p:GrpHdr/p:CtrlSum") == ["1015.83"]
    assert texts(tree, "p:GrpHdr/p:NbOfTxs") == ["3"]
    assert texts(tree, "p:GrpHdr/p:CreDtTm") == ["2026-11-02T09:00:00Z"]
    assert texts(tree, "p:PmtInf/p:DbtrAcct/p:Id/p:IBAN") == ["DE02120300000000202051"]
    assert texts(tree, "p:PmtInf/p:BtchBookg") == ["false"]
    transfers = "p:PmtInf/p:CdtTrfTxInf"
    assert sorted(texts(tree, f"{transfers}/p:Amt/p:InstdAmt")) == ["1000.00", "12.50", "3.33"]
    assert sorted(texts(tree, f"{transfers}/p:Cdtr/p:Nm")) == [
        "Cafe Zoe   Fils",
        "O'Neil (Blog)   Home",
        "Payee of aff_1   Sohne".replace("_", " "),
    ]
    assert sorted(texts(tree, f"{transfers}/p:CdtrAcct/p:Id/p:IBAN")) == sorted(IBANS)
    references = texts(tree, f"{transfers}/p:PmtId/p:EndToEndId")
    assert sorted(references) == sorted(item["end_to_end_id"] for item in batch["items"])
    assert len(set(references)) == 3
    assert all(len(each) <= 35 and each.isalnum() and each.isupper() for each in references)


def test_a_changed_account_stops_the_release_and_goes_back_to_its_approvers_when_the_batch_is_cancelled(
    runtime: Runtime, books: Books, approved: list[str], sign_in: Callable[..., Caller]
) -> None:
    gatherer, releaser = sign_in("finance"), sign_in("finance")
    batch = gatherer.post(BATCHES, SEPA_EUR).json
    books.change(Affiliate, "aff_2", payee_iban="DE75512108001245126199")

    refused = releaser.post(f"{BATCHES}/{batch['id']}/release", {"version": 1})
    cancelled = gatherer.post(f"{BATCHES}/{batch['id']}/cancel", {"version": 1})
    jobs.settle()

    assert refused.status_code == 409
    assert [fault["field"] for fault in refused.json["errors"]] == [approved[1]]
    assert (cancelled.status_code, cancelled.json["state"]) == (200, "cancelled")
    by_affiliate = {payout.affiliate_id: payout.state for payout in books.payouts()}
    assert by_affiliate == {"aff_1": "approved", "aff_2": "pending", "aff_3": "approved"}
    again = gatherer.post(BATCHES, SEPA_EUR).json
    assert again["count"] == 2
    assert {item["end_to_end_id"] for item in again["items"]}.isdisjoint(
        {item["end_to_end_id"] for item in batch["items"]}
    )
    assert releaser.post(f"{BATCHES}/{batch['id']}/release", {"version": 2}).status_code == 409


def test_what_changed_since_its_approval_is_left_out_of_a_batch_that_names_nothing(
    runtime: Runtime, books: Books, approved: list[str], sign_in: Callable[..., Caller]
) -> None:
    books.change(Affiliate, "aff_3", payee_name="Somebody Else")

    batch = sign_in("finance").post(BATCHES, SEPA_EUR).json

    assert [item["payout_id"] for item in batch["items"]] == sorted(approved[:2])


def test_named_payouts_go_all_or_none_with_every_fault(
    runtime: Runtime, books: Books, approved: list[str], sign_in: Callable[..., Caller]
) -> None:
    finance = sign_in("finance")
    first, second, third = approved
    books.change(Payout, second, state="pending")
    books.change(Affiliate, "aff_3", payee_name="Somebody Else")

    unknown = finance.post(BATCHES, {**SEPA_EUR, "payout_ids": [first, "pay_none", first]})
    unfit = finance.post(BATCHES, {**SEPA_EUR, "payout_ids": [first, second, third]})
    fit = finance.post(BATCHES, {**SEPA_EUR, "payout_ids": [first]})

    assert unknown.status_code == 422
    assert [fault["field"] for fault in unknown.json["errors"]] == ["payout_ids.1", "payout_ids.2"]
    assert unfit.status_code == 422
    assert [fault["field"] for fault in unfit.json["errors"]] == ["payout_ids.1", "payout_ids.2"]
    assert (fit.status_code, fit.json["count"]) == (201, 1)


def test_with_nothing_approved_there_is_no_batch(sign_in: Callable[..., Caller]) -> None:
    answer = sign_in("finance").post(BATCHES, SEPA_EUR)

    assert answer.status_code == 409
    assert answer.json["type"] == "/problems/nothing-to-pay"


def test_another_method_or_currency_is_refused(approved: list[str], sign_in: Callable[..., Caller]) -> None:
    finance = sign_in("finance")

    assert finance.post(BATCHES, {"method": "cheque", "currency": "EUR"}).status_code == 422
    assert finance.post(BATCHES, {"method": "sepa", "currency": "USD"}).status_code == 422
    assert finance.post(BATCHES, {"method": "nacha", "currency": "EUR"}).status_code == 422
    assert finance.post(BATCHES, {"method": "sepa", "currency": "EUR", "format": "nacha"}).status_code == 422
    # PayPal pays euro, but none of these payees has an address there.
    assert finance.post(BATCHES, {"method": "paypal", "currency": "EUR"}).status_code == 409


def test_the_account_that_pays_comes_from_the_body_or_the_settings_and_is_checked(
    runtime: Runtime, approved: list[str], sign_in: Callable[..., Caller]
) -> None:
    finance, other = sign_in("finance"), sign_in("finance")
    runtimes.install(replace(runtime, company=None))

    without = finance.post(BATCHES, SEPA_EUR)
    wrong = finance.post(BATCHES, {**SEPA_EUR, "debtor": {"name": "Us", "iban": "DE02120300000000202052", "bic": "X"}})
    right = finance.post(BATCHES, {**SEPA_EUR, "debtor": {"name": "Us", "iban": "DE75 5121 0800 1245 1261 99"}})
    other.post(f"{BATCHES}/{right.json['id']}/release", {"version": 1})
    file = etree.fromstring(other.get(f"{BATCHES}/{right.json['id']}/file").data)

    assert [fault["field"] for fault in without.json["errors"]] == ["debtor"]
    assert [fault["field"] for fault in wrong.json["errors"]] == ["debtor.iban", "debtor.bic"]
    assert "DE02120300000000202052" not in wrong.text
    assert texts(file, "p:PmtInf/p:DbtrAcct/p:Id/p:IBAN") == ["DE75512108001245126199"]
    assert texts(file, "p:PmtInf/p:DbtrAgt/p:FinInstnId/p:Othr/p:Id") == ["NOTPROVIDED"]


def test_no_token_and_no_manager_gathers_or_releases(
    approved: list[str], machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    batch = sign_in("finance").post(BATCHES, SEPA_EUR).json

    for caller in (machine, sign_in("manager", "admin")):
        assert caller.post(BATCHES, SEPA_EUR).status_code == 403
        assert caller.post(f"{BATCHES}/{batch['id']}/release", {"version": 1}).status_code == 403
        assert caller.post(f"{BATCHES}/{batch['id']}/cancel", {"version": 1}).status_code == 403
        assert caller.get(f"{BATCHES}/{batch['id']}/file").status_code == 403


def test_the_database_itself_knows_that_two_people_release(
    runtime: Runtime, approved: list[str], sign_in: Callable[..., Caller]
) -> None:
    finance = sign_in("finance")
    batch = finance.post(BATCHES, SEPA_EUR).json

    with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
        connection.execute(sa.update(Batch).where(Batch.id == batch["id"]).values(released_by=finance.staff_id))


def test_the_same_idempotency_key_gathers_once(approved: list[str], sign_in: Callable[..., Caller]) -> None:
    finance = sign_in("finance")

    first = finance.post(BATCHES, SEPA_EUR, headers={"Idempotency-Key": "k1"})
    second = finance.post(BATCHES, SEPA_EUR, headers={"Idempotency-Key": "k1"})

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json["id"] == second.json["id"]
    assert len(finance.get(BATCHES).json["items"]) == 1


@pytest.mark.parametrize("named", [False, True])
def test_batches_gathered_at_once_never_share_a_payout(
    runtime: Runtime, approved: list[str], sign_in: Callable[..., Caller], *, named: bool
) -> None:
    callers = [sign_in("finance") for _ in range(4)]
    body = {**SEPA_EUR, "payout_ids": approved} if named else SEPA_EUR
    together = threading.Barrier(len(callers))
    codes: list[int] = []

    def gather(caller: Caller) -> None:
        together.wait(10)
        codes.append(caller.post(BATCHES, body).status_code)

    threads = [threading.Thread(target=gather, args=(caller,)) for caller in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    with runtime.reading() as session:
        live = session.scalars(sa.select(BatchItem.payout_id).where(BatchItem.state == "live")).all()
    assert sorted(live) == sorted(approved)
    assert set(codes) <= {201, 409, 422}
    assert codes.count(201) == 1 if named else codes.count(201) >= 1


def test_the_database_itself_lets_a_payout_stand_in_one_live_batch_only(
    runtime: Runtime, approved: list[str], sign_in: Callable[..., Caller]
) -> None:
    finance = sign_in("finance")
    finance.post(BATCHES, {**SEPA_EUR, "payout_ids": approved[:1]})
    other = finance.post(BATCHES, {**SEPA_EUR, "payout_ids": approved[1:]}).json
    row = {"batch_id": other["id"], "payout_id": approved[0], "end_to_end_id": "X", "amount_minor": 1, "state": "live"}

    with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
        connection.execute(sa.insert(BatchItem).values(**row))


def texts(tree: etree._Element, path: str) -> list[str]:
    return [element.text or "" for element in tree.findall(f"p:CstmrCdtTrfInitn/{path}", NAMESPACE)]
