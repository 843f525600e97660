"""What payout tests begin with: a source, a campaign, affiliates with accounts, and recorded conversions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from core.runtime import Runtime
from ledger.models import JournalLine
from partners.models import Affiliate, Campaign, CampaignTerms, Source
from payouts.models import Payout
from postback.models import Conversion, ConversionEvent

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 5, 12, 0, tzinfo=UTC)
IBANS = ("DE89370400440532013000", "FR1420041010050500013M02606", "NL91ABNA0417164300")


@dataclass
class Books:
    """Writes rows as the rooms below leave them; ids are short so that a test can read them."""

    runtime: Runtime
    count: int = 0

    def source(self, source_id: str = "src_1", *, payout_means: str = "owed_to_affiliate") -> None:
        """Add a source."""
        self._add(
            Source(
                id=source_id,
                name=source_id,
                scheme="pb1",
                allowlist=[],
                stale="hold",
                default_currency="EUR",
                payout_means=payout_means,
                dedupe_by="transaction_id",
                parameters={},
                rate_per_second=200,
                rate_burst=1000,
                state="active",
                created_at=LONG_AGO,
            )
        )

    def campaign(self, campaign_id: str = "cmp_1", *, kind: str = "told", **terms: Any) -> None:
        """Add a campaign with one version of terms."""
        percent = Decimal(terms.pop("percent")) if "percent" in terms else None
        self._add(
            Campaign(
                id=campaign_id,
                name=campaign_id,
                destination_url="https://shop.example/",
                attribution_window_days=30,
                state="active",
                created_at=LONG_AGO,
                terms=[
                    CampaignTerms(
                        version=1, kind=kind, percent=percent, starts_at=LONG_AGO, created_at=LONG_AGO, **terms
                    )
                ],
            )
        )

    def affiliate(self, affiliate_id: str = "aff_1", **values: Any) -> None:
        """Add an affiliate that is paid in EUR."""
        defaults: dict[str, Any] = {
            "name": f"Name of {affiliate_id}",
            "status": "new",
            "currency": "EUR",
            "payee_name": f"Payee of {affiliate_id} & Söhne",
            "payee_iban": IBANS[self.count % len(IBANS)],
            "hold_days": 0,
            "minimum_payout_minor": 0,
            "created_at": LONG_AGO,
        }
        self.count += 1
        self._add(Affiliate(id=affiliate_id, **{**defaults, **values}))

    def conversion(self, conversion_id: str, *, affiliate_id: str | None = "aff_1", **values: Any) -> None:
        """Add a recorded conversion with its first event."""
        defaults: dict[str, Any] = {
            "source_id": "src_1",
            "campaign_id": "cmp_1",
            "dedupe_key": conversion_id,
            "content_sha256": "0" * 64,
            "receipt_id": f"rcp_{conversion_id}",
            "transaction_id": conversion_id,
            "claimed_click_id": conversion_id,
            "event": "sale",
            "payout_minor": 1250,
            "amount_minor": 10_000,
            "currency": "EUR",
            "occurred_at": OCTOBER,
            "recorded_at": OCTOBER,
            "subs": {},
            "assurance": "A",
            "covered_fields": "*",
            "state": "recorded",
        }
        row = Conversion(id=conversion_id, affiliate_id=affiliate_id, **{**defaults, **values})
        first = ConversionEvent(
            conversion_id=conversion_id,
            seq=1,
            kind="recorded",
            at=OCTOBER,
            actor_kind="system",
            actor_id="postback",
            details={},
        )
        self._add(row, first)

    def balances(self) -> dict[str, int]:
        """Return what every account of the journal comes to, in minor units, accounts at zero left out."""
        with self.runtime.reading() as session:
            total = sa.func.sum(JournalLine.amount_minor)
            rows = session.execute(sa.select(JournalLine.account, total).group_by(JournalLine.account))
            return {account: int(amount) for account, amount in rows if amount}

    def payouts(self) -> list[Payout]:
        """Return every payout, the newest last."""
        with self.runtime.reading() as session:
            return list(session.scalars(sa.select(Payout).order_by(Payout.created_at, Payout.id)))

    def change(self, table: type[Any], row_id: str, **values: Any) -> None:
        """Change one row behind the rooms' backs."""
        with self.runtime.transaction() as session:
            session.execute(sa.update(table).where(table.id == row_id).values(**values))

    def _add(self, *rows: Any) -> None:
        with self.runtime.transaction() as session:
            for row in rows:
                session.add(row)
                session.flush()
