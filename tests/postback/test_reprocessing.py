"""Receipts read again under today's mapping: looked at by one person, applied by another, each receipt once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

import payouts.jobs
from core import audit
from core.errors import Conflict
from core.runtime import Runtime
from partners import sources
from partners.changes import Change
from partners.models import CampaignTerms, Source
from payouts.models import Accrual
from postback import jobs, recording, replays, reprocessing, reprocessing_parts, seals
from postback.models import Conversion, Reprocessing
from postback.replays import Window
from tests.conftest import START, Answer, Caller, TestClock
from tests.postback.conftest import TESTS, Network, Stored, Trade

BEFORE = START - timedelta(days=30)
WINDOW = {"from": "2026-11-02T08:00:00Z", "until": "2026-11-02T09:30:00Z"}


@dataclass
class Desk:
    """Two admins, and a network whose mapping was wrong."""

    runtime: Runtime
    clock: TestClock
    network: Network
    first: Caller
    second: Caller

    def propose(self) -> Answer:
        """Make a dry run."""
        return self.first.post("/api/v1/reprocessings", {"source_id": self.network.source_id, **WINDOW})

    def apply(self, reprocessing_id: str, *, by: Caller | None = None) -> Answer:
        """Apply it, as the second person unless told otherwise."""
        return (by or self.second).post(f"/api/v1/reprocessings/{reprocessing_id}/apply")

    def remap(self, **values: Any) -> None:
        """Change the source."""
        with self.runtime.transaction() as session:
            version = session.get_one(Source, self.network.source_id).version
            sources.change(
                self.runtime, session, self.network.source_id, Change(version=version, values=values), actor=TESTS
            )

    def corrected(self) -> None:
        """Give the source the mapping it should have had."""
        self.remap(default_currency="GBP", parameters={"payout": "commission"})


@pytest.fixture
def desk(runtime: Runtime, clock: TestClock, network: Network, trade: Trade, sign_in: Callable[..., Caller]) -> Desk:
    """A recorded, an accrued and an invalid postback, and an hour later the mapping is corrected."""
    trade.click("CLICK-1")
    for number, changes in enumerate(({}, {}, {"currency": None})):
        network.send(transaction_id=str(number + 1), commission="4.00", **changes)
        clock.advance(seconds=1)
    with runtime.transaction() as session:
        session.execute(sa.update(Conversion).where(Conversion.transaction_id == "2").values(state="accrued"))
    clock.advance(hours=1)
    desk = Desk(runtime, clock, network, sign_in("admin"), sign_in("admin"))
    desk.corrected()
    return desk


def counts(found: Mapping[str, int]) -> dict[str, int]:
    """Those that are not zero."""
    return {name: count for name, count in found.items() if count}


def test_a_dry_run_says_what_would_change_and_changes_nothing(desk: Desk, stored: Stored) -> None:
    answer = desk.propose()

    assert answer.status_code == 201, answer.text
    found = answer.json
    assert (found["state"], found["receipts"], found["result"]) == ("planned", 3, None)
    assert counts(found["findings"]) == {"adjust": 2, "record": 1}
    assert counts(found["changes"]) == {"payout": 2}
    assert found["payouts"] == [
        {
            "before": {"amount": "1.00", "currency": "GBP"},
            "after": {"amount": "12.00", "currency": "GBP"},
            "difference": {"amount": "11.00", "currency": "GBP"},
        }
    ]
    assert [each["finding"] for each in found["examples"]] == ["adjust", "adjust", "record"]
    assert found["examples"][0]["after"] == {
        "payout": "4.00 GBP", "amount": None, "status": None, "click_id": "CLICK-1",
    }  # fmt: skip
    assert [each.payout_minor for each in stored.conversions()] == [50, 50]
    assert len(stored.events()) == 2
    assert desk.second.get(f"/api/v1/reprocessings/{found['id']}").json == found
    assert desk.second.get("/api/v1/reprocessings").json["items"] == [found]


def test_applying_records_and_adjusts_each_receipt_once_and_leaves_the_receipts_as_they_were(
    desk: Desk, stored: Stored, runtime: Runtime
) -> None:
    jobs.seal_receipts()
    original = stored.receipts()[2]
    proposed = desk.propose().json

    answer = desk.apply(proposed["id"])

    assert answer.status_code == 200, answer.text
    assert (answer.json["state"], answer.json["result"]) == ("applied", {"recorded": 1, "adjusted": 2})
    conversions = {each.transaction_id: each for each in stored.conversions()}
    shown = {key: (each.state, each.payout_minor, each.is_accrual_due) for key, each in conversions.items()}
    assert shown == {"1": ("recorded", 400, False), "2": ("accrued", 400, True), "3": ("recorded", 400, False)}
    assert (conversions["3"].receipt_id, conversions["3"].occurred_at) == (original.id, START)
    events = {(event.conversion_id, event.kind): event for event in stored.events()}
    adjusted = events[conversions["2"].id, "adjusted"]
    assert (adjusted.actor_id, adjusted.details["before"]["payout"], adjusted.details["after"]["payout"]) == (
        desk.second.staff_id, "0.50 GBP", "4.00 GBP",
    )  # fmt: skip
    recorded = events[conversions["3"].id, "recorded"]
    assert (recorded.receipt_id, recorded.details["reprocessing_id"]) == (original.id, proposed["id"])
    assert len(stored.receipts()) == 3
    with runtime.reading() as session:
        sealed, broken = seals.first_break(session)
        assert (sealed, broken) == (1, None)
        acts = session.scalars(
            sa.select(audit.AuditEntry.verb).where(audit.AuditEntry.actor_id == desk.second.staff_id)
        )
        assert sorted(acts) == ["adjusted", "adjusted", "applied", "signed in"]


def test_a_dry_run_is_applied_once_and_not_by_who_made_it(
    desk: Desk, stored: Stored, machine: Caller, sign_in: Callable[..., Caller]
) -> None:
    reprocessing_id = desk.propose().json["id"]

    assert desk.apply(reprocessing_id, by=desk.first).status_code == 403
    assert desk.apply(reprocessing_id, by=machine).status_code == 403
    assert desk.apply(reprocessing_id, by=sign_in("finance")).status_code == 403
    assert len(stored.conversions()) == 2
    assert desk.apply(reprocessing_id).status_code == 200
    again = desk.apply(reprocessing_id)

    assert (again.status_code, again.json["type"].rpartition("/")[2]) == (409, "applied-already")
    assert len(stored.conversions()) == 3


def test_after_it_nothing_is_left_to_do_and_the_networks_retry_is_a_duplicate(desk: Desk, stored: Stored) -> None:
    desk.apply(desk.propose().json["id"])

    sent = [
        desk.network.send(transaction_id=number, commission="4.00", ts=str(int(desk.clock.now.timestamp()))).json
        for number in ("1", "3")
    ]

    assert [each["status"] for each in sent] == ["duplicate", "duplicate"]
    assert counts(desk.propose().json["findings"]) == {"same": 3}
    assert [each.hold_reason for each in stored.conversions()] == [None, None, None]


def test_a_receipt_that_was_recorded_by_a_replay_never_becomes_a_second_conversion(desk: Desk, stored: Stored) -> None:
    desk.apply(desk.propose().json["id"])
    desk.remap(parameters={"payout": "commission", "transaction_id": "ts"})

    found = desk.propose().json

    assert counts(found["findings"]) == {"other_key": 3}
    assert desk.apply(found["id"]).json["result"] == {"recorded": 0, "adjusted": 0}
    assert len(stored.conversions()) == 3


def test_a_mapping_that_was_wrong_twice_is_corrected_twice(desk: Desk, stored: Stored) -> None:
    desk.apply(desk.propose().json["id"])
    desk.remap(parameters={})

    found = desk.propose().json
    desk.apply(found["id"])

    assert counts(found["findings"]) == {"adjust": 3}
    assert [each.payout_minor for each in stored.conversions()] == [50, 50, 50]


def test_amounts_that_a_person_has_changed_since_are_left_alone(desk: Desk, stored: Stored) -> None:
    [conversion_id] = [each.id for each in stored.conversions() if each.transaction_id == "1"]
    body = {"kind": "adjust", "reason": "agreed", "version": 1, "payout": {"amount": "9.00", "currency": "GBP"}}
    assert desk.first.post(f"/api/v1/conversions/{conversion_id}/events", body).status_code == 201

    found = desk.propose().json
    desk.apply(found["id"])

    assert counts(found["findings"]) == {"adjust": 1, "record": 1, "changed_since": 1}
    assert [each.payout_minor for each in stored.conversions() if each.id == conversion_id] == [900]


def test_a_source_that_moved_on_makes_the_dry_run_stale(desk: Desk, stored: Stored) -> None:
    reprocessing_id = desk.propose().json["id"]
    desk.remap(name="Renamed")

    answer = desk.apply(reprocessing_id)

    assert (answer.status_code, answer.json["type"].rpartition("/")[2]) == (409, "source-moved-on")
    assert [each.payout_minor for each in stored.conversions()] == [50, 50]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE conversions SET version = version + 1 WHERE transaction_id = '1'",
        "UPDATE conversions SET payout_minor = 70 WHERE transaction_id = '1'",
        "DELETE FROM receipts WHERE outcome = 'invalid'",
    ],
)
def test_receipts_or_conversions_that_moved_on_make_the_dry_run_stale(
    desk: Desk, stored: Stored, runtime: Runtime, statement: str
) -> None:
    reprocessing_id = desk.propose().json["id"]
    with runtime.engine.begin() as connection:
        connection.execute(sa.text(statement))

    answer = desk.apply(reprocessing_id)

    assert (answer.status_code, answer.json["type"].rpartition("/")[2]) == (409, "window-moved-on")
    assert len(stored.conversions()) == 2


def test_a_key_that_was_recorded_at_the_last_moment_stays_as_it_is_and_ends_the_reprocessing(
    desk: Desk, stored: Stored, runtime: Runtime
) -> None:
    window = Window(desk.network.source_id, START.replace(hour=8), START.replace(hour=9, minute=30))
    with runtime.reading() as session:
        plan = replays.plan(runtime, session, window.span, "rpr_1", is_applied=False)
    [belief] = plan.beliefs
    other = desk.network.send(
        transaction_id="3", payout="1.00", commission="1.00", ts=str(int(desk.clock.now.timestamp()))
    ).json

    with pytest.raises(Conflict), runtime.transaction() as session:
        reprocessing_parts._record(runtime, session, plan)
    with runtime.transaction() as session:
        [recorded] = recording.record(runtime, session, [belief])

    assert (recorded.status, recorded.conversion_id) == ("duplicate", other["conversion_id"])
    [conversion] = [each for each in stored.conversions() if each.transaction_id == "3"]
    assert (conversion.payout_minor, conversion.hold_reason, conversion.version) == (100, None, 1)


def test_what_was_late_when_it_came_is_held_and_what_is_old_today_is_not(
    desk: Desk, stored: Stored, clock: TestClock
) -> None:
    clock.now = START
    desk.network.send(transaction_id="4", commission=None, ts=str(int(START.timestamp()) - 3600), payout="x")
    clock.advance(hours=2)
    desk.remap(parameters={"payout": "sub1"})

    desk.apply(desk.propose().json["id"])

    holds = {each.transaction_id: each.hold_reason for each in stored.conversions()}
    assert (holds["3"], holds["4"]) == (None, "late")


def test_a_window_is_checked_and_bounded(desk: Desk, machine: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    path, body = "/api/v1/reprocessings", {"source_id": desk.network.source_id, **WINDOW}

    assert machine.post(path, body).status_code == 403
    assert desk.first.post(path, {**body, "source_id": "src_none"}).status_code == 422
    assert desk.first.post(path, {**body, "from": WINDOW["until"]}).status_code == 422
    assert desk.first.post(path, {**body, "until": "2027-01-01T00:00:00Z"}).status_code == 422
    assert desk.first.get(f"{path}/rpr_none").status_code == 404
    monkeypatch.setattr(reprocessing, "WINDOW_RECEIPTS_MAX", 2)
    answer = desk.propose()
    assert (answer.status_code, "more than 2 receipts" in answer.text) == (422, True)


def test_the_database_itself_holds_the_four_eyes(desk: Desk, runtime: Runtime) -> None:
    reprocessing_id = desk.propose().json["id"]

    statement = sa.update(Reprocessing).where(Reprocessing.id == reprocessing_id)
    with pytest.raises(IntegrityError), runtime.engine.begin() as connection:
        connection.execute(statement.values(applied_by=Reprocessing.created_by))


@pytest.fixture
def long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk where three receipts are too many for one request, and one makes a part."""
    monkeypatch.setattr(reprocessing, "RECEIPTS_MAX", 2)
    monkeypatch.setattr(reprocessing, "PART_RECEIPTS_MAX", 1)
    return desk


