"""Whatever people do to matches in whatever order: nothing is taken twice, nothing is lost, and the story is whole."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy.orm import Session

from core.actors import Actor, ActorKind
from core.errors import Problem
from core.money import Money
from core.runtime import Runtime
from reports import match_acts, match_groups, match_judging
from reports.match_acts import NewMatch, Said
from reports.match_groups import Word
from reports.match_judging import Verdict
from reports.match_models import Match, MatchEvent, MatchRejection
from reports.matching import Leg
from reports.models import Discrepancy
from tests.builders import Builder
from tests.conftest import EXAMPLES_TIMES, TestClock
from tests.reports.conftest import Reconcile
from tests.reports.suggesting import forget, suggest

WORD = Word(Actor(ActorKind.STAFF, "stf_acts"), "because")
OURS, THEIRS = (100, 70, 30), (100, 60, 40, 30)
Pair = tuple[str, str]
Places = st.sets(st.integers(0, 3), min_size=1, max_size=2)


class Matches(RuleBasedStateMachine):
    """Three conversions and four lines of a source of its own; no pass finds any of them by itself.

    `edges` is the model: each pair's group and state. `said_no` are the pairs that no run may bring.
    """

    runtime: ClassVar[Runtime]
    reconcile: ClassVar[Reconcile]
    clock: ClassVar[TestClock]
    reached: ClassVar[set[str]]
    runs: ClassVar[Iterator[int]]

    def __init__(self) -> None:
        super().__init__()
        with self.runtime.transaction() as session:
            build = Builder(self.runtime, session)
            source = build.source(f"Network {next(self.runs)}")
            report = build.report(source)
            self.source_id = source.id
            self.ours = {build.conversion(source, f"O{n}", minor).id: minor for n, minor in enumerate(OURS)}
            self.theirs = {build.network_line(report, f"T{n}", minor).id: minor for n, minor in enumerate(THEIRS)}
        self.edges: dict[Pair, tuple[str, str]] = {}
        self.said_no: set[Pair] = set()
        self.run = type(self).reconcile("network", self.source_id)
        forget(self.runtime)

    @rule(our=st.integers(0, 2), their=st.integers(0, 3))
    def suggest(self, our: int, their: int) -> None:
        pair = (list(self.ours)[our], list(self.theirs)[their])
        if pair not in self.edges and pair not in self.said_no:
            ours, theirs = self.ours[pair[0]], self.theirs[pair[1]]
            self.edges[pair] = (suggest(self.runtime, self.run, (*pair, theirs, theirs - ours)), "suggested")

    @rule(one=st.integers(0, 2), many=Places, is_our_side=st.booleans())
    def match(self, one: int, many: set[int], is_our_side: bool) -> None:  # noqa: FBT001 - hypothesis names it
        ours, theirs = list(self.ours), list(self.theirs)
        if is_our_side:
            self._match([ours[one]], [theirs[n] for n in sorted(many)])
        else:
            self._match([ours[n] for n in sorted(many) if n < len(OURS)], [theirs[one]])

    @rule(our=st.integers(0, 2), their=st.integers(0, 3), minor=st.integers(1, 60))
    def match_in_part(self, our: int, their: int, minor: int) -> None:
        pair = (list(self.ours)[our], list(self.theirs)[their])
        self._match([pair[0]], [pair[1]], Said(*pair, Money(minor, "EUR")))

    @precondition(lambda self: self._groups("suggested"))
    @rule(chance=st.integers(0, 99), verdict=st.sampled_from(Verdict))
    def judge(self, chance: int, verdict: Verdict) -> None:
        group_id = self._pick("suggested", chance)
        pairs = self._pairs(group_id)
        if self._try(lambda session: match_judging.judge(self.runtime, session, [group_id], verdict, WORD)):
            if verdict is Verdict.CONFIRM:
                self.edges |= dict.fromkeys(pairs, (group_id, "confirmed"))
            else:
                self._gone(pairs)

    @precondition(lambda self: self._groups("confirmed"))
    @rule(chance=st.integers(0, 99))
    def unmatch(self, chance: int) -> None:
        group_id = self._pick("confirmed", chance)
        pairs = self._pairs(group_id)
        with self.runtime.reading() as session:
            by_hand = [
                (row.our_id, row.their_id)
                for row in self._rows(session)
                if row.group_id == group_id and row.matched_by == "manual"
            ]
        assert self._try(lambda session: match_acts.unmatch(self.runtime, session, group_id, WORD))
        self._gone(pairs)
        self.said_no -= set(by_hand)

    @precondition(lambda self: self._groups("confirmed"))
    @rule(chance=st.integers(0, 99))
    def split(self, chance: int) -> None:
        group_id = self._pick("confirmed", chance)
        pairs = self._pairs(group_id)
        their_id = pairs[0][1]
        leaving = [pair for pair in pairs if pair[1] == their_id]
        made: list[str] = []
        done = self._try(lambda session: made.append(
            match_acts.split(self.runtime, session, group_id, WORD, their_ids=[their_id])
        ))  # fmt: skip
        assert done == (len(leaving) < len(pairs))
        if done:
            self.edges |= dict.fromkeys(leaving, (made[0], "confirmed"))

    @precondition(lambda self: len(self._groups("confirmed")) > 1)
    @rule(data=st.data())
    def merge(self, data: Any) -> None:
        ids = data.draw(st.permutations(self._groups("confirmed")))[:2]
        pairs = self._pairs(ids[0]) + self._pairs(ids[1])
        made: list[str] = []
        assert self._try(lambda session: made.append(match_acts.merge(self.runtime, session, ids, WORD)))
        self.edges |= dict.fromkeys(pairs, (made[0], "confirmed"))

    @rule()
    def rerun(self) -> None:
        before = self._told()
        self.clock.advance(seconds=1)
        self.run = type(self).reconcile("network", self.source_id)
        assert (self.run.state, self._told()) == ("finished", before)
        self.edges = {pair: edge for pair, edge in self.edges.items() if edge[1] == "confirmed"}
        with self.runtime.reading() as session:
            fresh = {(row.our_id, row.their_id) for row in self._rows(session, "suggested")}
        assert not fresh & self.said_no
        # What a run suggests of itself is no part of this story.
        forget(self.runtime)

    @invariant()
    def the_edges_are_those_of_the_model(self) -> None:
        with self.runtime.reading() as session:
            rows = self._rows(session)
            no = session.execute(
                sa.select(MatchRejection.our_id, MatchRejection.their_id)
                .where(MatchRejection.our_id.in_(list(self.ours)))
            )  # fmt: skip
            assert {(row[0], row[1]) for row in no} == self.said_no
        assert {(row.our_id, row.their_id): (row.group_id, row.state) for row in rows} == self.edges

    @invariant()
    def nothing_is_taken_twice_and_what_is_left_is_told(self) -> None:
        told = self._told()
        with self.runtime.reading() as session:
            rows = self._rows(session, "confirmed")
        for amounts, name, column in ((self.ours, "our_id", 2), (self.theirs, "their_id", 3)):
            for id_, minor in amounts.items():
                here = [row for row in rows if getattr(row, name) == id_]
                taken = sum(row.allocated_minor - (row.difference_minor if name == "our_id" else 0) for row in here)
                assert 0 <= taken <= minor
                assert len(here) == 1 or not any(row.is_whole for row in here)
                lonely = [each[column] for each in told if each[0].startswith("missing") and id_ in each]
                assert lonely == ([minor - taken] if taken < minor else [])
        differing = {(row.our_id, row.their_id): row.difference_minor for row in rows if row.difference_minor}
        assert differing == {
            (each[4], each[5]): (each[3] or 0) - (each[2] or 0) for each in told if each[0] == "amount_mismatch"
        }

    @invariant()
    def the_story_of_a_group_gives_its_edges(self) -> None:
        with self.runtime.reading() as session:
            events = session.scalars(
                sa.select(MatchEvent).where(MatchEvent.group_id.in_([edge[0] for edge in self.edges.values()]))
                .order_by(MatchEvent.id)
            )  # fmt: skip
            stories: dict[str, list[MatchEvent]] = {}
            for event in events:
                stories.setdefault(event.group_id, []).append(event)
                self.reached.add(event.kind)
            for group_id in self._groups("confirmed"):
                story = stories[group_id]
                for one, two in pairwise(story):
                    assert _sorted(one.details["after"]) == _sorted(two.details["before"])
                rows = [row for row in self._rows(session) if row.group_id == group_id]
                assert _sorted(story[-1].details["after"]) == _sorted(match_groups.shown(rows))

    def _match(self, ours: list[str], theirs: list[str], *said: Said) -> None:
        pairs = [(our, their) for our in ours for their in theirs]
        made: list[str] = []
        new = NewMatch(Leg.NETWORK, ours, theirs, "because", said)
        if ours and self._try(lambda session: made.append(match_acts.match(self.runtime, session, new, WORD))):
            dropped = {self.edges[pair][0] for pair in pairs if pair in self.edges}
            self.edges = {pair: edge for pair, edge in self.edges.items() if edge[0] not in dropped}
            self.edges |= dict.fromkeys(pairs, (made[0], "confirmed"))
            self.said_no -= set(pairs)

    def _gone(self, pairs: list[Pair]) -> None:
        self.said_no |= set(pairs)
        for pair in pairs:
            del self.edges[pair]

    def _rows(self, session: Session, *states: str) -> list[Match]:
        rows = session.scalars(sa.select(Match).where(Match.our_id.in_(list(self.ours))).order_by(Match.id))
        return [row for row in rows if not states or row.state in states]

    def _told(self) -> list[tuple[str, str | None, int | None, int | None, str | None, str | None]]:
        with self.runtime.reading() as session:
            found = session.scalars(
                sa.select(Discrepancy)
                .where(Discrepancy.source_id == self.source_id, Discrepancy.state == "open")
                .order_by(Discrepancy.subject_key)
            )
            return [
                (each.klass, each.line_id or each.conversion_id, each.ours_minor, each.theirs_minor,
                 each.conversion_id, each.line_id)
                for each in found
            ]  # fmt: skip

    def _groups(self, state: str) -> list[str]:
        return sorted({group_id for group_id, its in self.edges.values() if its == state})

    def _pick(self, state: str, chance: int) -> str:
        groups = self._groups(state)
        return groups[chance % len(groups)]

    def _pairs(self, group_id: str) -> list[Pair]:
        ours, theirs = list(self.ours), list(self.theirs)
        pairs = [pair for pair, edge in self.edges.items() if edge[0] == group_id]
        # By their places: ids are drawn anew each time, and the same run is to be the same story.
        return sorted(pairs, key=lambda pair: (ours.index(pair[0]), theirs.index(pair[1])))

    def _try(self, do: Callable[[Session], object]) -> bool:
        # Stories are in the order of time.
        self.clock.advance(seconds=1)
        try:
            with self.runtime.transaction() as session:
                do(session)
        except Problem:
            return False
        return True


def _sorted(edges: list[dict[str, Any]]) -> list[list[tuple[str, Any]]]:
    return sorted(sorted(edge.items()) for edge in edges)


@pytest.fixture
def quick(runtime: Runtime) -> Runtime:
    """The runtime, without waiting for the disk: this is about what is written, not whether it lasts."""
    if runtime.engine.dialect.name == "sqlite":
        with runtime.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
    return runtime


@pytest.mark.timeout(300)
def test_whatever_people_do_nothing_is_taken_twice_or_lost_and_the_story_is_whole(
    quick: Runtime, reconcile: Reconcile, clock: TestClock
) -> None:
    reached: set[str] = set()
    here = {
        "runtime": quick, "reconcile": staticmethod(reconcile), "clock": clock, "reached": reached,
        "runs": iter(range(1_000_000)),
    }  # fmt: skip
    run_state_machine_as_test(
        type("MatchesHere", (Matches,), here),
        settings=settings(
            max_examples=6 * EXAMPLES_TIMES, stateful_step_count=20, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip

    # What chance brings differs with every change here; a run without each kind of word shows nothing.
    assert reached >= {"matched", "confirmed", "split", "merged"}
