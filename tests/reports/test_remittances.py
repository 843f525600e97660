"""What networks owe against the bank's credits, through the doors and in the books, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.actors import system
from core.runtime import Runtime
from ledger.models import JournalEntry, JournalLine, Period
from reports import checks, jobs, rebuilding, remittance_entries
from reports.match_models import Match, MatchAlias, MatchEvent, MatchRejection
from reports.models import Discrepancy
from reports.remittance_models import Remittance, RemittanceEntry
from tests.builders import OUR_IBAN, Builder
from tests.conftest import Caller, TestClock
from tests.reports.conftest import Reconcile, classes

PATH = "/api/v1/remittances"
BANK = f"bank:{OUR_IBAN}"


def body(source_id: str, amount: str, **fields: Any) -> dict[str, Any]:
    money = {"amount": amount, "currency": fields.pop("currency", "EUR")}
    return {"source_id": source_id, "period": "2026-10", "money": money, **fields}


def remitted(session: Session, source_id: str, amount_minor: int, **columns: Any) -> Remittance:
    now = datetime(2026, 10, 31, tzinfo=UTC)
    values = {"period": "2026-10", "currency": "EUR", "state": "open", "origin": "announced"} | columns
    made = Remittance(
        id=f"rmt_{values.get('reference', amount_minor)}",
        source_id=source_id,
        amount_minor=amount_minor,
        created_by="stf_one",
        created_at=now,
        changed_at=now,
        **values,
    )
    session.add(made)
    session.flush()
    return made


def balances(runtime: Runtime) -> dict[str, int]:
    """The journal's balances of this leg's accounts; and the journal is what its rows say."""
    with runtime.reading() as session:
        assert list(rebuilding.differences(session)) == []
        total = sa.cast(sa.func.sum(JournalLine.amount_minor), sa.BigInteger)
        found = session.execute(sa.select(JournalLine.account, total).group_by(JournalLine.account)).all()
    return {row[0]: row[1] for row in found if row[1]}


def states(runtime: Runtime) -> dict[str | None, str]:
    with runtime.reading() as session:
        return {row[0]: row[1] for row in session.execute(sa.select(Remittance.reference, Remittance.state))}


def unmatch(runtime: Runtime, our_id: str, their_id: str) -> None:
    """End a match as a person's act does: the edge goes, and a rejection keeps the passes from making it again."""
    with runtime.transaction() as session:
        session.execute(sa.delete(Match).where(Match.our_id == our_id, Match.their_id == their_id))
        event = MatchEvent(
            id=runtime.new_id("mev"), leg="remittance", group_id="mat_x", kind="unmatched", actor_kind="staff",
            actor_id="stf_one", at=runtime.clock(), reason="another network's", details={},
        )  # fmt: skip
        session.add(event)
        session.flush()
        session.add(MatchRejection(leg="remittance", our_id=our_id, their_id=their_id, event_id=event.id))


def test_each_class_is_found_and_what_came_is_posted_once(
    runtime: Runtime, reconcile: Reconcile, machine: Caller
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source_id = build.source().id
        file = build.bank_statement()
        build.bank_line(file, 1000000, end_to_end_id="RE-1")
        build.bank_line(file, 47500, text="YOUR INVOICE re-2, THANK YOU")
        build.bank_line(file, 1000000, end_to_end_id="RE-1", booked_on=date(2026, 10, 21))
        build.bank_line(file, 30000, text="RE-3")
        build.bank_line(file, 20000, text="RE-45")
        build.bank_line(file, 15000, text="RE-5", booked_on=date(2026, 10, 29))
        build.bank_line(file, -999, text="RE-6")
    due = {"due_on": "2026-10-23"}
    announced = machine.post(
        PATH,
        [
            body(source_id, "10000.00", reference="RE-1"),
            body(source_id, "500.00", reference="RE-2"),
            body(source_id, "300.00", currency="USD", reference="RE-3"),
            body(source_id, "123.00", reference="RE-4", due_on="2026-10-27"),
            body(source_id, "145.00", reference="RE-5", **due),
            body(source_id, "9.99", reference="RE-6", due_on="2026-10-28"),
        ],
    )

    first = reconcile("remittance")
    second = reconcile("remittance")

    assert announced.status_code == 201
    assert (first.state, first.error) == ("finished", None)
    assert first.counts == {
        "ours": 6,
        "theirs": 6,
        "matched": 3,
        "by_pass": {"confirmed": {"exact_id": 1, "reference": 2}, "suggested": {}},
        "discrepancies": {
            "amount_mismatch": 1,
            "currency_mismatch": 1,
            "duplicate_at_network": 1,
            "fee_or_fx": 1,
            "late": 1,
            "stale_pending": 1,
            "unmatched_credit": 1,
        },
    }
    assert (second.counts, second.digest, second.input_sha256) == (first.counts, first.digest, first.input_sha256)
    assert states(runtime) == {
        "RE-1": "settled", "RE-2": "short", "RE-3": "open", "RE-4": "open", "RE-5": "settled", "RE-6": "open",
    }  # fmt: skip
    assert balances(runtime) == {BANK: 1062500, "receivable:network": -1062500}
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count(RemittanceEntry.id))) == 3
        assert session.scalar(sa.select(sa.func.count(JournalEntry.id))) == 3
        over = session.scalars(sa.select(Discrepancy).where(Discrepancy.klass == "amount_mismatch")).one()
        assert (over.ours_minor, over.theirs_minor) == (14500, 15000)
    shown = machine.get(f"{PATH}/{announced.json['items'][1]['id']}").json
    assert (shown["paid"]["amount"], shown["left"]["amount"], shown["version"]) == ("475.00", "25.00", 2)
    assert [(each["booked_on"], each["matched_by"]) for each in shown["payments"]] == [("2026-10-20", "reference")]
    rows = machine.get(f"/api/v1/reconciliations/{first.id}/export").json["rows"]
    assert {row["remittance_id"] for row in rows if row["kind"] == "match"} == {
        announced.json["items"][number]["id"] for number in (0, 1, 4)
    }


