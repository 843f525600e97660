"""Which remittance a conversion's money came with, and the bank's credits that paid it, as steps of its custody."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.http.wire import money_dict
from core.money import Money
from postback.models import Conversion
from reports.custody_step import Step
from reports.match_models import Match
from reports.matching import Leg
from reports.models import BankLine, NetworkLine, Statement
from reports.remittance_models import Remittance


def of(session: Session, conversion: Conversion) -> Iterator[Step]:
    """Yield the remittance and its credits, where they follow from the conversion's line in the network's report.

    A network that sends several remittances for one month and currency does not say which holds which conversion: then
    none is named.
    """
    month = (
        sa.select(NetworkLine.source_id, NetworkLine.period, NetworkLine.currency)
        .join(Match, Match.their_id == NetworkLine.id)
        .where(Match.leg == Leg.NETWORK, Match.state == "confirmed", Match.our_id == conversion.id)
        .distinct()
        .subquery()
    )
    same = sa.and_(
        Remittance.source_id == month.c.source_id,
        Remittance.period == month.c.period,
        Remittance.currency == month.c.currency,
    )
    found = session.scalars(sa.select(Remittance).join(month, same).order_by(Remittance.id).limit(2)).all()
    if len(found) != 1:
        return
    [remittance] = found
    owed = Money(remittance.amount_minor, remittance.currency)
    facts = {
        "money": money_dict(owed),
        "period": remittance.period,
        "reference": remittance.reference,
        "state": remittance.state,
        "origin": remittance.origin,
    }
    sentence = f"the network's {owed} for {remittance.period} hold it: {remittance.origin}"
    yield Step(remittance.created_at, "remittance", remittance.id, sentence, facts)
    paid = (
        sa.select(Match, BankLine, Statement)
        .join(BankLine, BankLine.id == Match.their_id)
        .join(Statement, Statement.id == BankLine.statement_id)
        .where(Match.leg == Leg.REMITTANCE, Match.state == "confirmed", Match.our_id == remittance.id)
        .order_by(BankLine.booked_on, BankLine.id)
    )
    for match, line, file in session.execute(paid):
        money = Money(line.amount_minor, line.currency)
        booked = {
            "statement_id": file.id,
            "line": line.line_number,
            "booked_on": line.booked_on.isoformat(),
            "money": money_dict(money),
            "account": line.account,
        }
        yield Step(file.imported_at, "bank_credit", line.id, f"the bank booked {money} on {line.booked_on}", booked)
        part = Money(match.allocated_minor, match.currency)
        facts = {
            "matched_by": match.matched_by,
            "reconciliation_id": match.reconciliation_id,
            "money": money_dict(part),
            "remittance_id": remittance.id,
        }
        sentence = f"{part} of it are the network's remittance, by {match.matched_by}"
        yield Step(match.created_at, "remittance_match", match.id, sentence, facts)
