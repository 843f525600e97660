"""What payout tests begin with: a source, a campaign, affiliates with accounts, and recorded conversions."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from core.runtime import Runtime
from ledger.models import JournalLine
from partners.models import Affiliate, Campaign, CampaignTerms, Source
from payouts import jobs
from payouts.models import Payout
from postback.models import Conversion, ConversionEvent
from tests.conftest import Answer, Caller

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


@dataclass
class Payers:
    """Two people of finance who pay: one gathers and uploads, the other lets go."""

    books: Books
    gatherer: Caller
    releaser: Caller

    def approved(self, *payouts_minor: int, **affiliate: Any) -> list[str]:
        """Make an approved payout for each amount, each of an affiliate of its own; return their ids in that order."""
        for payout_minor in payouts_minor:
            self.books.count += 1
            name = f"aff_p{self.books.count}"
            self.books.affiliate(name, **affiliate)
            currency = affiliate.get("currency", "EUR")
            self.books.conversion(
                f"cnv_p{self.books.count}", affiliate_id=name, payout_minor=payout_minor, currency=currency
            )
        jobs.accrue()
        jobs.bundle("2026-10")
        pending = [payout for payout in self.books.payouts() if payout.state == "pending"]
        for payout in pending:
            self.books.change(Payout, payout.id, state="approved")
        return [payout.id for payout in sorted(pending, key=lambda payout: payout.affiliate_id)]

    def sent(self, method: str, currency: str = "EUR", **body: Any) -> dict[str, Any]:
        """Gather and release whatever the method can pay; return the released batch."""
        created = self.gatherer.post("/api/v1/batches", {"method": method, "currency": currency, **body})
        assert created.status_code == 201, created.text
        path = f"/api/v1/batches/{created.json['id']}"
        released = self.releaser.post(f"{path}/release", {"version": created.json["version"]})
        assert released.status_code == 200, released.text
        batch: dict[str, Any] = released.json
        return batch

    def file(self, batch: dict[str, Any]) -> bytes:
        """Download the payment file of a batch."""
        return self.releaser.get(f"/api/v1/batches/{batch['id']}/file").data

    def answer(self, batch: dict[str, Any], content: bytes | str, format_name: str | None = "csv") -> Answer:
        """Upload a result file of a batch."""
        body = content.encode() if isinstance(content, str) else content
        fields: dict[str, Any] = {"file": (io.BytesIO(body), "results.csv")}
        if format_name is not None:
            fields["format"] = format_name
        return self.gatherer.post(f"/api/v1/batches/{batch['id']}/results", data=fields)

    def said(self, batch: dict[str, Any], outcomes: str | dict[str, str]) -> Answer:
        """Upload our own CSV with one outcome for every payment of the batch, or each by the id of its payout."""
        lines = ["end_to_end_id,status,reason"]
        for item in batch["items"]:
            outcome = outcomes if isinstance(outcomes, str) else outcomes.get(item["payout_id"])
            lines += [f"{item['end_to_end_id']},{outcome},AC04"] if outcome else []
        return self.answer(batch, "\n".join(lines))

    def state_of(self, payout_id: str) -> str:
        """Return the state of one payout."""
        return next(payout.state for payout in self.books.payouts() if payout.id == payout_id)

    def act(self, payout_id: str, act: str) -> Answer:
        """Retry or cancel a payout at its present version."""
        version = self.gatherer.get(f"/api/v1/payouts/{payout_id}").json["version"]
        return self.gatherer.post(f"/api/v1/payouts/{payout_id}/{act}", {"version": version, "reason": "seen"})
