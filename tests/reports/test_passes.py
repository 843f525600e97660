"""The passes over whole tables, what people said before, and runs that repeat one another; on both databases."""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.runtime import Runtime
from reports.match_models import Match, MatchAlias, MatchEvent, MatchRejection, MatchRuleset
from reports.models import NetworkLine, Reconciliation, Statement
from tests.builders import Builder
from tests.conftest import TestClock
from tests.reports.conftest import Reconcile, classes
from tests.reports.test_network_leg import everything

NAMES: dict[str, str] = {}


@pytest.fixture(autouse=True)
def _names() -> None:
    NAMES.clear()


class Month:
    """One source's month under construction; what is added is known by its name."""

    def __init__(self, runtime: Runtime, session: Session) -> None:
        self.runtime, self.session = runtime, session
        self.build = Builder(runtime, session)
        self.source = self.build.source()
        self.report = self.build.report(self.source)

    def ours(self, name: str, minor: int | None, click: str = "", day: int = 15, **columns: Any) -> str:
        at = datetime(2026, 10, day, 12, 0, tzinfo=UTC)
        made = self.build.conversion(self.source, name, minor, occurred_at=at, **columns)
        made.claimed_click_id = click
        NAMES[made.id] = name
        return made.id

    def theirs(self, name: str, minor: int, *, has_id: bool = True, day: int = 15, **columns: Any) -> str:
        made = self.build.network_line(self.report, name if has_id else None, minor)
        made.occurred_on = date(2026, 10, day)
        for column, value in columns.items():
            setattr(made, column, value)
        NAMES[made.id] = name
        return made.id

    def edge(self, our_id: str, their_id: str, minor: int) -> Match:
        run = Reconciliation(
            id=self.runtime.new_id("rec"), period="2026-10", leg="network", state="failed", counts={},
            started_by="stf_one", created_at=self.runtime.clock(),
        )  # fmt: skip
        self.session.add(run)
        self.session.flush()
        id_ = self.runtime.new_id("mat")
        made = Match(
            id=id_, group_id=id_, reconciliation_id=run.id, leg="network", matched_by="manual", our_id=our_id,
            their_id=their_id, allocated_minor=minor, difference_minor=0, currency="EUR", state="confirmed",
            is_whole=True, made_by="stf_ann", created_at=self.runtime.clock(),
        )  # fmt: skip
        self.session.add(made)
        return made

    def reject(self, our_id: str, their_id: str) -> None:
        event = MatchEvent(
            id=self.runtime.new_id("mev"), leg="network", group_id="mat_1", kind="unmatched", actor_kind="staff",
            actor_id="stf_ann", at=self.runtime.clock(), reason="another order", details={},
        )  # fmt: skip
        self.session.add(event)
        self.session.flush()
        self.session.add(MatchRejection(leg="network", our_id=our_id, their_id=their_id, event_id=event.id))


def edges(session: Session) -> list[tuple[str, str, str, str, int]]:
    return sorted(
        (each.matched_by, NAMES[each.our_id], NAMES[each.their_id], each.state, each.difference_minor)
        for each in session.scalars(sa.select(Match))
    )


