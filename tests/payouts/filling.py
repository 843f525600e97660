"""Many accruals at once, as the rooms before would have left them, without the time those take."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import sqlalchemy as sa

from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from partners.models import Affiliate
from payouts.models import Accrual
from postback.models import Conversion
from tests.payouts.books import IBANS, LONG_AGO, OCTOBER

_ROWS_A_STATEMENT = 1000
DAY = date(2026, 10, 5)


def affiliates(runtime: Runtime, names: Sequence[str]) -> None:
    """Add affiliates that are paid in euro."""
    rows = [
        {
            "id": name,
            "name": f"Name of {name}",
            "status": "new",
            "currency": "EUR",
            "payee_name": f"Payee of {name}",
            "payee_iban": IBANS[number % len(IBANS)],
            "hold_days": 0,
            "minimum_payout_minor": 0,
            "created_at": LONG_AGO,
        }
        for number, name in enumerate(names)
    ]
    with runtime.transaction() as session:
        session.execute(sa.insert(Affiliate), rows)


def accruals(runtime: Runtime, owed: Sequence[tuple[str, int]], *, first: int = 0, is_posted: bool = True) -> None:
    """Add a conversion and its accrual, with its entry in the journal, for each affiliate and amount in cents."""
    for start in range(0, len(owed), _ROWS_A_STATEMENT):
        chunk = [
            (f"b{first + start + number:07}", *each)
            for number, each in enumerate(owed[start : start + _ROWS_A_STATEMENT])
        ]
        with runtime.transaction() as session:
            session.execute(sa.insert(Conversion), [_conversion(*each) for each in chunk])
            session.execute(sa.insert(Accrual), [_accrual(*each) for each in chunk])
            entries = [
                posting.accrual(
                    accrual_id=f"acr_{key}", conversion_id=f"cnv_{key}", affiliate_id=affiliate_id,
                    account="expense:filled", money=Money(minor, "EUR"), occurred_on=DAY,
                )
                for key, affiliate_id, minor in chunk
            ]  # fmt: skip
            if is_posted:
                journal.post(runtime, session, entries, today=runtime.clock().date())


def _conversion(key: str, affiliate_id: str, minor: int) -> dict[str, object]:
    return {
        "id": f"cnv_{key}", "affiliate_id": affiliate_id, "source_id": "src_1", "campaign_id": "cmp_1",
        "dedupe_key": key, "content_sha256": "0" * 64, "receipt_id": f"rcp_{key}", "transaction_id": key,
        "claimed_click_id": key, "event": "sale", "payout_minor": minor, "amount_minor": minor, "currency": "EUR",
        "occurred_at": OCTOBER, "recorded_at": OCTOBER, "subs": {}, "assurance": "A", "state": "accrued",
    }  # fmt: skip


def _accrual(key: str, affiliate_id: str, minor: int) -> dict[str, object]:
    return {
        "id": f"acr_{key}", "conversion_id": f"cnv_{key}", "kind": "accrue", "seq": 1, "affiliate_id": affiliate_id,
        "source_id": "src_1", "campaign_id": "cmp_1", "terms": {"kind": "told", "version": 1}, "ruleset_version": 0,
        "category_code": "6210", "category_name": "Filled", "category_account": "expense:filled",
        "amount_minor": minor, "currency": "EUR", "unrounded": Decimal(minor) / 100, "assurance": "A",
        "occurred_on": DAY, "payable_on": DAY, "period": "2026-10", "created_at": OCTOBER,
    }  # fmt: skip
