"""ACH credits in the United States: a NACHA file of 94-column records, PPD for people and CCD for companies."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from core.account_texts import account_number_fault, ach_id_fault, routing_fault
from core.errors import Fault
from payouts.formats import characters
from payouts.formats.values import BatchFile, PayeeKind, Payer, Payment, UsAccount

NAME = "nacha"
CURRENCIES = frozenset({"USD"})
PAYEE_KINDS = frozenset({PayeeKind.US_BANK})
RECORD_LENGTH = 94
LINES_A_BLOCK = 10
AMOUNT_MINOR_MAX = 9_999_999_999  # ten digits
TOTAL_MINOR_MAX = 999_999_999_999  # twelve digits
REFERENCE_LENGTH = 15
PAYMENTS_MAX = 10_000
_CREDITS_ONLY = "220"
_TRANSACTION_CODES = {"checking": "22", "savings": "32"}
_ENTRY_CLASSES = (("person", "PPD"), ("company", "CCD"))
_HASH_DIGITS = 10


class _Sums(NamedTuple):
    entries: int
    entry_hash: int
    credit_minor: int


def account_faults(account: UsAccount, path: str) -> list[Fault]:
    """Return everything wrong with a US account."""
    reasons = {
        "routing_number": routing_fault(account.routing_number),
        "account_number": account_number_fault(account.account_number),
        "account_type": None if account.account_type in _TRANSACTION_CODES else "takes checking or savings",
        "holder": None if account.holder in dict(_ENTRY_CLASSES) else "takes person or company",
    }  # fmt: skip
    return [Fault(f"{path}.{name}", reason) for name, reason in reasons.items() if reason]


def payer_faults(payer: Payer, path: str) -> list[Fault]:
    """Return what is wrong with who pays: a name, a bank by its routing number and name, and our id there."""
    reasons = {
        "name": characters.reason(payer.name, characters.NACHA, "NACHA"),
        "routing_number": routing_fault(payer.routing_number),
        "company_id": ach_id_fault(payer.company_id),
        "bank_name": characters.reason(payer.bank_name or "", characters.NACHA, "NACHA"),
    }
    return [Fault(f"{path}.{name}", reason) for name, reason in reasons.items() if reason]


def payment_faults(payment: Payment, currency: str, path: str) -> list[Fault]:
    """Return what the file cannot carry of one payment."""
    faults = []
    if currency not in CURRENCIES:
        faults.append(Fault(path, f"is in {currency}: NACHA pays in USD alone"))
    if payment.payee.kind in PAYEE_KINDS:
        faults += account_faults(UsAccount.of_text(payment.payee.account), path)
    else:
        faults.append(Fault(path, "goes to no account in the United States, which NACHA needs"))
    if not 0 < payment.amount_minor <= AMOUNT_MINOR_MAX:
        faults.append(Fault(path, "takes 0.01 to 99,999,999.99 USD: the field has ten digits"))
    reason = characters.reason(payment.payee.name, characters.NACHA, "NACHA")
    return [*faults, Fault(f"{path}.name", reason)] if reason else faults


def total_faults(file: BatchFile) -> list[Fault]:
    """Return what the file cannot carry of its sum."""
    return [] if file.total_minor <= TOTAL_MINOR_MAX else [Fault("sum", "is more than 9,999,999,999.99 USD")]


def write(file: BatchFile) -> Iterator[bytes]:
    """Yield the file's lines: a header, a batch for people and one for companies, the control, nines up to ten."""
    lines, sums, batches = 1, _Sums(0, 0, 0), 0
    yield _line(_file_header(file))
    trace = count(1)
    for holder, entry_class in _ENTRY_CLASSES:
        payments = [each for each in file.payments if UsAccount.of_text(each.payee.account).holder == holder]
        if not payments:
            continue
        batches += 1
        for record in _batch(file, payments, entry_class, batches, trace):
            lines += 1
            yield _line(record)
        part = _sums(payments)
        sums = _Sums(*(left + right for left, right in zip(sums, part, strict=True)))
    lines += 1
    filling = -lines % LINES_A_BLOCK
    yield _line(_file_control(batches, (lines + filling) // LINES_A_BLOCK, sums))
    yield _line("9" * RECORD_LENGTH) * filling


def _file_header(file: BatchFile) -> str:
    payer = file.payer
    return (
        f"101 {payer.routing_number}{_right(payer.company_id, 10)}{file.made_at:%y%m%d%H%M}A094101"
        f"{_left(payer.bank_name, 23)}{_left(payer.name, 23)}{_left('', 8)}"
    )


def _batch(
    file: BatchFile, payments: Sequence[Payment], entry_class: str, number: int, trace: Iterator[int]
) -> Iterator[str]:
    payer = file.payer
    company_id, bank = _left(payer.company_id, 10), (payer.routing_number or "")[:8]
    yield (
        f"5{_CREDITS_ONLY}{_left(payer.name, 16)}{_left('', 20)}{company_id}{entry_class}{_left('AFFILIATE', 10)}"
        f"{file.made_at:%y%m%d}{file.execute_on:%y%m%d}   1{bank}{number:07}"
    )
    for payment in payments:
        account = UsAccount.of_text(payment.payee.account)
        yield (
            f"6{_TRANSACTION_CODES[account.account_type]}{account.routing_number}{_left(account.account_number, 17)}"
            f"{payment.amount_minor:010}{_left(payment.end_to_end_id, 15)}{_left(payment.payee.name, 22)}  0"
            f"{bank}{next(trace):07}"
        )
    sums = _sums(payments)
    yield (
        f"8{_CREDITS_ONLY}{sums.entries:06}{_hash(sums)}{0:012}{sums.credit_minor:012}{company_id}"
        f"{_left('', 25)}{bank}{number:07}"
    )


def _file_control(batches: int, blocks: int, sums: _Sums) -> str:
    return f"9{batches:06}{blocks:06}{sums.entries:08}{_hash(sums)}{0:012}{sums.credit_minor:012}{_left('', 39)}"


def _sums(payments: Sequence[Payment]) -> _Sums:
    banks = (int(UsAccount.of_text(payment.payee.account).routing_number[:8]) for payment in payments)
    return _Sums(len(payments), sum(banks), sum(payment.amount_minor for payment in payments))


def _hash(sums: _Sums) -> str:
    # Of a longer sum its last ten digits count.
    return f"{sums.entry_hash:010}"[-_HASH_DIGITS:]


def _left(text: str | None, length: int) -> str:
    return characters.latin(text or "", characters.NACHA)[:length].ljust(length)


def _right(text: str | None, length: int) -> str:
    return (text or "")[:length].rjust(length)


def _line(record: str) -> bytes:
    return f"{record}\r\n".encode("ascii")
