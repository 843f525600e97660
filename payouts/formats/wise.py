"""Wise batch payments: the CSV it takes, and the transfers it lists afterwards.

Columns: https://wise.com/help/articles/2663302 (name, sourceCurrency, targetCurrency, amount, amountCurrency,
recipientEmail, and the account's own: IBAN, or abartn, accountNumber and accountType); 1,000 rows.
"""

from collections.abc import Iterator

from core import money
from core.account_texts import email_fault
from core.errors import Fault
from payouts.formats import nacha, tables
from payouts.formats.values import BatchFile, Outcome, PayeeKind, Payer, Payment, ResultFile, UsAccount

NAME = "wise"
CURRENCIES = frozenset({
    "AED", "ARS", "AUD", "BDT", "BGN", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CRC", "CZK", "DKK", "EGP", "EUR",
    "GBP", "GEL", "GHS", "HKD", "HUF", "IDR", "ILS", "INR", "JPY", "KES", "KRW", "LKR", "MAD", "MXN", "MYR", "NGN",
    "NOK", "NPR", "NZD", "PHP", "PKR", "PLN", "RON", "SEK", "SGD", "THB", "TRY", "TZS", "UAH", "UGX", "USD", "UYU",
    "VND", "ZAR",
})  # fmt: skip
PAYEE_KINDS = frozenset({PayeeKind.IBAN, PayeeKind.US_BANK, PayeeKind.EMAIL})
REFERENCE_LENGTH = 15  # what every route's reference carries, but for the shortest ones
PAYMENTS_MAX = 1_000
HEADER = (
    "name", "recipientEmail", "paymentReference", "amountCurrency", "amount", "sourceCurrency", "targetCurrency",
    "IBAN", "abartn", "accountNumber", "accountType",
)  # fmt: skip
_COLUMNS = {
    "end_to_end_id": ("Reference", "paymentReference", "Payment reference"),
    "status": ("Status",),
    "reason": ("Reason", "Note", "Issues"),
    "amount": ("Target amount (after fees)", "Target amount", "amount"),
    "currency": ("Target currency", "targetCurrency"),
    "happened_on": ("Finished on", "Date"),
}
_OPTIONAL = frozenset({"reason", "amount", "currency", "happened_on"})
# The words of the list of transfers, and those of the transfer's life cycle:
# https://docs.wise.com/api-docs/guides/send-money/tracking-transfers
_OUTCOMES = {
    "completed": Outcome.SETTLED,
    "sent": Outcome.SETTLED,
    "outgoing_payment_sent": Outcome.SETTLED,
    "cancelled": Outcome.FAILED,
    "refunded": Outcome.RETURNED,
    "funds_refunded": Outcome.RETURNED,
    "bounced_back": Outcome.RETURNED,
    "charged_back": Outcome.RETURNED,
    "unknown": Outcome.UNKNOWN,
    "incoming_payment_waiting": Outcome.PENDING,
    "incoming_payment_initiated": Outcome.PENDING,
    "processing": Outcome.PENDING,
    "funds_converted": Outcome.PENDING,
}


def payer_faults(_payer: Payer, _path: str) -> list[Fault]:
    """Return nothing: the Wise account that uploads the file pays."""
    return []


def payment_faults(payment: Payment, currency: str, path: str) -> list[Fault]:
    """Return what the file cannot carry of one payment."""
    faults = []
    payee = payment.payee
    if currency not in CURRENCIES:
        faults.append(Fault(path, f"is in {currency}, which Wise does not pay out"))
    if payment.amount_minor <= 0:
        faults.append(Fault(path, "takes more than nothing"))
    if reason := tables.cell_reason(payee.name):
        faults.append(Fault(f"{path}.name", reason))
    if payee.kind not in PAYEE_KINDS:
        faults.append(Fault(path, "goes to no IBAN, US account or e-mail address, which Wise needs"))
    elif payee.kind is PayeeKind.US_BANK:
        faults += nacha.account_faults(UsAccount.of_text(payee.account), path)
        if currency != "USD":
            faults.append(Fault(path, f"is in {currency}, and goes to an account in USD"))
    elif payee.kind is PayeeKind.EMAIL and (reason := email_fault(payee.account)):
        faults.append(Fault(f"{path}.email", reason))
    return faults


def write(file: BatchFile) -> Iterator[bytes]:
    """Yield the header and a line a payment: exactly its amount arrives, in its currency."""
    yield from tables.written([HEADER])
    yield from tables.written(_row(payment, file.currency) for payment in file.payments)


def read(content: bytes) -> ResultFile:
    """Return what a list of transfers says."""
    return tables.read(content, _COLUMNS, _OUTCOMES, optional=_OPTIONAL)


def _row(payment: Payment, currency: str) -> tuple[str, ...]:
    payee = payment.payee
    us = UsAccount.of_text(payee.account) if payee.kind is PayeeKind.US_BANK else None
    return (
        payee.name,
        payee.account if payee.kind is PayeeKind.EMAIL else "",
        payment.end_to_end_id,
        "target",
        money.to_text(payment.amount_minor, currency),
        currency,
        currency,
        payee.account if payee.kind is PayeeKind.IBAN else "",
        us.routing_number if us else "",
        us.account_number if us else "",
        us.account_type.upper() if us else "",
    )