def test_a_charge_is_accepted_by_a_person_and_an_ended_match_takes_all_of_it_back(
    runtime: Runtime, reconcile: Reconcile, machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        remittance = remitted(session, build.source().id, 50000, reference="RE-2").id
        line = build.bank_line(build.bank_statement(), 47500, text="RE-2").id
    reconcile("remittance")
    finance = sign_in("finance")
    charge = {"reason": "the correspondent bank kept it", "version": 2}

    by_machine = machine.post(f"{PATH}/{remittance}/charges", charge)
    accepted = finance.post(f"{PATH}/{remittance}/charges", charge)
    again = finance.post(f"{PATH}/{remittance}/charges", {**charge, "version": 3})
    after = reconcile("remittance")

    assert (by_machine.status_code, accepted.status_code) == (403, 201)
    assert (accepted.json["state"], accepted.json["charged"]["amount"], accepted.json["version"]) == (
        "settled", "25.00", 3,
    )  # fmt: skip
    assert (again.status_code, again.json["type"]) == (409, "/problems/no-bank-charge")
    assert balances(runtime) == {BANK: 47500, "expense:bank-charges": 2500, "receivable:network": -50000}
    assert after.counts["discrepancies"] == {}
    with runtime.reading() as session:
        told = session.scalars(sa.select(Discrepancy)).one()
        assert (told.klass, told.state, told.note) == ("fee_or_fx", "resolved", "the correspondent bank kept it")

    unmatch(runtime, remittance, line)
    ended = reconcile("remittance")

    assert ended.counts["discrepancies"] == {"unmatched_credit": 1}
    assert states(runtime) == {"RE-2": "open"}
    assert balances(runtime) == {}
    with runtime.reading() as session:
        entries = session.scalars(sa.select(JournalEntry).order_by(JournalEntry.id)).all()
        assert sorted(entry.occurred_on for entry in entries) == [date(2026, 10, 20)] * 2 + [date(2026, 11, 2)] * 2


def test_people_confirm_match_and_unmatch_and_the_books_follow_at_once(
    runtime: Runtime, reconcile: Reconcile, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source_id = build.source().id
        first = remitted(session, source_id, 70000, reference="A-1").id
        second = remitted(session, source_id, 30000, reference="A-2").id
        file = build.bank_statement()
        build.bank_line(file, 70000, counterparty="Everflow Payments GmbH")
        other = build.bank_line(file, 28000, text="4711").id
    run = reconcile("remittance")
    finance = sign_in("finance")
    with runtime.reading() as session:
        suggestion = session.scalars(sa.select(Match)).one()
        assert (suggestion.our_id, suggestion.state, suggestion.score) == (first, "suggested", 65)
    word = {"reason": "the advice says so"}

    confirmed = finance.post(f"/api/v1/matches/{suggestion.group_id}/confirm", word)
    by_hand = finance.post("/api/v1/matches", {"leg": "remittance", "ours": [second], "theirs": [other], **word})

    assert (confirmed.status_code, by_hand.status_code) == (200, 201)
    assert states(runtime) == {"A-1": "settled", "A-2": "short"}
    assert balances(runtime) == {BANK: 98000, "receivable:network": -98000}
    jobs.month_end()
    with runtime.reading() as session:
        assert classes(session) == ["amount_mismatch"]
        alias = session.scalars(sa.select(MatchAlias)).one()
        assert (alias.alias, alias.meaning) == ("everflow payments gmbh", source_id)

    undone = finance.post(f"/api/v1/matches/{by_hand.json['id']}/unmatch", word)
    assert (undone.status_code, states(runtime)) == (200, {"A-1": "settled", "A-2": "open"})
    assert balances(runtime) == {BANK: 70000, "receivable:network": -70000}
    jobs.month_end()
    with runtime.reading() as session:
        assert classes(session) == ["unmatched_credit"]
        assert session.scalar(sa.select(sa.func.count(Match.id))) == 1
    assert run.counts["matched"] == 0


def test_one_match_is_posted_once_by_two_who_bring_the_books_in_line_at_the_same_moment(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source_id = build.source().id
        for number in range(5):
            remitted(session, source_id, 1000 + number, reference=f"RE-{number}")
        line = build.bank_line(build.bank_statement(), 5010, text=" ".join(f"RE-{number}" for number in range(5))).id
    reconcile("remittance")
    with runtime.transaction() as session:
        session.execute(sa.update(Match).where(Match.our_id == "rmt_RE-0").values(allocated_minor=900))
        edge = session.scalars(sa.select(Match).where(Match.our_id == "rmt_RE-1")).one()
        session.delete(edge)
    start = Barrier(2)

    def bring() -> int:
        start.wait()
        with runtime.transaction() as session:
            return remittance_entries.bring_in_line(runtime, session, actor=system("tests"))

    with ThreadPoolExecutor(2) as threads:
        done = sorted(each.result() for each in [threads.submit(bring) for _ in range(2)])

    # One is taken back and posted with the new amount, one is taken back.
    assert done == [0, 3]
    assert balances(runtime) == {BANK: 5010 - 100 - 1001, "receivable:network": -(5010 - 100 - 1001)}
    assert states(runtime) == {
        "RE-0": "short", "RE-1": "open", "RE-2": "settled", "RE-3": "settled", "RE-4": "settled",
    }  # fmt: skip
    with runtime.reading() as session:
        payments = sa.select(sa.func.count(RemittanceEntry.id)).where(RemittanceEntry.bank_line_id == line)
        assert session.scalar(payments) == 8


def test_a_learnt_alias_names_the_source_and_what_came_in_a_closed_month_is_posted_in_the_open_one(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source_id, other = build.source().id, build.source("Awin").id
        remitted(session, source_id, 700, reference="A-1")
        remitted(session, source_id, 300, reference="A-2", period="2026-09")
        remitted(session, other, 450, reference="B-1")
        session.add(
            MatchAlias(
                id="mal_1", leg="remittance", meaning_kind="source", meaning=source_id, alias="everflow gmbh",
                scope=OUR_IBAN, learnt_from="mat_1", state="active", created_at=runtime.clock(), created_by="stf_one",
            )
        )  # fmt: skip
        file = build.bank_statement()
        build.bank_line(file, 1000, counterparty="EVERFLOW GmbH")
        build.bank_line(file, 450, counterparty="somebody")
        session.add(Period(id="2026-10", state="closed"))

    run = reconcile("remittance", period="2026-11")
    again = reconcile("remittance", period="2026-11")

    assert (run.state, again.digest) == ("finished", run.digest)
    assert states(runtime) == {"A-1": "settled", "A-2": "settled", "B-1": "open"}
    with runtime.reading() as session:
        entries = session.scalars(sa.select(JournalEntry)).all()
        assert {(each.period, each.occurred_on) for each in entries} == {("2026-11", date(2026, 10, 20))}
        edges = session.execute(sa.select(Match.our_id, Match.state, Match.matched_by).order_by(Match.our_id)).all()
        assert [tuple(edge) for edge in edges] == [
            ("rmt_A-1", "confirmed", "group"),
            ("rmt_A-2", "confirmed", "group"),
            ("rmt_B-1", "suggested", "amount_date"),
        ]
    assert balances(runtime)[BANK] == 1000


def test_derived_ones_follow_the_matched_lines_announced_ones_win_and_custody_shows_who_paid(
    runtime: Runtime, reconcile: Reconcile, machine: Caller
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        report = build.report(source)
        conversion_id = build.conversion(source, "T1", 1250).id
        build.conversion(source, "T2", 800, currency="USD")
        for transaction_id, amount_minor, currency in (("T1", 1250, "EUR"), ("T2", 800, "USD"), ("T3", 99, "EUR")):
            build.network_line(report, transaction_id, amount_minor, currency)
        build.bank_line(build.bank_statement(), 1300, end_to_end_id="RA-77")
    reconcile("network")

    derived = machine.post(f"{PATH}/derive", {"period": "2026-10"}).json
    announced = machine.post(PATH, body(source.id, "13.00", reference="RA-77")).json
    again = machine.post(f"{PATH}/derive", {"period": "2026-10"}).json
    reconcile("remittance")

    assert {each["money"]["currency"]: each["money"]["amount"] for each in derived["items"]} == {
        "EUR": "12.50", "USD": "8.00",
    }  # fmt: skip
    assert [derived["made"], again["made"], again["kept"], len(again["items"])] == [2, 0, 1, 1]
    listed = machine.get(f"{PATH}?period=2026-10").json["items"]
    assert sorted((each["origin"], each["money"]["currency"], each["state"]) for each in listed) == [
        ("announced", "EUR", "settled"),
        ("derived", "USD", "open"),
    ]
    custody = machine.get(f"/api/v1/conversions/{conversion_id}").json["custody"]
    steps = {step["kind"]: step for step in custody}
    assert (steps["remittance"]["id"], steps["remittance"]["reference"]) == (announced["id"], "RA-77")
    assert steps["bank_credit"]["money"] == {"amount": "13.00", "currency": "EUR"}
    assert steps["remittance_match"]["matched_by"] == "exact_id"


def test_faults_of_a_list_are_told_all_at_once_and_none_of_it_is_kept(machine: Caller, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        source_id = Builder(runtime, session).source().id
    machine.post(PATH, body(source_id, "1.00", reference="RE-1"))

    refused = machine.post(
        PATH,
        [
            body(source_id, "1.00", reference="RE-1"),
            body("src_none", "0.00", reference="RE-2"),
            body(source_id, "1.00", reference="RE-3"),
            body(source_id, "1.00", reference="RE-3"),
        ],
    )
    alone = machine.post(PATH, body("src_none", "1.00"))

    assert refused.status_code == 422
    assert [error["field"] for error in refused.json["errors"]] == [
        "0.reference", "1.source_id", "1.money", "3.reference",
    ]  # fmt: skip
    assert [error["field"] for error in alone.json["errors"]] == ["source_id"]
    assert len(machine.get(PATH).json["items"]) == 1


def test_amounts_change_before_a_match_alone_and_what_never_comes_is_written_off_and_may_come_back(
    runtime: Runtime, reconcile: Reconcile, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source_id = build.source().id
        lost = remitted(session, source_id, 20000, reference="RE-1", due_on=date(2026, 10, 1)).id
        paid = remitted(session, source_id, 500, reference="RE-2").id
        build.bank_line(build.bank_statement(), 500, text="RE-2")
    reconcile("remittance")
    finance = sign_in("finance")

    def change(id_: str, version: int, **fields: Any) -> Any:
        return finance.patch(f"{PATH}/{id_}", {"version": version, "reason": "they said so", **fields})

    matched = change(paid, 2, money={"amount": "6.00", "currency": "EUR"})
    smaller = change(lost, 1, money={"amount": "150.00", "currency": "EUR"})
    stale = change(lost, 1, state="written_off")
    off = change(lost, 2, state="written_off")
    assert balances(runtime)["expense:written-off:network"] == 15000
    back = change(lost, 3, state="open")
    wrong = change(lost, 4, state="settled")

    assert (matched.status_code, matched.json["type"]) == (409, "/problems/remittance-matched")
    assert (smaller.json["left"]["amount"], smaller.json["version"]) == ("150.00", 2)
    assert (stale.status_code, stale.json["type"]) == (409, "/problems/version-moved-on")
    assert (off.json["state"], off.json["left"]["amount"], back.json["state"]) == ("written_off", "0.00", "open")
    assert wrong.status_code == 422
    assert balances(runtime) == {BANK: 500, "receivable:network": -500}
    with runtime.reading() as session:
        assert session.scalars(sa.select(Discrepancy.state)).all() == ["resolved"]


def test_a_month_with_remittances_needs_a_run_after_the_last_of_them(
    runtime: Runtime, reconcile: Reconcile, machine: Caller, clock: TestClock
) -> None:
    with runtime.transaction() as session:
        source_id = Builder(runtime, session).source().id

    def missing() -> list[str]:
        with runtime.reading() as session:
            found = {check.id: check.missing for check in checks.of_month(session, "2026-10")}
        return found["remittances_reconciled"]

    before = missing()
    machine.post(PATH, body(source_id, "1.00"))
    announced = missing()
    reconcile("remittance")
    done = missing()
    clock.advance(minutes=1)
    machine.post(PATH, body(source_id, "2.00"))

    assert (before, done) == ([], [])
    assert announced == ["what networks owe for the month is not reconciled with the bank"]
    assert missing() == ["remittances were reconciled before the last one, or bank statement, came in"]
    with runtime.reading() as session:
        assert classes(session) == []
