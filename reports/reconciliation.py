"""Runs: asked for at a door, done by the stage in one transaction, keyed by a hash of what went in."""

from dataclasses import asdict
from datetime import date
from itertools import chain

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit, doorbell, versions
from core.actors import Actor
from core.audit import Act
from core.database import claim, lock
from core.errors import Conflict, Fault, Invalid
from core.fingerprints import fingerprint
from core.runtime import Runtime
from ledger import periods
from partners.models import Source
from reports import engine, keeping, match_findings, match_rules, repeating
from reports.match_models import MatchRuleset
from reports.matching import Leg, Limits
from reports.models import Discrepancy, Reconciliation
from reports.network_leg import NetworkLeg
from reports.passes import PAIRS, SUGGESTIONS, Digest, pairs_table
from reports.payout_leg import PayoutLeg
from reports.remittance_leg import RemittanceLeg

STAGE = "month-end"
# One lock for runs, imports and closes: a run sees whole files, a close sees whole runs.
LOCK = "reconciliation"
ERROR_LENGTH_MAX = 500
_LIMITS = Limits()


def ask(
    runtime: Runtime, session: Session, *, period: str, leg: Leg, source_id: str | None, actor: Actor
) -> Reconciliation:
    """Put a run in line for the stage; raise Invalid for a source that is none, Conflict for a closed month."""
    if leg is Leg.ADVERTISER:
        raise Invalid.of(Fault("leg", "takes network, remittance or payout: the stage two-tier compares lists"))
    if source_id is not None:
        if leg is not Leg.NETWORK:
            raise Invalid.of(Fault("source_id", "narrows the leg network alone"))
        if session.get(Source, source_id) is None:
            raise Invalid.of(Fault("source_id", "is no source of ours"))
    _refuse_closed(session, period)
    run = Reconciliation(
        id=runtime.new_id("rec"),
        period=period,
        leg=leg,
        source_id=source_id,
        state="waiting",
        counts={},
        started_by=actor.id,
        created_at=runtime.clock(),
    )
    session.add(run)
    audit.record(
        session,
        Act(actor, "asked", "reconciliation", run.id, runtime.clock(), after={"period": period, "leg": leg.value}),
    )
    doorbell.after_commit(session, STAGE)
    return run


def next_waiting(session: Session) -> str | None:
    """Return the id of the run that has waited longest."""
    return session.scalar(
        sa.select(Reconciliation.id).where(Reconciliation.state == "waiting").order_by(Reconciliation.id).limit(1)
    )


def run(runtime: Runtime, session: Session, run_id: str) -> None:
    """Do the waiting run: pairs, matches, settlements, discrepancies, counts and digest, all or nothing.

    A run that another worker has done meanwhile is left alone. The same inputs give the same digest, and leave every
    match and discrepancy as it was; where nothing changed since such a run, its result stands and nothing is compared.
    """
    lock(session, LOCK)
    waiting = sa.select(Reconciliation).where(Reconciliation.id == run_id, Reconciliation.state == "waiting")
    asked = session.scalar(claim(waiting))
    if asked is None:
        return
    _refuse_closed(session, asked.period)
    ruleset = versions.active(session, MatchRuleset)
    asked.ruleset_version = ruleset.version
    if asked.leg == Leg.REMITTANCE:
        _do_remittances(runtime, session, asked, ruleset)
    else:
        leg = leg_of(asked, limits=limits_of(runtime), today=runtime.clock().date())
        with pairs_table(session):
            if not isinstance(leg, NetworkLeg) or not repeating.repeat(session, asked, leg, ruleset):
                _do(runtime, session, asked, leg, ruleset)
    asked.state, asked.finished_at = "finished", runtime.clock()


