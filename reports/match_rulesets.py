"""Match rulesets: drafted by one, tried over a month, put in force by another person, never edited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core import versions
from core.actors import Actor
from core.errors import Conflict, Invalid
from core.runtime import Runtime
from reports import engine, match_rules, reconciliation
from reports.match_models import MatchRuleset
from reports.matching import Leg
from reports.models import Reconciliation
from reports.passes import pairs_table

# A dry run is done within a request: more takes longer than somebody waits.
DRY_RUN_ITEMS_MAX = 200_000


@dataclass(frozen=True)
class Question:
    """Over which items a ruleset is tried."""

    period: str
    leg: Leg
    source_id: str | None = None


@dataclass(frozen=True)
class Edges:
    """How many edges a pass makes under either version."""

    kind: str  # reports.matching.Pass
    state: str  # confirmed | suggested
    before: int
    after: int

    @property
    def change(self) -> int:
        """How many more."""
        return self.after - self.before


@dataclass(frozen=True)
class DryRun:
    """What a version would do to a month, beside the one in force; nothing is stored."""

    version: int
    active_version: int
    ours: int
    theirs: int
    matched_before: int
    matched_after: int
    by_pass: list[Edges]


def draft(runtime: Runtime, session: Session, passes: Sequence[Mapping[str, Any]], *, actor: Actor) -> MatchRuleset:
    """Keep `passes` as the next version, not yet in force; raise Invalid with every fault."""
    found = match_rules.faults(passes)
    if found:
        raise Invalid.of(*found)
    content = {"passes": [dict(entry) for entry in passes]}
    return versions.draft(runtime, session, MatchRuleset, content, actor=actor, logged=content)


def dry_run(session: Session, version: int, question: Question) -> DryRun:
    """Return how a month would be matched by `version` and is by the one in force.

    Only temporary tables are written. Raise NotFound for no version, Conflict for more items than a request can do.
    """
    tried, active = versions.get(session, MatchRuleset, version), versions.active(session, MatchRuleset)
    leg = reconciliation.leg_of(
        Reconciliation(period=question.period, leg=question.leg.value, source_id=question.source_id)
    )
    found = []
    for ruleset in (active, tried):
        with pairs_table(session):
            counts = leg.counts(session)
            if counts.ours + counts.theirs > DRY_RUN_ITEMS_MAX:
                message = f"a dry run takes up to {DRY_RUN_ITEMS_MAX} items: name a source, or a smaller month"
                raise Conflict(message, slug="too-many-items")
            engine.pair(session, leg, match_rules.rules(ruleset.passes))
            found.append((leg.counts(session).matched, engine.by_pass(session)))
    (matched_before, before), (matched_after, after) = found
    edges = [
        Edges(kind, state, before[state].get(kind, 0), after[state].get(kind, 0))
        for state in ("confirmed", "suggested")
        for kind in sorted(before[state].keys() | after[state].keys())
    ]
    return DryRun(version, active.version, counts.ours, counts.theirs, matched_before, matched_after, edges)