def step(desk: Desk, reprocessing_id: str) -> None:
    """Do one part."""
    with desk.runtime.transaction() as session:
        reprocessing.go_on(desk.runtime, session, reprocessing_id)


def test_a_long_window_is_read_and_applied_by_the_stage_and_says_how_far_it_is(long: Desk, stored: Stored) -> None:
    asked = long.propose().json
    assert (asked["state"], asked["progress"]) == ("planning", {"receipts": 3, "read": 0, "checked": 0, "applied": 0})
    early = long.apply(asked["id"])
    assert (early.status_code, early.json["type"].rpartition("/")[2]) == (409, "still-planning")
    step(long, asked["id"])
    assert long.first.get(f"/api/v1/reprocessings/{asked['id']}").json["progress"]["read"] == 1

    jobs.reprocess()
    planned = long.first.get(f"/api/v1/reprocessings/{asked['id']}").json
    agreed = long.apply(asked["id"])
    before = [each.payout_minor for each in stored.conversions()]
    jobs.reprocess()
    jobs.reprocess()
    applied = long.first.get(f"/api/v1/reprocessings/{asked['id']}").json

    assert (planned["state"], counts(planned["findings"])) == ("planned", {"adjust": 2, "record": 1})
    assert planned["payouts"][0]["difference"] == {"amount": "11.00", "currency": "GBP"}
    assert [each["finding"] for each in planned["examples"]] == ["adjust", "adjust", "record"]
    assert (agreed.status_code, agreed.json["state"], before) == (200, "applying", [50, 50])
    assert (applied["state"], applied["result"]) == ("applied", {"recorded": 1, "adjusted": 2})
    assert applied["progress"] == {"receipts": 3, "read": 3, "checked": 3, "applied": 3}
    assert [each.payout_minor for each in stored.conversions()] == [400, 400, 400]
    assert long.apply(asked["id"]).status_code == 409


