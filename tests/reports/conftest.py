"""What the tests of month end share."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.actors import system
from core.runtime import Runtime
from reports import jobs, reconciliation
from reports.matching import DiscrepancyState, Leg
from reports.models import Discrepancy, Reconciliation
from tests.builders import Builder

Reconcile = Callable[..., Reconciliation]
Build = Callable[[Callable[[Builder], None]], None]


@pytest.fixture
def reconcile(runtime: Runtime) -> Reconcile:
    """Ask for a run, let the stage do it, return it: `reconcile("network", source_id)`."""

    def reconciled(leg: str, source_id: str | None = None, period: str = "2026-10") -> Reconciliation:
        with runtime.transaction() as session:
            asked = reconciliation.ask(
                runtime, session, period=period, leg=Leg(leg), source_id=source_id, actor=system("tests")
            )
        jobs.month_end()
        with runtime.reading() as session:
            return session.get_one(Reconciliation, asked.id)

    return reconciled


def classes(session: Session) -> list[str]:
    """Return the classes of all discrepancies that are not gone, sorted."""
    return sorted(session.scalars(sa.select(Discrepancy.klass).where(Discrepancy.state != DiscrepancyState.GONE)))
