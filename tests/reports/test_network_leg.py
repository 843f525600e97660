"""Conversions against a network's report, on both databases."""

from collections import Counter
from datetime import UTC, datetime
from random import Random

import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.actors import system
from core.runtime import Runtime
from reports import reconciliation
from reports.match_models import Match
from reports.matching import Leg
from reports.models import Discrepancy, Reconciliation
from tests.builders import Builder
from tests.conftest import EXAMPLES_TIMES, TestClock
from tests.reports.conftest import Reconcile, classes

SEPTEMBER = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)
Item = tuple[str, int, str]


def test_each_class_is_found_and_nothing_else(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        report = build.report(source)
        for transaction_id, ours, theirs in (
            ("same", 1250, [(1250, "EUR")]),
            ("amount", 1250, [(1200, "EUR")]),
            ("currency", 1250, [(1250, "USD")]),
            ("twice", 1250, [(1250, "EUR"), (1250, "EUR")]),
            ("not theirs", 1250, []),
            ("untold", None, [(700, "EUR")]),
        ):
            build.conversion(source, transaction_id, ours)
            for amount_minor, currency in theirs:
                build.network_line(report, transaction_id, amount_minor, currency)
        build.network_line(report, "not ours", 500)
        build.network_line(report, None, 500)
        build.conversion(source, "late", 900, occurred_at=SEPTEMBER)
        build.network_line(report, "late", 900)
        build.conversion(source, "rejected", 900, state="rejected")
        other = build.source("Awin")
        build.network_line(build.report(other), "same", 1250)

    run = reconcile("network", source.id)

    assert (run.state, run.error) == ("finished", None)
    assert run.counts == {
        "ours": 6,
        "theirs": 9,
        "matched": 4,
        # A line left over has the amount of a conversion left over: a person is to look at the two.
        "by_pass": {"confirmed": {"exact_id": 4}, "suggested": {"amount_date": 1}},
        "discrepancies": {
            "amount_mismatch": 1,
            "currency_mismatch": 1,
            "duplicate_at_network": 1,
            "late": 1,
            "missing_at_network": 1,
            "missing_at_us": 2,
        },
    }
    with runtime.reading() as session:
        mismatch = session.scalars(sa.select(Discrepancy).where(Discrepancy.klass == "amount_mismatch")).one()
        differences = sorted(session.scalars(sa.select(Match.difference_minor).where(Match.state == "confirmed")))
    assert (mismatch.ours_minor, mismatch.theirs_minor) == (1250, 1200)
    assert differences == [-50, 0, 0, 0]


def test_a_run_without_a_source_takes_every_source_and_mixes_none(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        for name in ("Everflow", "Awin"):
            source = build.source(name)
            build.conversion(source, f"{name} alone", 100)
            build.conversion(source, "shared", 100)
            build.network_line(build.report(source), "shared", 100)

    run = reconcile("network")

    assert run.counts["matched"] == 2
    assert run.counts["discrepancies"] == {"missing_at_network": 2}


def test_a_rerun_changes_nothing(runtime: Runtime, reconcile: Reconcile, clock: TestClock) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        report = build.report(source)
        for number in range(5):
            build.conversion(source, f"T{number}", 100)
            build.network_line(report, f"T{number + 1}", 100 + number // 4)
    first = reconcile("network", source.id)
    before = everything(runtime)
    clock.advance(hours=1)

    second = reconcile("network", source.id)

    assert second.id != first.id
    assert (second.digest, second.input_sha256, second.counts) == (first.digest, first.input_sha256, first.counts)
    assert everything(runtime) == before


def everything(runtime: Runtime) -> list[tuple[object, ...]]:
    with runtime.reading() as session:
        matches = session.execute(sa.select(Match.__table__).order_by(Match.id)).all()
        found = session.execute(sa.select(Discrepancy.__table__).order_by(Discrepancy.id)).all()
    return [tuple(row) for row in [*matches, *found]]


def test_a_late_line_takes_its_discrepancy_away_and_what_was_explained_stays(
    runtime: Runtime, reconcile: Reconcile
) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        report = build.report(source)
        ids = {name: build.conversion(source, name, 100).id for name in ("comes", "explained", "open")}
    first = reconcile("network", source.id)
    with runtime.transaction() as session:
        explained = session.scalars(sa.select(Discrepancy).where(Discrepancy.conversion_id == ids["explained"])).one()
        explained.state, explained.resolution = "resolved", "explained"
        Builder(runtime, session).network_line(report, "comes", 100)

    second = reconcile("network", source.id)

    assert first.digest != second.digest
    assert first.input_sha256 != second.input_sha256
    with runtime.reading() as session:
        assert sorted(session.scalars(sa.select(Discrepancy.state))) == ["gone", "open", "resolved"]
        assert session.scalar(sa.select(sa.func.count(Match.id))) == 1


def test_a_pair_whose_conversion_is_rejected_afterwards_comes_apart(runtime: Runtime, reconcile: Reconcile) -> None:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source()
        conversion = build.conversion(source, "T1", 100)
        build.network_line(build.report(source), "T1", 100)
    reconcile("network", source.id)
    with runtime.transaction() as session:
        session.merge(conversion).state = "rejected"

    reconcile("network", source.id)

    with runtime.reading() as session:
        assert classes(session) == ["status_mismatch"]
        assert session.scalar(sa.select(sa.func.count(Match.id))) == 0


def oracle(ours: list[Item], theirs: list[Item], elsewhere: set[str]) -> Counter[tuple[str, str, int, int]]:
    """The rules by brute force: every item one by one, over plain lists."""
    found: Counter[tuple[str, str, int, int]] = Counter()
    ours, theirs = sorted(ours), sorted(theirs)
    ids = {item[0] for item in ours}
    paired: set[str] = set()

    def take(mine: Item, theirs_too: list[Item]) -> Item:
        ours.remove(mine)
        paired.add(mine[0])
        theirs.remove(theirs_too[0])
        return theirs_too[0]

    for mine in list(ours):
        if same := [line for line in theirs if line == mine]:
            take(mine, same)
            found["match", mine[0], mine[1], mine[1]] += 1
    for mine in list(ours):
        if same := [line for line in theirs if (line[0], line[2]) == (mine[0], mine[2])]:
            line = take(mine, same)
            found["match", mine[0], mine[1], line[1]] += 1
            klass = "rounding" if abs(mine[1] - line[1]) == 1 else "amount_mismatch"
            found[klass, mine[0], mine[1], line[1]] += 1
    for mine in sorted(ours, key=lambda item: (item[0], item[2], item[1])):
        if same := sorted((line for line in theirs if line[0] == mine[0]), key=lambda item: (item[2], item[1])):
            line = take(mine, same)
            found["currency_mismatch", mine[0], mine[1], line[1]] += 1
    for name, _, _ in theirs:
        klass = "duplicate_at_network" if name in ids else "late" if name in elsewhere else "missing_at_us"
        found[klass, name, 0, 0] += 1
    for name, _, _ in ours:
        # Any other conversion of the same id has taken the line that it would have.
        klass = "duplicate_at_us" if name in paired else "missing_at_network"
        found[klass, name, 0, 0] += 1
    return found


items = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), st.sampled_from([1, 2, 3]), st.sampled_from(["EUR", "USD"])), max_size=7
)

