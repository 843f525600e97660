"""What people do to matches, through the doors and on both databases."""

import threading
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from core.audit import AuditEntry, first_break
from core.runtime import Runtime, installed
from ledger.models import JournalEntry, Period
from payouts.models import BatchItem, Payout
from reports.match_models import Match, MatchAlias, MatchRejection
from reports.models import Discrepancy
from tests.builders import Builder
from tests.conftest import Answer, Caller, TestClock
from tests.reports.conftest import Reconcile, classes
from tests.reports.suggesting import forget, suggest

SignIn = Callable[..., Caller]


def act(caller: Caller, group_id: str, verb: str, **body: object) -> Answer:
    """Say a word about a group, a second after whatever came before: stories are in the order of time."""
    clock = installed().clock
    assert isinstance(clock, TestClock)
    clock.advance(seconds=1)
    return caller.post(f"/api/v1/matches/{group_id}/{verb}", {"reason": "seen in the report", **body})


def match(caller: Caller, leg: str, ours: list[str], theirs: list[str], **body: object) -> Answer:
    return caller.post("/api/v1/matches", {"leg": leg, "ours": ours, "theirs": theirs, "reason": "by hand", **body})


def open_classes(runtime: Runtime) -> list[str]:
    with runtime.reading() as session:
        return classes(session)


def network(runtime: Runtime, ours: dict[str, int | None], theirs: dict[str, int]) -> dict[str, str]:
    """Build a source's October: conversions and lines by transaction id; return their ids by it."""
    ids: dict[str, str] = {}
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        report = build.report(source)
        for name, minor in ours.items():
            ids[name] = build.conversion(source, name, minor).id
        for name, minor in theirs.items():
            ids[name] = build.network_line(report, name, minor).id
    return ids


def test_a_confirmed_suggestion_takes_its_missing_items_off_the_list_tells_what_it_lacks_and_teaches(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn, machine: Caller
) -> None:
    ids = network(runtime, {"T1": 1250}, {"t-0001": 1150})
    run = reconcile("network")
    forget(runtime)
    assert open_classes(runtime) == ["missing_at_network", "missing_at_us"]
    group_id = suggest(runtime, run, (ids["T1"], ids["t-0001"], 1150, -100))
    manager = sign_in("manager")

    by_machine, by_admin = act(machine, group_id, "confirm"), act(sign_in("admin"), group_id, "confirm")
    without_reason = manager.post(f"/api/v1/matches/{group_id}/confirm", {"reason": " "})
    stale = act(manager, group_id, "confirm", version=1)
    confirmed = act(manager, group_id, "confirm", version=0)
    again = act(manager, group_id, "confirm")

    assert [answer.status_code for answer in (by_machine, by_admin, without_reason, stale)] == [403, 403, 422, 409]
    assert confirmed.status_code == 200
    assert (confirmed.json["state"], confirmed.json["difference"]["amount"], confirmed.json["version"]) == (
        "confirmed", "-1.00", 1,
    )  # fmt: skip
    assert confirmed.json["edges"][0]["made_by"] == manager.staff_id
    assert [item["left"]["amount"] for item in confirmed.json["ours"] + confirmed.json["theirs"]] == ["0.00", "0.00"]
    assert (again.status_code, again.json["type"]) == (409, "/problems/match-refused")
    assert open_classes(runtime) == ["amount_mismatch"]
    [word] = machine.get(f"/api/v1/match-events?item={ids['T1']}").json["items"]
    assert (word["kind"], word["actor"], word["reason"]) == ("confirmed", manager.staff_id, "seen in the report")
    assert (word["before"][0]["state"], word["after"][0]["state"]) == ("suggested", "confirmed")
    [alias] = machine.get("/api/v1/match-aliases?leg=network").json["items"]
    assert (alias["alias"], alias["meaning_kind"], alias["meaning"]) == ("t0001", "transaction", "T1")
    kinds = [step["kind"] for step in machine.get(f"/api/v1/conversions/{ids['T1']}").json["custody"]]
    assert (kinds.count("network_match"), kinds.count("match_event")) == (1, 1)
    with runtime.reading() as session:
        acts = sa.select(AuditEntry.verb).where(AuditEntry.subject_id == group_id)
        assert session.scalars(acts).all() == ["confirmed"]
        assert first_break(session)[1] is None

    dropped = manager.delete(f"/api/v1/match-aliases/{alias['id']}")

    assert (dropped.status_code, dropped.json["state"]) == (200, "dropped")
    assert manager.delete(f"/api/v1/match-aliases/{alias['id']}").status_code == 409
    assert machine.get("/api/v1/match-aliases").json["items"] == []


