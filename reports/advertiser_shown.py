"""Lines of advertisers' lists as they travel with the discrepancies about them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.http.wire import money_dict
from core.money import Money
from reports.advertiser_models import AdvertiserLine


def lines(session: Session, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return those of `ids` that are lines of advertisers' lists, by id."""
    return {
        line.id: {
            "id": line.id,
            "list_id": line.list_id,
            "line": line.line_number,
            "transaction_id": line.transaction_id,
            "money": money_dict(Money(line.amount_minor, line.currency)),
            "status": line.status_word,
            "occurred_on": line.occurred_on.isoformat(),
        }
        for line in session.scalars(sa.select(AdvertiserLine).where(AdvertiserLine.id.in_(ids)))
    }