def leg_of(asked: Reconciliation, *, limits: Limits = _LIMITS, today: date = date.min) -> NetworkLeg | PayoutLeg:
    """Return what `asked` compares, as of `today`."""
    if asked.leg == Leg.NETWORK:
        return NetworkLeg(asked.period, asked.source_id, limits=limits, today=today)
    return PayoutLeg(asked.period, limits=limits)


def _do(
    runtime: Runtime, session: Session, asked: Reconciliation, leg: NetworkLeg | PayoutLeg, ruleset: MatchRuleset
) -> None:
    engine.pair(session, leg, match_rules.rules(ruleset.passes))
    leg.keep(session, asked.id, runtime.clock())
    refused = leg.settle(runtime, session) if isinstance(leg, PayoutLeg) else 0
    found = chain(leg.found(session), match_findings.rests(session, leg.leg, leg.period, leg.source_id))
    by_class = keeping.keep_discrepancies(runtime, session, asked, in_scope(asked), found)
    counts = leg.counts(session)
    # The payments' inputs are known only now: their pairs say which statements are the month's.
    asked.input_sha256 = asked.input_sha256 or repeating.inputs(session, asked, leg, ruleset)
    asked.digest = f"sha256:{_result(session)}"
    keeping.FOUND.drop(session.connection())
    asked.counts = {
        "ours": counts.ours,
        "theirs": counts.theirs,
        "matched": counts.matched,
        "by_pass": engine.by_pass(session),
        "discrepancies": by_class,
    } | ({"not_settled": refused} if refused else {})


def _do_remittances(runtime: Runtime, session: Session, asked: Reconciliation, ruleset: MatchRuleset) -> None:
    leg = RemittanceLeg(runtime, asked.period)
    leg.pair(session)
    leg.keep(session, asked.id, runtime.clock())
    leg.settle(session)
    by_class = keeping.keep_discrepancies(runtime, session, asked, in_scope(asked), leg.found(session))
    result = Digest()
    leg.add_result(session, result)
    keeping.add_found(session, result)
    keeping.FOUND.drop(session.connection())
    asked.input_sha256 = repeating.inputs(session, asked, leg, ruleset)
    asked.digest = f"sha256:{result.hexadecimal()}"
    asked.counts = asdict(leg.counts(session)) | {"by_pass": leg.by_pass(session), "discrepancies": by_class}


def fail(runtime: Runtime, session: Session, run_id: str, reason: str) -> None:
    """Write down that the run cannot be done, so that it does not wait any more."""
    failed = session.get(Reconciliation, run_id, with_for_update=True, populate_existing=True)
    if failed is not None and failed.state == "waiting":
        failed.state, failed.error, failed.finished_at = "failed", reason[:ERROR_LENGTH_MAX], runtime.clock()


def limits_of(runtime: Runtime) -> Limits:
    """Return up to where this installation's settings call a difference one of rounding, a fee, or not yet stale."""
    return Limits(runtime.rounding_minor, runtime.fee_parts, runtime.stale_pending.days)


def in_scope(asked: Reconciliation) -> sa.ColumnElement[bool]:
    """Return the condition for discrepancies that `asked` looks after: of its month, leg and source."""
    scope = sa.and_(Discrepancy.period == asked.period, Discrepancy.leg == asked.leg)
    return sa.and_(scope, Discrepancy.source_id == asked.source_id) if asked.source_id else scope


def _refuse_closed(session: Session, period: str) -> None:
    if periods.is_closed(session, period):
        message = f"{period} is closed: what was reconciled then stays as it was"
        raise Conflict(message, slug="period-closed")


def _result(session: Session) -> str:
    digest = Digest()
    columns = ("our_id", "their_id", "matched_by", "ours_minor", "theirs_minor", "is_whole", "score")
    for edges in (PAIRS, SUGGESTIONS):
        found = sa.select(*(edges.c[name] for name in columns)).where(edges.c.matched_by.is_not(None))
        digest.add(edges.name, [(fingerprint(session, found),)])
    keeping.add_found(session, digest)
    return digest.hexadecimal()
