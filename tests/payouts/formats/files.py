"""Payment files to write: payers and payees with well-known example accounts."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime

from payouts.formats.values import BatchFile, Payee, PayeeKind, Payer, Payment, UsAccount

OURS = Payer("Clickledger Tests GmbH", "DE02120300000000202051", "BYLADEM1001")
US_PAYER = Payer(
    "Clickledger Inc", routing_number="091000019", company_id="1234567890", bank_name="Example Bank of the North"
)


def payment(
    name: str = "Blog One GmbH",
    amount_minor: int = 1250,
    *,
    kind: PayeeKind = PayeeKind.IBAN,
    account: str = "DE89370400440532013000",
    bic: str | None = None,
    reference: str = "E2E1",
) -> Payment:
    """Return a payment to an IBAN, or to what the test says."""
    return Payment(Payee(name, kind, account, bic), amount_minor, reference, f"Affiliate payout 2026-10 {reference}")


def us(name: str, amount_minor: int, reference: str, account: UsAccount | None = None) -> Payment:
    """Return a payment to an account in the United States."""
    known = account or UsAccount("011401533", "12345678")
    return payment(name, amount_minor, kind=PayeeKind.US_BANK, account=known.as_text(), reference=reference)


def batch_file(payments: Sequence[Payment], payer: Payer = OURS, currency: str = "EUR") -> BatchFile:
    """Return a file made on 2 November 2026."""
    made_at = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
    return BatchFile("bat_01k9test", currency, payer, payments, made_at, date(2026, 11, 3))


def whole(write: Callable[[BatchFile], Iterator[bytes]], file: BatchFile) -> bytes:
    """Return the file in one piece."""
    return b"".join(write(file))
