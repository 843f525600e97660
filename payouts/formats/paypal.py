"""PayPal Payouts Web: the CSV it takes, and the results it gives back.

Columns and limits: https://developer.paypal.com/docs/payouts/standard/payouts-web/ (recipient, amount, currency,
customer id of 30 characters, note, wallet; 5,000 rows of one currency). Currencies and those without decimals:
https://developer.paypal.com/docs/reports/reference/paypal-supported-currencies/.
"""

from collections.abc import Iterator

from core import money
from core.account_texts import email_fault
from core.errors import Fault
from payouts.formats import tables
from payouts.formats.values import BatchFile, Outcome, PayeeKind, Payer, Payment, ResultFile

NAME = "paypal"
CURRENCIES = frozenset({
    "AUD", "BRL", "CAD", "CNY", "CZK", "DKK", "EUR", "HKD", "HUF", "ILS", "JPY", "MYR", "MXN", "TWD", "NZD", "NOK",
    "PHP", "PLN", "GBP", "SGD", "SEK", "CHF", "THB", "USD",
})  # fmt: skip
WITHOUT_DECIMALS = frozenset({"HUF", "JPY", "TWD"})
PAYEE_KINDS = frozenset({PayeeKind.EMAIL})
REFERENCE_LENGTH = 30
PAYMENTS_MAX = 5_000
_COLUMNS = {
    "end_to_end_id": ("Customer ID", "Unique ID", "Reference ID", "Sender item ID"),
    "status": ("Status", "Transaction status"),
    "reason": ("Reason", "Error", "Error message"),
    "amount": ("Amount", "Gross", "Payment amount"),
    "currency": ("Currency", "Currency code"),
    "happened_on": ("Date", "Completed on", "Time processed"),
}
_OPTIONAL = frozenset({"reason", "amount", "currency", "happened_on"})
# https://developer.paypal.com/docs/payouts/standard/reference/status-codes/ (transaction status).
_OUTCOMES = {
    "success": Outcome.SETTLED,
    "completed": Outcome.SETTLED,
    "failed": Outcome.FAILED,
    "denied": Outcome.FAILED,
    "blocked": Outcome.FAILED,
    "returned": Outcome.RETURNED,
    "refunded": Outcome.RETURNED,
    "reversed": Outcome.RETURNED,
    # The recipient has 30 days to take it; then it is returned.
    "unclaimed": Outcome.PENDING,
    "onhold": Outcome.PENDING,
    "pending": Outcome.PENDING,
    "processing": Outcome.PENDING,
}


def payer_faults(_payer: Payer, _path: str) -> list[Fault]:
    """Return nothing: the PayPal account that uploads the file pays."""
    return []


def payment_faults(payment: Payment, currency: str, path: str) -> list[Fault]:
    """Return what the file cannot carry of one payment."""
    faults = []
    if currency not in CURRENCIES:
        faults.append(Fault(path, f"is in {currency}, which PayPal does not pay out"))
    elif currency in WITHOUT_DECIMALS and payment.amount_minor % 10 ** money.exponent(currency):
        faults.append(Fault(path, f"has decimals, and PayPal pays {currency} without"))
    if payment.amount_minor <= 0:
        faults.append(Fault(path, "takes more than nothing"))
    if payment.payee.kind not in PAYEE_KINDS:
        faults.append(Fault(path, "goes to no e-mail address, which PayPal needs"))
    elif reason := email_fault(payment.payee.account):
        faults.append(Fault(f"{path}.email", reason))
    return faults


def write(file: BatchFile) -> Iterator[bytes]:
    """Yield a line a payment; the format has no header."""
    return tables.written(
        (each.payee.account, amount_text(each.amount_minor, file.currency), file.currency, each.end_to_end_id,
         each.text, "PAYPAL")
        for each in file.payments
    )  # fmt: skip


def amount_text(amount_minor: int, currency: str) -> str:
    """Return an amount as PayPal takes it: with a point, and without decimals where it has none."""
    text = money.to_text(amount_minor, currency)
    return text.partition(".")[0] if currency in WITHOUT_DECIMALS else text


def read(content: bytes) -> ResultFile:
    """Return what a results file says."""
    return tables.read(content, _COLUMNS, _OUTCOMES, optional=_OPTIONAL)
