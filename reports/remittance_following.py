"""What follows an act on remittances: the books say at once what the matches say, and the months are compared anew."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import among
from core.runtime import Runtime
from ledger import periods
from reports import reconciliation, remittance_entries
from reports.matching import Leg
from reports.models import BankLine, Reconciliation
from reports.remittance_models import Remittance


def follow(runtime: Runtime, session: Session, *, our_ids: Collection[str], their_ids: Collection[str]) -> None:
    """Post or take back what the act on these items means, and put their months in line for the stage month-end.

    A run of this leg looks at everything that is open, so the discrepancies follow with it. Closed months stay as they
    are, and a month that was never reconciled is told of by its first run.
    """
    remittance_entries.bring_in_line(runtime, session)
    owed_for = set(session.scalars(sa.select(Remittance.period).where(among(session, Remittance.id, our_ids))))
    booked = session.scalars(sa.select(BankLine.booked_on).where(among(session, BankLine.id, their_ids)))
    months = owed_for | {periods.period_of(day) for day in booked}
    runs = sa.select(Reconciliation.period, Reconciliation.state).where(
        Reconciliation.leg == Leg.REMITTANCE, Reconciliation.period.in_(months)
    )
    states = {(row.period, row.state) for row in session.execute(runs.distinct())}
    for month in sorted(months):
        is_known, is_waiting = (month, "finished") in states, (month, "waiting") in states
        if is_known and not is_waiting and not periods.is_closed(session, month):
            reconciliation.ask(
                runtime, session, period=month, leg=Leg.REMITTANCE, source_id=None, actor=remittance_entries.ACTOR
            )