def test_unmatching_tells_of_both_items_again_and_keeps_the_pass_from_bringing_them_back(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn
) -> None:
    ids = network(runtime, {"T1": 1250, "T2": 300}, {"T1 ": 1250, "T3": 300})
    run = reconcile("network")
    forget(runtime)
    finance = sign_in("finance")
    suggested = suggest(runtime, run, (ids["T1"], ids["T1 "], 1250, 0))
    rejected = suggest(runtime, run, (ids["T2"], ids["T3"], 300, 0))
    act(finance, suggested, "confirm")
    assert open_classes(runtime) == ["missing_at_network", "missing_at_us"]

    undone, refused = act(finance, suggested, "unmatch"), act(finance, rejected, "unmatch")
    said_no = act(finance, rejected, "reject")

    assert (undone.status_code, undone.json["state"], undone.json["edges"]) == (200, "gone", [])
    assert [event["kind"] for event in undone.json["events"]] == ["confirmed", "unmatched"]
    assert [item["id"] for item in undone.json["ours"]] == [ids["T1"]]
    assert (refused.status_code, refused.json["type"]) == (409, "/problems/match-suggested")
    assert said_no.status_code == 200
    assert open_classes(runtime) == ["missing_at_network"] * 2 + ["missing_at_us"] * 2
    with runtime.reading() as session:
        pairs = session.execute(sa.select(MatchRejection.our_id, MatchRejection.their_id)).all()
        assert sorted(map(tuple, pairs)) == sorted([(ids["T1"], ids["T1 "]), (ids["T2"], ids["T3"])])
        assert session.scalars(sa.select(Match.id)).all() == []
        # What a match has taught goes with it: else the next run would find the two by that.
        assert session.scalars(sa.select(MatchAlias.id)).all() == []

    # A later word of a person goes before an earlier one.
    by_hand = match(finance, "network", [ids["T2"]], [ids["T3"]])

    assert (by_hand.status_code, by_hand.json["edges"][0]["is_whole"]) == (201, True)
    assert act(finance, by_hand.json["id"], "unmatch").status_code == 200
    with runtime.reading() as session:
        assert session.scalars(sa.select(MatchRejection.our_id)).all() == [ids["T1"]]