def verbs(runtime: Runtime, reprocessing_id: str) -> list[tuple[str, str]]:
    """Who did what with a reprocessing."""
    entry = audit.AuditEntry
    with runtime.reading() as session:
        statement = sa.select(entry.verb, entry.actor_id).where(entry.subject_id == reprocessing_id).order_by(entry.seq)
        return [(verb, actor_id) for verb, actor_id in session.execute(statement)]


def test_who_asked_for_a_long_one_and_who_agreed_to_it_stands_in_the_audit_log(long: Desk, runtime: Runtime) -> None:
    asked = long.propose().json["id"]
    jobs.reprocess()
    long.apply(asked)
    jobs.reprocess()

    first, second = long.first.staff_id, long.second.staff_id
    assert verbs(runtime, asked) == [
        ("asked for", first), ("proposed", first), ("agreed to", second), ("applied", second),
    ]  # fmt: skip


def test_a_key_that_two_parts_would_record_is_recorded_by_the_first(long: Desk, stored: Stored) -> None:
    long.clock.now = START
    long.clock.advance(minutes=1)
    long.remap(default_currency=None)
    long.network.send(transaction_id="3", commission="4.00", currency=None, ts=str(int(START.timestamp())))
    long.clock.advance(hours=1)
    long.corrected()
    asked = long.propose().json["id"]
    jobs.reprocess()

    found = long.first.get(f"/api/v1/reprocessings/{asked}").json
    long.apply(asked)
    jobs.reprocess()

    assert counts(found["findings"]) == {"adjust": 2, "record": 1, "known": 1}
    applied = long.first.get(f"/api/v1/reprocessings/{asked}").json
    assert (applied["state"], applied["result"]) == ("applied", {"recorded": 1, "adjusted": 2})
    assert len(stored.conversions()) == 3


