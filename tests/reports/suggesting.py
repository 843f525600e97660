"""Suggestions as runs leave them, for tests of what people say about them."""

import sqlalchemy as sa

from core.runtime import Runtime
from reports.match_models import Match
from reports.models import Reconciliation


def forget(runtime: Runtime) -> None:
    """Drop what runs have suggested by themselves, so that a test's own suggestions are all there are."""
    with runtime.transaction() as session:
        session.execute(sa.delete(Match).where(Match.state == "suggested"))


def suggest(runtime: Runtime, run: Reconciliation, *edges: tuple[str, str, int, int]) -> str:
    """Add a suggested group of edges (ours, theirs, allocated, difference) and return its id; one edge takes all."""
    ids = [runtime.new_id("mat") for _ in edges]
    group_id = ids[0] if len(ids) == 1 else runtime.new_id("mgr")
    with runtime.transaction() as session:
        for id_, (our_id, their_id, allocated_minor, difference_minor) in zip(ids, edges, strict=True):
            edge = Match(
                id=id_, group_id=group_id, reconciliation_id=run.id, leg=run.leg, matched_by="amount_date",
                our_id=our_id, their_id=their_id, allocated_minor=allocated_minor, difference_minor=difference_minor,
                currency="EUR", state="suggested", is_whole=len(edges) == 1, score=80, created_at=runtime.clock(),
            )  # fmt: skip
            session.add(edge)
    return group_id
