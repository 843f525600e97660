"""When a run need not be done: nothing that it depends on has changed since one was, and nothing touched its result."""

import json
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.fingerprints import fingerprint
from reports import matching
from reports.match_models import Match, MatchAlias, MatchRejection, MatchRuleset
from reports.models import Reconciliation
from reports.passes import Digest


class Dependent(Protocol):
    """What is compared, as far as its inputs go."""

    def inputs(self, session: Session) -> dict[str, str]:
        """Return fingerprints of the items that are compared, by name."""


def repeat(session: Session, asked: Reconciliation, leg: Dependent, ruleset: MatchRuleset) -> bool:
    """Give `asked` the result of the last run over the same inputs; say whether it still stands."""
    asked.input_sha256 = inputs(session, asked, leg, ruleset)
    run = Reconciliation
    done = sa.and_(run.leg == asked.leg, run.state == "finished", run.repeats_id.is_(None))
    same = sa.and_(run.period == asked.period, run.source_id.is_not_distinct_from(asked.source_id))
    newest = sa.select(run).where(done, same).order_by(run.finished_at.desc(), run.id.desc())
    before = session.scalar(newest.limit(1))
    if before is None or before.input_sha256 != asked.input_sha256:
        return False
    # Of two sources in one month, neither run touches what the other looks after. Any other run may have.
    is_apart: sa.ColumnElement[bool] = sa.false()
    if asked.source_id is not None:
        is_apart = sa.and_(run.period == asked.period, run.source_id != asked.source_id)
    since = sa.select(run.id).where(
        done, run.id != before.id, run.finished_at >= before.finished_at, ~sa.func.coalesce(is_apart, sa.false())
    )
    if session.scalar(since.limit(1)) is not None:
        return False
    asked.repeats_id, asked.counts, asked.digest = before.id, before.counts, before.digest
    return True


def inputs(session: Session, asked: Reconciliation, leg: Dependent, ruleset: MatchRuleset) -> str:
    """Return the SHA-256 of all that the run's result depends on."""
    digest = Digest()
    passes = json.dumps(ruleset.passes, sort_keys=True)
    digest.add("asked", [(matching.RULES_VERSION, ruleset.version, passes, asked.period, asked.leg, asked.source_id)])
    edges = sa.select(
        Match.our_id, Match.their_id, Match.matched_by, Match.state, Match.is_whole, Match.group_id,
        Match.allocated_minor, Match.difference_minor, Match.currency,
    ).where(Match.leg == asked.leg, Match.made_by.is_not(None))  # fmt: skip
    rejections = sa.select(MatchRejection.our_id, MatchRejection.their_id).where(MatchRejection.leg == asked.leg)
    known = sa.select(MatchAlias.scope, MatchAlias.alias, MatchAlias.meaning_kind, MatchAlias.meaning).where(
        MatchAlias.leg == asked.leg, MatchAlias.state == "active"
    )
    said = {"edges": edges, "rejections": rejections, "aliases": known}
    found = leg.inputs(session) | {name: fingerprint(session, statement) for name, statement in said.items()}
    digest.add("inputs", sorted(found.items()))
    return digest.hexadecimal()
