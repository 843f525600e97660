"""Our own CSV: for whoever pays by hand or by another program, and the results they hand back."""

from collections.abc import Iterator

from core import money
from core.errors import Fault
from payouts.formats import tables
from payouts.formats.values import BatchFile, Outcome, PayeeKind, Payer, Payment, ResultFile

NAME = "csv"
CURRENCIES = frozenset(money.EXPONENTS)
PAYEE_KINDS = frozenset(PayeeKind)
REFERENCE_LENGTH = 35
PAYMENTS_MAX = 10_000
HEADER = ("end_to_end_id", "name", "kind", "account", "bic", "amount", "currency", "text")
_COLUMNS = {name: (name,) for name in ("end_to_end_id", "status", "reason", "amount", "currency")} | {
    "happened_on": ("settled_on", "happened_on")
}
_OPTIONAL = frozenset({"reason", "amount", "currency", "happened_on"})
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


def payer_faults(_payer: Payer, _path: str) -> list[Fault]:
    """Return nothing: the file says whom to pay alone."""
    return []


def payment_faults(payment: Payment, currency: str, path: str) -> list[Fault]:
    """Return what the file cannot carry of one payment."""
    faults = []
    if currency not in CURRENCIES:
        faults.append(Fault(path, f"is in {currency}, which is no currency of ISO 4217"))
    if payment.amount_minor <= 0:
        faults.append(Fault(path, "takes more than nothing"))
    for name, text in (("name", payment.payee.name), ("account", payment.payee.account)):
        if reason := tables.cell_reason(text):
            faults.append(Fault(f"{path}.{name}", reason))
    return faults


def write(file: BatchFile) -> Iterator[bytes]:
    """Yield the header and a line a payment."""
    yield from tables.written([HEADER])
    yield from tables.written(
        (
            each.end_to_end_id, each.payee.name, each.payee.kind, each.payee.account, each.payee.bic or "",
            money.to_text(each.amount_minor, file.currency), file.currency, each.text,
        )
        for each in file.payments
    )  # fmt: skip


def read(content: bytes) -> ResultFile:
    """Return what a results file says: end_to_end_id, status, and reason, amount, currency, settled_on."""
    return tables.read(content, _COLUMNS, _OUTCOMES, optional=_OPTIONAL)
