"""A month with problems of every class closes only after each is resolved, and the books then say what was said."""

import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import payouts.jobs
from core.audit import first_break
from core.runtime import Runtime
from ledger.models import JournalEntry, JournalLine
from postback.models import Conversion
from reports import rebuilding
from reports.resolving import jobs
from tests.builders import OUR_IBAN
from tests.conftest import Caller, TestClock
from tests.reports.conftest import Reconcile
from tests.reports.resolving import planted

Item = Mapping[str, Any]


class Desk:
    """Who resolves, who decides, and what there is to resolve."""

    def __init__(self, resolver: Caller, decider: Caller) -> None:
        self.resolver, self.decider = resolver, decider

    def items(self, **query: str) -> list[Item]:
        found = self.resolver.get("/api/v1/discrepancies", query_string={"period": "2026-10", "limit": 500, **query})
        return list(found.json["items"])

    def one(self, klass: str, **facts: str) -> Item:
        """Return the one discrepancy of a class that is still open, by facts of its line where there are several."""
        [found] = [
            each
            for each in self.items(**{"class": klass})
            if each["state"] in {"open", "claimed"}
            and all(each["line"] and each["line"].get(name) == value for name, value in facts.items())
        ]
        return found

    def say(self, item: Item, resolution: str, **more: str) -> Item:
        """Resolve one and return it as it is then."""
        body = {"resolution": resolution, "note": f"{resolution} it is", "version": item["version"], **more}
        said = self.resolver.post(f"/api/v1/discrepancies/{item['id']}/resolutions", body)
        assert said.status_code == 201, said.json
        return dict(said.json)

    def say_of_many(self, items: list[Item], resolution: str) -> None:
        """Resolve several alike."""
        sums: Counter[str] = Counter()
        for each in items:
            sums[each["difference"]["currency"]] += round(float(each["difference"]["amount"]) * 100)
        body = {
            "ids": [each["id"] for each in items], "resolution": resolution, "note": "Seen together.",
            "count": len(items), "sums": [{"amount": f"{minor / 100:.2f}", "currency": c} for c, minor in sums.items()],
        }  # fmt: skip
        wrong = self.resolver.post("/api/v1/discrepancies/resolutions/bulk", {**body, "count": len(items) + 1})
        assert (wrong.status_code, wrong.json["type"]) == (409, "/problems/bulk-changed")
        said = self.resolver.post("/api/v1/discrepancies/resolutions/bulk", body)
        assert said.status_code == 201, said.json

    def answer(self, item: Item, answer: str, **more: Any) -> Item:
        """Record what the network says to a claim."""
        body = {"answer": answer, "note": "By letter.", "version": item["version"], **more}
        said = self.resolver.post(f"/api/v1/discrepancies/{item['id']}/claim-answers", body)
        assert said.status_code == 201, said.json
        return dict(said.json)

    def decide(self, verdict: str) -> int:
        """Decide every adjustment that waits, let the stage act on it, and return how many there were."""
        waiting = self.decider.get("/api/v1/approvals?waiting_for=me").json["items"]
        for each in waiting:
            assert each["subject"]["kind"] == "adjustment"
            path = f"/api/v1/approvals/{each['id']}/decisions"
            body = {"verdict": verdict, "comment": "", "version": each["version"]}
            assert self.resolver.post(path, body).status_code == 403
            assert self.decider.post(path, body).status_code == 200
        jobs.resolve()
        return len(waiting)

    def close(self) -> Any:
        return self.decider.post("/api/v1/periods/2026-10/close")


def test_a_month_with_problems_of_every_class_closes_only_after_each_is_resolved(
    runtime: Runtime, clock: TestClock, reconcile: Reconcile, sign_in: Callable[..., Caller]
) -> None:
    clock.advance(days=20)
    with runtime.transaction() as session:
        month = planted.month(runtime, session)
    desk = Desk(sign_in("manager", "finance"), sign_in("finance"))
    reconcile("network")
    reconcile("payout")
    assert Counter(each["class"] for each in desk.items()) == planted.CLASSES
    assert desk.close().status_code == 409

    _explained(desk)
    _accepted(desk)
    _claimed(desk)
    created = _created(desk, runtime, month)

    reconcile("network")
    reconcile("payout")
    assert {each["state"] for each in desk.items()} == {"resolved", "carried"}
    with runtime.reading() as session:
        assert list(rebuilding.differences(session)) == []
        assert first_break(session)[1] is None
        assert session.get_one(Conversion, created).state == "accrued"
        assert _balances(session) == {
            "receivable:network": -2750,
            "revenue:differences": 1500,
            "expense:written-off:network": 1150,
            "expense:bank-charges": 209,
            "expense:bank-differences": 1390,
            "clearing:payouts": 0,
            # What the bank's own lines come to, but for the one that was only explained.
            f"bank:{OUR_IBAN}": -4749,
            "expense:rounding": 0,
        }
    closed = desk.close()
    assert (closed.status_code, closed.json.get("errors")) == (200, None)
    [carried] = desk.items(**{"class": "currency_mismatch"})
    answered = desk.answer(carried, "lost")
    assert (answered["state"], answered["version"]) == ("carried", carried["version"])
    late = desk.resolver.post(
        f"/api/v1/discrepancies/{carried['id']}/resolutions",
        {"resolution": "explained", "note": "x", "version": carried["version"]},
    )
    assert (late.status_code, late.json["type"]) == (409, "/problems/period-closed")


