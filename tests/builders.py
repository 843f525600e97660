"""Rows of every room, straight into the database: for tests that begin where another room has ended."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from approvals.models import ApprovalDecision, ApprovalRequest
from core.database import Base
from core.money import Money
from core.runtime import Runtime
from ledger import journal, posting
from ledger.posting import Posting
from partners.models import Affiliate, Campaign, Source
from payouts.models import Accrual, Batch, BatchItem, Payout
from postback.models import Conversion, ConversionEvent, Receipt
from reports.models import BankLine, NetworkLine, Statement
from tracking.models import Click

OCTOBER = datetime(2026, 10, 15, 12, 0, tzinfo=UTC)
IBAN = "DE89370400440532013000"
OUR_IBAN = "DE02120300000000202051"

RowT = TypeVar("RowT", bound=Base)


@dataclass
class Builder:
    """Adds rows with sensible values; what a test is about it says itself. Nothing is committed here."""

    runtime: Runtime
    session: Session
    _line_numbers: int = field(default=1)

    def source(self, name: str = "Everflow", **columns: Any) -> Source:
        """Add a network."""
        return self._add(
            Source,
            "src",
            name=name,
            scheme="pb1",
            allowlist=[],
            stale="hold",
            payout_means="owed_to_affiliate",
            dedupe_by="transaction_id",
            parameters={},
            rate_per_second=200,
            rate_burst=1000,
            state="active",
            created_at=OCTOBER,
            **columns,
        )

    def affiliate(self, **columns: Any) -> Affiliate:
        """Add an affiliate paid in EUR."""
        values = {
            "name": "Blog One", "status": "trusted", "currency": "EUR", "payee_name": "Blog One GmbH",
            "payee_iban": IBAN, "hold_days": 0, "minimum_payout_minor": 0, "created_at": OCTOBER,
        } | columns  # fmt: skip
        return self._add(Affiliate, "aff", **values)

    def click(self, affiliate: Affiliate) -> Click:
        """Add a campaign and a click on it."""
        campaign = self._add(
            Campaign,
            "cmp",
            name="Spring",
            destination_url="https://shop.example/",
            attribution_window_days=30,
            state="active",
            created_at=OCTOBER,
        )
        id_ = self.runtime.new_id("clk")
        click = Click(
            id=id_,
            click_id=id_.removeprefix("clk_"),
            campaign_id=campaign.id,
            affiliate_id=affiliate.id,
            via="redirect",
            clicked_at=datetime(2026, 10, 14, 8, 0, tzinfo=UTC),
            recorded_at=datetime(2026, 10, 14, 8, 0, tzinfo=UTC),
        )
        self.session.add(click)
        self.session.flush()
        return click

    def conversion(self, source: Source, transaction_id: str, payout_minor: int | None, **columns: Any) -> Conversion:
        """Add a conversion of October in EUR; of one transaction id several have several events."""
        id_ = self.runtime.new_id("cnv")
        values: dict[str, Any] = {
            "currency": "EUR",
            "occurred_at": OCTOBER,
            "recorded_at": OCTOBER,
            "state": "accrued",
            "event": "sale",
        } | columns
        conversion = Conversion(
            id=id_,
            source_id=source.id,
            dedupe_key=id_,
            content_sha256="0" * 64,
            receipt_id=self.runtime.new_id("rcp"),
            transaction_id=transaction_id,
            claimed_click_id="click",
            payout_minor=payout_minor,
            subs={},
            assurance="A",
            **values,
        )
        self.session.add(conversion)
        self.session.flush()
        return conversion

    def receipt(self, conversion: Conversion) -> Receipt:
        """Add the receipt that recorded the conversion, and the event of it."""
        receipt = Receipt(
            id=conversion.receipt_id,
            received_at=conversion.recorded_at,
            source_id=conversion.source_id,
            peer="127.0.0.1",
            method="GET",
            raw_query=b"secret",
            raw_body=b"",
            signature_headers={},
            verdict="believed",
            faults=[],
            assurance="A",
            covered_fields=[],
            outcome="accepted",
            conversion_id=conversion.id,
            latency_us=900,
        )
        event = ConversionEvent(
            conversion_id=conversion.id,
            seq=1,
            kind="recorded",
            at=conversion.recorded_at,
            actor_kind="system",
            actor_id="intake",
            receipt_id=receipt.id,
            details={},
        )
        self.session.add_all([receipt, event])
        self.session.flush()
        return receipt

    def report(self, source: Source, period: str = "2026-10") -> Statement:
        """Add an imported report without lines."""
        return self._statement(kind="network", source_id=source.id, period=period, format="csv")

    def network_line(
        self, report: Statement, transaction_id: str | None, amount_minor: int, currency: str = "EUR"
    ) -> NetworkLine:
        """Add a line of a report."""
        self._line_numbers += 1
        return self._add(
            NetworkLine,
            "nln",
            statement_id=report.id,
            source_id=report.source_id,
            period=report.period,
            line_key=f"{self._line_numbers:064}",
            line_number=self._line_numbers,
            transaction_id=transaction_id,
            amount_minor=amount_minor,
            currency=currency,
            occurred_on=date(2026, 10, 15),
        )

    def bank_statement(self, **columns: Any) -> Statement:
        """Add an imported bank statement without lines."""
        values: dict[str, Any] = {
            "reference": "2026-10",
            "opened_on": date(2026, 10, 1),
            "closed_on": date(2026, 10, 31),
            "opening_minor": 0,
            "closing_minor": 0,
        } | columns
        return self._statement(kind="bank", account=OUR_IBAN, currency="EUR", format="camt.053", **values)

    def bank_line(self, statement: Statement, amount_minor: int, **columns: Any) -> BankLine:
        """Add a line of a bank statement."""
        self._line_numbers += 1
        values: dict[str, Any] = {"booked_on": date(2026, 10, 20), "text": "", "currency": "EUR"} | columns
        return self._add(
            BankLine,
            "bln",
            statement_id=statement.id,
            account=statement.account,
            line_key=f"{self._line_numbers:064}",
            line_number=self._line_numbers,
            amount_minor=amount_minor,
            **values,
        )

    def accrual(self, conversion: Conversion, affiliate: Affiliate, campaign_id: str, **columns: Any) -> Accrual:
        """Add what the conversion makes us owe, with its entry in the journal."""
        accrual = self._add(
            Accrual,
            "acr",
            conversion_id=conversion.id,
            kind="accrue",
            seq=1,
            affiliate_id=affiliate.id,
            source_id=conversion.source_id,
            campaign_id=campaign_id,
            terms={"kind": "told", "version": 1},
            ruleset_version=0,
            rule_id="r1",
            category_code="6210",
            category_name="Affiliate Commission - Spring",
            category_account="expense:commission:spring",
            amount_minor=conversion.payout_minor,
            currency=conversion.currency,
            unrounded=Decimal(conversion.payout_minor or 0) / 100,
            assurance="A",
            occurred_on=conversion.occurred_at.date(),
            payable_on=conversion.occurred_at.date(),
            period="2026-10",
            created_at=datetime(2026, 10, 15, 12, 1, tzinfo=UTC),
            **columns,
        )
        self.post(
            posting.accrual(
                accrual_id=accrual.id,
                conversion_id=conversion.id,
                affiliate_id=affiliate.id,
                account=accrual.category_account,
                money=Money(accrual.amount_minor, accrual.currency),
                occurred_on=accrual.occurred_on,
            )
        )
        return accrual

    def payout(self, affiliate: Affiliate, amount_minor: int, **columns: Any) -> Payout:
        """Add a payout of October."""
        values: dict[str, Any] = {"state": "sent", "period": "2026-10"} | columns
        return self._add(
            Payout,
            "pay",
            affiliate_id=affiliate.id,
            currency="EUR",
            amount_minor=amount_minor,
            payee_name="Blog One GmbH",
            payee_iban=IBAN,
            category_codes=["6210"],
            content_hash="sha256:00",
            created_at=datetime(2026, 10, 16, 9, 0, tzinfo=UTC),
            created_by="bundling",
            **values,
        )

    def approval(self, payout: Payout, decided_by: str) -> ApprovalRequest:
        """Add the payout's approved request with one decision."""
        request = self._add(
            ApprovalRequest,
            "apr",
            subject_kind="payout",
            subject_id=payout.id,
            amount_minor=payout.amount_minor,
            currency="EUR",
            title="a payout",
            facts={},
            content={},
            content_hash="sha256:00",
            barred=[],
            policy_version=0,
            chain_id="default",
            state="approved",
            created_at=datetime(2026, 10, 16, 9, 1, tzinfo=UTC),
            finished_at=datetime(2026, 10, 16, 10, 0, tzinfo=UTC),
            taken_at=datetime(2026, 10, 16, 10, 0, tzinfo=UTC),
        )
        self._add(
            ApprovalDecision,
            "dec",
            request_id=request.id,
            step_id="finance",
            actor_id=decided_by,
            verdict="approve",
            comment="looks right",
            content_hash="sha256:00",
            decided_at=datetime(2026, 10, 16, 10, 0, tzinfo=UTC),
        )
        payout.approval_id = request.id
        self.session.flush()
        return request

    def sent(self, payout: Payout, end_to_end_id: str, released_at: datetime | None = None) -> BatchItem:
        """Put the payout into a batch of its own, release it and post that."""
        released = released_at or datetime(2026, 10, 18, 9, 0, tzinfo=UTC)
        batch = self._add(
            Batch,
            "bat",
            method="sepa",
            debtor_name="Clickledger GmbH",
            debtor_iban=OUR_IBAN,
            currency="EUR",
            state="released",
            created_at=datetime(2026, 10, 17, 9, 0, tzinfo=UTC),
            created_by="stf_one",
            released_at=released,
            released_by="stf_two",
            file_name="batch.xml",
            file_content=b"<xml/>",
            file_sha256="ab" * 32,
        )
        item = BatchItem(
            batch_id=batch.id,
            payout_id=payout.id,
            end_to_end_id=end_to_end_id,
            amount_minor=payout.amount_minor,
            state="live",
        )
        self.session.add(item)
        self.session.flush()
        self.post(
            posting.batch_sent(
                end_to_end_id=end_to_end_id,
                payout_id=payout.id,
                affiliate_id=payout.affiliate_id,
                money=Money(payout.amount_minor, "EUR"),
                sent_on=released.date(),
            )
        )
        return item

    def post(self, entry: Posting) -> None:
        """Post one entry."""
        journal.post(self.runtime, self.session, [entry], today=self.runtime.clock().date())

    def _statement(self, **columns: Any) -> Statement:
        return self._add(
            Statement,
            "stm",
            file_name="file",
            file_sha256="0" * 64,
            lines=1,
            new=1,
            repeated=0,
            rejected=[],
            imported_at=self.runtime.clock(),
            imported_by="stf_one",
            **columns,
        )

    def _add(self, table: type[RowT], prefix: str, **columns: Any) -> RowT:
        row = table(id=self.runtime.new_id(prefix), **columns)
        self.session.add(row)
        self.session.flush()
        return row