def test_one_debit_for_two_payouts_settles_both_and_then_they_stay_together(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        payouts = [build.payout(build.affiliate(), minor) for minor in (1250, 750)]
        for number, payout in enumerate(payouts):
            build.sent(payout, f"E2E-{number}")
        statement = build.bank_statement()
        line = build.bank_line(statement, -2000, counterparty="Collective payment")
        less = build.bank_line(statement, -100)
        credit = build.bank_line(statement, 2000)
    reconcile("payout")
    finance = sign_in("finance")
    ours = [payout.id for payout in payouts]

    wrong = match(finance, "payout", [*ours, "pay_none"], [credit.id])
    made = match(finance, "payout", ours, [line.id])
    another = match(finance, "payout", ours[:1], [less.id])
    undone = act(finance, made.json["id"], "unmatch")

    assert [error["field"] for error in wrong.json["errors"]] == ["ours.2", "theirs.0"]
    assert made.status_code == 201
    assert {edge["our_id"]: edge["theirs"]["amount"] for edge in made.json["edges"]} == {
        ours[0]: "12.50", ours[1]: "7.50",
    }  # fmt: skip
    assert (another.status_code, another.json["type"]) == (409, "/problems/item-taken")
    assert (undone.status_code, undone.json["type"]) == (409, "/problems/payout-settled")
    assert "batches/ID/results" in undone.json["detail"]
    assert open_classes(runtime) == ["unmatched_debit"]
    with runtime.reading() as session:
        assert set(session.scalars(sa.select(Payout.state))) == {"settled"}
        assert set(session.scalars(sa.select(BatchItem.bank_line_id))) == {line.id}
        kinds = session.scalars(sa.select(JournalEntry.kind).order_by(JournalEntry.kind)).all()
        # One line about two affiliates says nothing of either.
        assert session.scalars(sa.select(MatchAlias.id)).all() == []
    assert kinds == ["batch_sent", "batch_sent", "settlement", "settlement"]


def test_a_line_pays_in_part_and_what_is_left_of_each_is_told_until_it_is_matched_too(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        payout = build.payout(build.affiliate(), 1500)
        build.sent(payout, "E2E-1")
        statement = build.bank_statement()
        first, second = (
            build.bank_line(statement, minor, counterparty="Blog One", booked_on=date(2026, 10, day))
            for minor, day in ((-1200, 20), (-500, 21))
        )
    reconcile("payout")
    finance = sign_in("finance")

    def part(line_id: str, amount: str) -> dict[str, object]:
        return {"our_id": payout.id, "their_id": line_id, "amount": {"amount": amount, "currency": "EUR"}}

    too_much = match(finance, "payout", [payout.id], [first.id], allocations=[part(first.id, "12.01")])
    made = match(finance, "payout", [payout.id], [first.id], allocations=[part(first.id, "11.00")])

    assert too_much.json["errors"][0] == {
        "field": "theirs.0", "reason": "allocations take 12.01 EUR of 12.00 EUR",
    }  # fmt: skip
    assert [item["left"]["amount"] for item in made.json["ours"] + made.json["theirs"]] == ["4.00", "1.00"]
    assert told(runtime) == [
        ("amount_mismatch", 1500, 1100),
        ("unmatched_debit", None, 100),
        ("unmatched_debit", None, 500),
    ]

    match(finance, "payout", [payout.id], [second.id], allocations=[part(second.id, "4.00")])

    assert told(runtime) == [("unmatched_debit", None, 100), ("unmatched_debit", None, 100)]
    with runtime.reading() as session:
        # Paid to the last cent, by the last of its lines.
        assert session.scalars(sa.select(BatchItem.bank_line_id)).one() == second.id
        assert session.scalars(sa.select(MatchAlias.alias)).all() == ["blog one"]


def told(runtime: Runtime) -> list[tuple[str, int | None, int | None]]:
    with runtime.reading() as session:
        found = session.execute(
            sa.select(Discrepancy.klass, Discrepancy.ours_minor, Discrepancy.theirs_minor)
            .where(Discrepancy.state == "open")
            .order_by(Discrepancy.klass, Discrepancy.theirs_minor)
        )
        return [(row[0], row[1], row[2]) for row in found]


def test_a_group_is_split_and_merged_and_each_word_keeps_its_edges(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn, clock: TestClock
) -> None:
    ids = network(runtime, {"T1": 100, "T2": 200}, {"L": 310})
    reconcile("network")
    finance = sign_in("finance")
    group = match(finance, "network", [ids["T1"], ids["T2"]], [ids["L"]]).json
    assert group["difference"]["amount"] == "0.10"

    apart = act(finance, group["id"], "split", our_ids=[ids["T2"]])
    nothing_left = act(finance, group["id"], "split", our_ids=[ids["T1"]])
    clock.advance(seconds=1)
    joined = finance.post("/api/v1/matches/merge", {"group_ids": [apart.json["id"], group["id"]], "reason": "one"})
    unknown = finance.post("/api/v1/matches/merge", {"group_ids": [group["id"], "mgr_none"], "reason": "one"})

    assert (apart.status_code, [edge["our_id"] for edge in apart.json["edges"]]) == (201, [ids["T2"]])
    assert nothing_left.status_code == 422
    assert [error["field"] for error in unknown.json["errors"]] == ["group_ids.0", "group_ids.1"]
    assert joined.json["id"] not in {apart.json["id"], group["id"]}
    assert {edge["our_id"] for edge in joined.json["edges"]} == {ids["T1"], ids["T2"]}
    story = finance.get(f"/api/v1/matches/{group['id']}").json
    assert (story["state"], [event["kind"] for event in story["events"]]) == ("gone", ["matched", "split", "merged"])
    assert [len(event["after"]) for event in story["events"]] == [2, 1, 0]


def test_a_word_about_many_is_done_for_all_or_for_none(runtime: Runtime, reconcile: Reconcile, sign_in: SignIn) -> None:
    ids = network(runtime, {f"T{n}": 100 for n in range(3)}, {f"L{n}": 100 for n in range(3)})
    run = reconcile("network")
    forget(runtime)
    finance = sign_in("finance")
    one, two = (suggest(runtime, run, (ids[f"T{n}"], ids[f"L{n}"], 100, 0)) for n in range(2))
    rival = suggest(runtime, run, (ids["T2"], ids["L1"], 100, 0))

    def bulk(group_ids: list[str], count: int, verdict: str = "confirm") -> Answer:
        body = {"verdict": verdict, "group_ids": group_ids, "count": count, "reason": "all seen"}
        return finance.post("/api/v1/matches/bulk", body)

    other_count = bulk([one, two], 3)
    refused = bulk([one, two, rival, "mgr_none", one], 3)
    assert (other_count.status_code, other_count.json["type"]) == (409, "/problems/bulk-changed")
    assert refused.status_code == 409
    assert [error["field"] for error in refused.json["errors"]] == ["group_ids.2", "group_ids.3", "group_ids.4"]
    assert finance.get("/api/v1/match-events").json["items"] == []

    assert bulk([one, two], 2).json == {"done": 2}
    assert open_classes(runtime) == ["missing_at_network", "missing_at_us"]
    assert bulk([rival], 1, "reject").json == {"done": 1}
    with runtime.transaction() as session:
        session.add(Period(id="2026-10", state="closed"))
    closed = act(finance, one, "unmatch")
    assert (closed.status_code, closed.json["type"]) == (409, "/problems/period-closed")
    assert match(finance, "network", [ids["T2"]], [ids["L2"]]).json["type"] == "/problems/period-closed"


def test_of_two_who_confirm_competing_suggestions_at_once_one_wins(
    runtime: Runtime, reconcile: Reconcile, sign_in: SignIn
) -> None:
    ids = network(runtime, {"T1": 100, "T2": 100}, {"L": 100})
    run = reconcile("network")
    forget(runtime)
    groups = [suggest(runtime, run, (ids[name], ids["L"], 100, 0)) for name in ("T1", "T2")]
    people = [sign_in("finance"), sign_in("manager")]
    together = threading.Barrier(2)
    answers: list[Answer] = []

    def confirm(number: int) -> None:
        together.wait(30)
        answers.append(act(people[number], groups[number], "confirm"))

    threads = [threading.Thread(target=confirm, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [lost] = [answer.json for answer in answers if answer.status_code == 409]
    assert lost["errors"] == [{"field": "group_ids.0", "reason": f"{ids['L']}: another match that stands has taken it"}]
    with runtime.reading() as session:
        assert session.scalars(sa.select(Match.state).order_by(Match.state)).all() == ["confirmed", "suggested"]
    assert open_classes(runtime) == ["missing_at_network"]


def test_no_statement_edits_what_was_said(runtime: Runtime, reconcile: Reconcile, sign_in: SignIn) -> None:
    ids = network(runtime, {"T1": 100}, {"L": 100})
    reconcile("network")
    assert match(sign_in("finance"), "network", [ids["T1"]], [ids["L"]]).status_code == 201

    statements: list[Any] = ["UPDATE match_events SET reason = 'another'", "DELETE FROM match_events"]
    for statement in statements:
        with pytest.raises(DBAPIError, match="append-only"), runtime.transaction() as session:
            session.execute(sa.text(statement))