ORDER = Random(1)  # noqa: S311 - shuffles rows, guards nothing


@settings(max_examples=15 * EXAMPLES_TIMES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(ours=[("A", 1, "EUR"), ("A", 2, "EUR")], theirs=[("A", 2, "EUR")], elsewhere=set(), order=ORDER)
@example(ours=[("A", 1, "EUR")], theirs=[("A", 1, "USD"), ("A", 2, "EUR")], elsewhere={"A"}, order=ORDER)
@given(ours=items, theirs=items, elsewhere=st.sets(st.sampled_from(["A", "B", "C"])), order=st.randoms())
def test_whatever_the_rows_and_their_order_the_result_is_the_oracle_s(
    runtime: Runtime, ours: list[Item], theirs: list[Item], elsewhere: set[str], order: Random
) -> None:
    order.shuffle(ours)
    order.shuffle(theirs)
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        source = build.source(runtime.new_id("name"))
        report = build.report(source)
        mine = {
            build.conversion(source, name, minor, currency=currency).id: (name, minor) for name, minor, currency in ours
        }
        mine |= {build.conversion(source, name, 9, occurred_at=SEPTEMBER).id: (name, 9) for name in sorted(elsewhere)}
        lines = {
            build.network_line(report, name, minor, currency).id: (name, minor) for name, minor, currency in theirs
        }
        asked = reconciliation.ask(
            runtime, session, period="2026-10", leg=Leg.NETWORK, source_id=source.id, actor=system("tests")
        )
        session.flush()

        reconciliation.run(runtime, session, asked.id)

        found: Counter[tuple[str, str, int, int]] = Counter()
        confirmed = sa.and_(Match.reconciliation_id == asked.id, Match.state == "confirmed")
        for match in session.scalars(sa.select(Match).where(confirmed)):
            found["match", mine[match.our_id][0], mine[match.our_id][1], lines[match.their_id][1]] += 1
        for item in session.scalars(sa.select(Discrepancy).where(Discrepancy.source_id == source.id)):
            name = mine[item.conversion_id][0] if item.conversion_id else lines[str(item.line_id)][0]
            is_pair = item.klass in {"amount_mismatch", "currency_mismatch", "rounding"}
            amounts = (item.ours_minor or 0, item.theirs_minor or 0) if is_pair else (0, 0)
            found[item.klass, name, *amounts] += 1
        assert session.get_one(Reconciliation, asked.id).state == "finished"
    assert found == oracle(ours, theirs, elsewhere)
