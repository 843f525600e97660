"""What follows an act: the discrepancies about its items are what a run would find, in the same commit.

An item that is matched wholly is not missing any more; what a match leaves of an item is told of; what a group's
amounts lack is told of at the edge where it stands. A later run finds the same.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import Conflict
from core.runtime import Runtime
from ledger import periods
from reports import keeping, match_findings, matching, remittance_following
from reports.match_findings import Scene
from reports.matching import DiscrepancyClass, DiscrepancyState, Found, Known, Leg
from reports.models import Discrepancy, Reconciliation

# By what classes are about, as reports.matching.DiscrepancyClass calls them. Lonely ones are about one item that has no
# partner: they may name another that has its id, and that is not its partner.
_LONELY_OURS = {"missing_at_network", "duplicate_at_us"}
_LONELY_LINE = {
    "missing_at_us", "duplicate_at_network", "late", "unmatched_debit", "unmatched_credit", "ambiguous",
}  # fmt: skip
_LONELY = _LONELY_OURS | _LONELY_LINE
_OF_AMOUNTS = {"amount_mismatch", "rounding", "fee_or_fx"}


@dataclass(frozen=True)
class _Kept:
    """A discrepancy as it stands, and whom it is about."""

    known: Known
    klass: str
    source_id: str | None
    our_id: str | None
    line_id: str | None


def run_of(session: Session, leg: Leg, period: str, source_id: str | None = None) -> Reconciliation | None:
    """Return the last finished run of the month that looked at the source; None when it was never reconciled."""
    is_done = (Reconciliation.leg == leg, Reconciliation.period == period, Reconciliation.state == "finished")
    looked_at = sa.or_(Reconciliation.source_id.is_(None), Reconciliation.source_id == source_id)
    return session.scalar(
        sa.select(Reconciliation).where(*is_done, looked_at).order_by(Reconciliation.id.desc()).limit(1)
    )


def needed_run(session: Session, leg: Leg, months: Sequence[str], source_id: str | None) -> Reconciliation:
    """Return the run that a match stands in: of the first of the months that was reconciled, else raise Conflict."""
    found = next((run for run in (run_of(session, leg, month, source_id) for month in months) if run), None)
    if found is None:
        named = " and ".join(dict.fromkeys(months))
        message = f"{named}: not reconciled yet, and the first run finds what needs nobody's hand"
        raise Conflict(message, slug="not-reconciled")
    return found


def follow(
    runtime: Runtime, session: Session, leg: Leg, *, our_ids: Collection[str], their_ids: Collection[str]
) -> None:
    """Bring the discrepancies about these items in line with the matches there are now.

    Months that are closed stay as they are, and so do differences of classes that only a run can find. A month that
    was never reconciled is told of by its first run.
    """
    session.flush()
    if leg is Leg.REMITTANCE:
        remittance_following.follow(runtime, session, our_ids=our_ids, their_ids=their_ids)
        return
    about = _about(session, leg, our_ids, their_ids)
    scene = match_findings.scene(session, leg, our_ids, their_ids)
    # Of two with one id and two currencies one may have a partner now: then the other is alone.
    left = [each for each in about if each.klass == DiscrepancyClass.CURRENCY_MISMATCH and _is_parted(scene, each)]
    if any(each.known.state is not DiscrepancyState.GONE for each in left):
        our_ids = {*our_ids, *(each.our_id for each in left if each.our_id)}
        their_ids = {*their_ids, *(each.line_id for each in left if each.line_id)}
        about = _about(session, leg, our_ids, their_ids)
        scene = match_findings.scene(session, leg, our_ids, their_ids)
    found = list(match_findings.of_scene(session, scene))
    keys = {each.subject_key for _, each in found}
    _write(
        runtime, session, leg, found,
        [each for each in about if each.known.subject_key in keys or _is_judged(scene, each)],
    )  # fmt: skip


def _write(
    runtime: Runtime, session: Session, leg: Leg, found: Iterable[tuple[str, Found]], about: Sequence[_Kept]
) -> None:
    known = {each.known.subject_key: each.known for each in about}
    scopes: dict[tuple[str, str | None], list[Found]] = {(each.known.period, each.source_id): [] for each in about}
    for month, each in found:
        before = known.get(each.subject_key)
        # What another month shows already stays that month's business.
        is_shown = before is not None and before.state is not DiscrepancyState.GONE
        scopes.setdefault((before.period if before and is_shown else month, each.source_id), []).append(each)
    closed = {month for month, _ in scopes if periods.is_closed(session, month)}
    sources = {each.known.subject_key: each.source_id for each in about}
    for (month, source_id), items in sorted(scopes.items(), key=lambda scope: (scope[0][0], scope[0][1] or "")):
        run = run_of(session, leg, month, source_id)
        if month not in closed and run is not None:
            items.sort(key=lambda each: each.subject_key)
            here = {key: each for key, each in known.items() if sources[key] == source_id and each.period not in closed}
            keeping.write_changes(runtime, session, run, matching.changes(month, items, here), here)


def _is_of_two(each: _Kept) -> bool:
    return each.klass not in _LONELY and each.our_id is not None and each.line_id is not None


def _is_parted(scene: Scene, each: _Kept) -> bool:
    """Say whether a discrepancy speaks of a pair that is no match, while one of the two has a partner."""
    is_match = (each.our_id, each.line_id) in scene.edges
    return _is_of_two(each) and not is_match and bool({each.our_id, each.line_id} & scene.matched)


def _is_judged(scene: Scene, each: _Kept) -> bool:
    """Say whether a discrepancy that was not found again is to be let go."""
    if each.klass in _LONELY:
        return each.line_id in scene.theirs if each.klass in _LONELY_LINE else each.our_id in scene.ours
    if each.klass == DiscrepancyClass.CURRENCY_MISMATCH:
        return _is_parted(scene, each)
    is_here = each.our_id in scene.ours and (each.line_id is None or each.line_id in scene.theirs)
    if each.klass in _OF_AMOUNTS:
        return is_here
    # Whatever else was wrong with a pair goes when the pair does; whether it still is, a run finds.
    is_match = (each.our_id, each.line_id) in scene.edges
    return _is_parted(scene, each) or (_is_of_two(each) and is_here and not is_match)


def _about(session: Session, leg: Leg, our_ids: Collection[str], their_ids: Collection[str]) -> list[_Kept]:
    ours = Discrepancy.payout_id if leg is Leg.PAYOUT else Discrepancy.conversion_id
    statement = sa.select(
        Discrepancy.id, Discrepancy.subject_key, Discrepancy.period, Discrepancy.state, Discrepancy.version,
        Discrepancy.klass, Discrepancy.source_id, ours.label("our_id"), Discrepancy.line_id,
        Discrepancy.ours_minor, Discrepancy.ours_currency, Discrepancy.theirs_minor, Discrepancy.theirs_currency,
    ).where(
        Discrepancy.leg == leg,
        sa.or_(ours.in_(list(our_ids)), Discrepancy.line_id.in_(list(their_ids))),
    )  # fmt: skip
    return [
        _Kept(
            Known(row.id, row.subject_key, row.period, DiscrepancyState(row.state), row.version, tuple(row[9:])),
            row.klass,
            row.source_id,
            row.our_id,
            row.line_id,
        )
        for row in session.execute(statement.order_by(Discrepancy.id))
    ]