def _explained(desk: Desk) -> None:
    about_nothing = [desk.one(klass) for klass in ("duplicate_at_network", "duplicate_at_us", "late", "stale_pending")]
    desk.say_of_many([*about_nothing, desk.one("unmatched_debit", text="Card terminal rent")], "explained")
    desk.say(desk.one("missing_at_us", transaction_id="carry"), "carry_forward")


def _accepted(desk: Desk) -> None:
    assert desk.one("status_mismatch", transaction_id="again")["difference"]["amount"] == "-2.00"
    desk.say(desk.one("status_mismatch", transaction_id="refused"), "accept")
    assert desk.decide("reject") == 1
    again = desk.one("status_mismatch", transaction_id="refused")
    shown = desk.resolver.get(f"/api/v1/discrepancies/{again['id']}").json
    assert (shown["state"], shown["resolution"]) == ("open", None)
    assert [each["state"] for each in shown["adjustments"]] == ["rejected"]
    assert [each["author_id"] for each in shown["notes"]] == ["stage:resolving"]
    desk.say(again, "accept")
    desk.say(desk.one("status_mismatch", transaction_id="again"), "accept")
    desk.say(desk.one("missing_at_network"), "write_off")
    desk.say(desk.one("amount_mismatch", transaction_id="accepted"), "accept")
    desk.say(desk.one("amount_mismatch", end_to_end_id="E2E-3"), "accept")
    desk.say(desk.one("fee_or_fx", end_to_end_id="E2E-2"), "accept")
    desk.say(desk.one("returned_payment"), "accept")
    desk.say(desk.one("unmatched_debit", text="Account fee"), "accept")
    small = [each for each in desk.items() if each["class"] == "rounding"]
    desk.say_of_many([*small, desk.one("fee_or_fx", transaction_id="fee")], "accept")
    red = {error["field"]: error["reason"] for error in desk.close().json["errors"]}
    assert "2 x rounding resolving" in red["discrepancies"]
    assert desk.decide("approve") == 11


def _claimed(desk: Desk) -> None:
    item = desk.say(desk.one("amount_mismatch", transaction_id="claimed"), "claim")
    assert item["state"] == "claimed"
    _pack_holds(desk, item)
    too_much = {"answer": "partial", "note": "x", "version": item["version"]}
    for amount in ("2.50", "0.00"):
        body = {**too_much, "amount": {"amount": amount, "currency": "EUR"}}
        refused = desk.resolver.post(f"/api/v1/discrepancies/{item['id']}/claim-answers", body)
        assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "amount")
    item = desk.answer(item, "partial", amount={"amount": "1.00", "currency": "EUR"})
    assert item["state"] == "open"
    shown = desk.resolver.get(f"/api/v1/discrepancies/{item['id']}").json
    assert shown["left"] == {"amount": "-1.50", "currency": "EUR"}
    desk.say(item, "write_off")
    desk.answer(desk.say(desk.one("reversed_after_payment"), "claim"), "won")
    desk.say(desk.answer(desk.say(desk.one("wrong_affiliate"), "claim"), "lost"), "explained")
    waiting = desk.say(desk.one("currency_mismatch"), "claim")
    assert "1 x currency_mismatch claimed" in str(desk.close().json["errors"])
    desk.say(waiting, "carry_forward")
    assert desk.decide("approve") == 1


def _pack_holds(desk: Desk, item: Item) -> None:
    path = f"/api/v1/discrepancies/{item['id']}/dispute-pack"
    answer = desk.decider.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert desk.decider.get(path).data == answer.data
    with zipfile.ZipFile(io.BytesIO(answer.data)) as pack:
        head = pack.read("manifest.json")
        manifest = json.loads(head)
        for member in manifest["members"]:
            content = pack.read(member["name"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (member["bytes"], member["sha256"])
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(manifest["public_key"])).verify(
            bytes.fromhex(pack.read("manifest.sig").decode()), b"clickledger dispute pack 1\n" + head
        )
        names = {member["name"].partition("/")[0] for member in manifest["members"]}
        line = json.loads(pack.read("network-line.json"))
        [receipt] = [json.loads(pack.read(name)) for name in pack.namelist() if name.startswith("receipts/")]
    assert names == {
        "claim.json", "click.json", "conversion.json", "discrepancy.json", "journal.json", "network-line.json",
        "receipts",
    }  # fmt: skip
    assert (line["transaction_id"], line["file"]["sha256"]) == ("claimed", "0" * 64)
    assert receipt["outcome"] == "accepted"


def _created(desk: Desk, runtime: Runtime, month: planted.Planted) -> str:
    item = desk.say(desk.one("missing_at_us", transaction_id="create"), "create_conversion")
    payouts.jobs.accrue()
    custody = desk.resolver.get(f"/api/v1/conversions/{item['conversion_id']}").json["custody"]
    kinds = [step["kind"] for step in custody]
    assert kinds[:2] == ["click", "event"]
    assert {"accrual", "journal_entry"} <= set(kinds)
    with runtime.reading() as session:
        made = session.get_one(Conversion, item["conversion_id"])
        assert (made.source_id, made.claimed_click_id, made.dedupe_key) == (month.source_id, month.click_id, "create")
        assert (made.payout_minor, made.assurance) == (500, "E")
    return made.id


def _balances(session: Any) -> dict[str, int]:
    """What each account that resolutions move has come to."""
    rows = session.execute(
        sa.select(JournalLine.account, sa.func.sum(JournalLine.amount_minor))
        .join(JournalEntry, JournalEntry.id == JournalLine.entry_id)
        .where(JournalLine.account.not_in(["payable:affiliate", "expense:commission:spring"]))
        .group_by(JournalLine.account)
    )
    return {account: int(minor) for account, minor in rows if not account.startswith("expense:uncategorised")}