def test_a_long_one_whose_window_moved_on_is_stopped_before_anything_is_done(
    long: Desk, stored: Stored, runtime: Runtime
) -> None:
    asked = long.propose().json["id"]
    jobs.reprocess()
    with runtime.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM receipts WHERE outcome = 'invalid'"))
    long.apply(asked)

    jobs.reprocess()

    found = long.first.get(f"/api/v1/reprocessings/{asked}").json
    assert (found["state"], found["reason"], found["result"]) == (
        "stopped", "window-moved-on", {"recorded": 0, "adjusted": 0},
    )  # fmt: skip
    assert [each.payout_minor for each in stored.conversions()] == [50, 50]
    assert verbs(runtime, asked)[-1] == ("was stopped in", long.second.staff_id)


def test_a_long_one_that_moves_on_halfway_is_stopped_there_and_says_what_was_done(long: Desk, stored: Stored) -> None:
    asked = long.propose().json["id"]
    jobs.reprocess()
    long.apply(asked)
    for _ in range(4):
        step(long, asked)
    long.remap(name="Renamed")

    jobs.reprocess()

    found = long.first.get(f"/api/v1/reprocessings/{asked}").json
    assert (found["state"], found["reason"], found["result"]) == (
        "stopped", "source-moved-on", {"recorded": 0, "adjusted": 1},
    )  # fmt: skip
    again = long.propose().json["id"]
    jobs.reprocess()
    long.apply(again)
    jobs.reprocess()
    rest = long.first.get(f"/api/v1/reprocessings/{again}").json
    assert (counts(rest["findings"]), rest["result"]) == (
        {"adjust": 1, "record": 1, "same": 1}, {"recorded": 1, "adjusted": 1},
    )  # fmt: skip
    assert [each.payout_minor for each in stored.conversions()] == [400, 400, 400]


def test_what_was_accrued_before_is_accrued_as_a_difference_and_nothing_twice(
    runtime: Runtime, clock: TestClock, network: Network, trade: Trade, sign_in: Callable[..., Caller]
) -> None:
    with runtime.transaction() as session:
        session.add(
            CampaignTerms(campaign_id=trade.campaign_id, version=1, kind="told", starts_at=BEFORE, created_at=BEFORE)
        )
    trade.click("CLICK-1")
    desk = Desk(runtime, clock, network, sign_in("admin"), sign_in("admin"))
    for number, currency in (("1", "GBP"), ("2", None)):
        network.send(transaction_id=number, commission="4.00", currency=currency)
        clock.advance(seconds=1)
    payouts.jobs.accrue()
    clock.advance(hours=1)
    desk.corrected()

    for _ in range(2):
        desk.apply(desk.propose().json["id"])
        payouts.jobs.accrue()
        payouts.jobs.accrue()

    with runtime.reading() as session:
        statement = sa.select(Accrual.kind, Accrual.amount_minor).order_by(Accrual.kind, Accrual.amount_minor)
        assert [tuple(row) for row in session.execute(statement)] == [
            ("accrue", 50), ("accrue", 400), ("adjust", 350),
        ]  # fmt: skip
