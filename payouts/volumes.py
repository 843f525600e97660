"""Volumes: what each affiliate has brought a campaign in a month, read behind a lock and counted on within a batch."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import lock
from ledger import periods
from payouts.models import Accrual
from payouts.tiers import Volume
from postback.models import Conversion

_Key = tuple[str, str, str]  # campaign, affiliate, month
_NOTHING = Volume(0, {})


class Volumes:
    """Month-to-date volumes of accrued conversions, each read when it is first asked for.

    `campaign_ids` are those with tiers, held until the transaction ends: of two workers the second counts what the
    first one accrued. What is taken back later stays counted, as the terms of what came after it are frozen.
    """

    def __init__(self, session: Session, campaign_ids: Collection[str]) -> None:
        self._session = session
        self._found: dict[_Key, Volume] = {}
        # Sorted: two batches wait for one another in the same order.
        for campaign_id in sorted(campaign_ids):
            lock(session, f"tiers:{campaign_id}")

    def before(self, campaign_id: str, affiliate_id: str, on: date) -> Volume:
        """Return what came before in the month of `on`."""
        key = (campaign_id, affiliate_id, periods.period_of(on))
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._read(*key)
        return found

    def count(self, conversion: sa.Row[Any]) -> None:
        """Count one more conversion that is accrued."""
        on = conversion.occurred_at.date()
        key = (conversion.campaign_id, conversion.affiliate_id, periods.period_of(on))
        before = self.before(conversion.campaign_id, conversion.affiliate_id, on)
        self._found[key] = before.with_sale(conversion.amount_minor, conversion.currency)

    def _read(self, campaign_id: str, affiliate_id: str, month: str) -> Volume:
        first, last = periods.bounds(month)
        statement = (
            sa.select(Conversion.currency, sa.func.count(), sa.func.sum(Conversion.amount_minor))
            .join(Accrual, Accrual.conversion_id == Conversion.id)
            .where(
                Accrual.kind == "accrue",
                Accrual.campaign_id == campaign_id,
                Accrual.affiliate_id == affiliate_id,
                Accrual.occurred_on.between(first, last),
            )
            .group_by(Conversion.currency)
        )
        count, sums = 0, defaultdict[str, int](int)
        for currency, number, total in self._session.execute(statement):
            count += number
            sums[currency] += int(total or 0)
        return Volume(count, dict(sums)) if count else _NOTHING