def test_every_pass_takes_what_those_before_it_have_left_and_people_s_words_come_first(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        month = Month(runtime, session)
        month.ours("T1", 1250)
        month.theirs("T1", 1240)
        month.ours("by click", 900, "c1")
        month.theirs("click line", 900, has_id=False, claimed_click_id="c1", day=17)
        for name in ("twin", "twin"):  # alike but for their ids: which meets which, nobody can tell
            month.ours(name, 500, "c2")
            month.theirs(f"{name}, theirs", 500, has_id=False, claimed_click_id="c2", status_word="SALE")
        month.ours("too late", 333, "c3")
        month.theirs("too late, theirs", 333, has_id=False, claimed_click_id="c3", day=19)
        month.ours("ORDER", 3000)
        month.theirs("part 1", 1000, group_key="ORDER")
        month.theirs("part 2", 2000, group_key="ORDER")
        month.ours("SHORT", 3000, day=1)
        month.theirs("short 1", 1400, group_key="SHORT", day=9)
        month.theirs("short 2", 1400, group_key="SHORT", day=9)
        month.ours("ORDER-77", 600)
        month.theirs("order 77 (new)", 640)
        session.add(
            MatchAlias(
                id="mal_1",
                leg="network",
                meaning_kind="transaction",
                meaning="ORDER-77",
                alias="order77new",
                scope=month.source.id,
                learnt_from="mat_0",
                state="active",
                created_at=runtime.clock(),
                created_by="stf_ann",
            )
        )
        month.reject(month.ours("R1", 710), month.theirs("R1", 710))
        month.edge(month.ours("M1", 820), month.theirs("by hand", 820), 820)
        month.theirs("M1", 820)
        month.ours("near", 7777)
        month.theirs("also near", 7770, day=18)

    run = reconcile("network")

    assert (run.state, run.error, run.ruleset_version) == ("finished", None, 0)
    assert run.counts["by_pass"] == {
        "confirmed": {"composite": 3, "exact_id": 1, "group": 2, "manual": 1, "reference": 1},
        "suggested": {"amount_date": 1},
    }
    with runtime.reading() as session:
        assert edges(session) == [
            ("amount_date", "near", "also near", "suggested", -7),
            ("composite", "by click", "click line", "confirmed", 0),
            ("composite", "twin", "twin, theirs", "confirmed", 0),
            ("composite", "twin", "twin, theirs", "confirmed", 0),
            ("exact_id", "T1", "T1", "confirmed", -10),
            ("group", "ORDER", "part 1", "confirmed", 0),
            ("group", "ORDER", "part 2", "confirmed", 0),
            ("manual", "M1", "by hand", "confirmed", 0),
            ("reference", "ORDER-77", "order 77 (new)", "confirmed", 40),
        ]
        grouped = session.scalars(sa.select(Match).where(Match.matched_by == "group")).all()
        assert {(each.group_id, each.is_whole, each.allocated_minor) for each in grouped} == {
            (min(each.id for each in grouped), False, amount) for amount in (1000, 2000)
        }
        found = Counter(classes(session))
    assert found == {
        "amount_mismatch": 1, "fee_or_fx": 1, "missing_at_network": 4, "missing_at_us": 4, "duplicate_at_network": 2,
    }  # fmt: skip


def test_a_few_open_amounts_that_make_a_sum_are_suggested_together_and_stay_open(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        month = Month(runtime, session)
        for name, minor in (("a", 1100), ("b", 2300), ("c", 5800)):
            month.ours(name, minor, day=1)
        month.theirs("a and b", 3400, day=20)

    run = reconcile("network")

    assert run.counts["by_pass"] == {"confirmed": {}, "suggested": {"subset_sum": 2}}
    assert run.counts["matched"] == 0
    with runtime.reading() as session:
        assert edges(session) == [("subset_sum", name, "a and b", "suggested", 0) for name in "ab"]
        assert len(set(session.scalars(sa.select(Match.group_id)))) == 1
        assert classes(session) == ["missing_at_network"] * 3 + ["missing_at_us"]


def test_a_rerun_repeats_what_has_not_changed_and_sees_everything_that_has(
    runtime: Runtime, reconcile: Reconcile, clock: TestClock
) -> None:
    with runtime.transaction() as session:
        month = Month(runtime, session)
        ours, line = month.ours("T1", 1250), month.theirs("T1", 1250)
        month.ours("near", 7777)
        month.theirs("also near", 7770)
        other = Builder(runtime, session).source("Awin")
    runs = [reconcile("network", month.source.id)]

    def again(source_id: str | None = None) -> Reconciliation:
        clock.advance(hours=1)
        return reconcile("network", source_id or month.source.id)

    before = everything(runtime)
    runs.append(again())
    assert (runs[1].repeats_id, runs[1].counts, runs[1].digest) == (runs[0].id, runs[0].counts, runs[0].digest)
    assert runs[1].input_sha256 == runs[0].input_sha256
    assert again(other.id).repeats_id is None
    assert again().repeats_id == runs[0].id  # a run of another source touches nothing of this one
    assert everything(runtime) == before
    with runtime.transaction() as session:
        session.get_one(NetworkLine, line).amount_minor = 1200
    runs.append(again())
    assert (runs[2].repeats_id, runs[2].counts["discrepancies"].get("amount_mismatch")) == (None, 1)
    with runtime.transaction() as session:
        month.session = session
        month.reject(ours, line)
    runs.append(again())
    assert (runs[3].repeats_id, runs[3].counts["matched"]) == (None, 0)
    with runtime.reading() as session:
        assert edges(session) == [("amount_date", "near", "also near", "suggested", -7)]


def test_a_debit_of_a_whole_batch_pays_every_payment_of_it(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        items = [build.sent(build.payout(build.affiliate(), minor), f"E2E-{minor}") for minor in (1250, 750)]
        items[1].batch_id = items[0].batch_id
        name = items[0].batch_id.replace("_", "").upper()
        statement = build.bank_statement()
        build.bank_line(statement, -2000, text=f"SEPA BATCH {name} 2 PAYMENTS")
        build.bank_line(statement, -1999, text="something else")

    run = reconcile("payout")

    assert run.counts["by_pass"] == {"confirmed": {"group": 2}, "suggested": {}}
    assert run.counts["discrepancies"] == {"unmatched_debit": 1}
    with runtime.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).where(Statement.kind == "bank")) == 1


def test_the_order_of_a_ruleset_decides_which_pass_comes_first(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        month = Month(runtime, session)
        month.ours("ORDER", 3000)
        month.theirs("ORDER", 1000, group_key="ORDER")
        month.theirs("ORDER", 2000, group_key="ORDER")
        session.get_one(MatchRuleset, 0).passes = [{"pass": "group"}, {"pass": "exact_id"}]

    run = reconcile("network")

    assert run.counts["by_pass"] == {"confirmed": {"group": 2}, "suggested": {}}
    assert run.counts["discrepancies"] == {}
