"""Payees: whose account is paid, of one of four kinds, checked before anything is stored."""

from dataclasses import dataclass

from schwifty import BIC, IBAN

from core import account_texts, bank_accounts
from core.errors import Fault

_MASK_SHOWS = 4


@dataclass(frozen=True)
class Payee:
    """Whose account it is and which: an IBAN, a US account, an e-mail address, or free text for other ways.

    No repr: an account number belongs in no log.
    """

    name: str
    iban: str | None = None
    bic: str | None = None
    routing_number: str | None = None
    account_number: str | None = None
    account_type: str = "checking"
    holder: str = "person"
    email: str | None = None
    account: str | None = None

    def __repr__(self) -> str:
        return "Payee(..)"

    @property
    def kind(self) -> str:
        """Which of the four it is."""
        if self.iban is not None:
            return "iban"
        if self.email is not None:
            return "email"
        return "us_bank" if self.routing_number is not None or self.account_number is not None else "other"

    @property
    def account_text(self) -> str | None:
        """The account as it is kept beside the IBAN's column; None for an IBAN."""
        if self.kind == "us_bank":
            return f"{self.routing_number}/{self.account_number}/{self.account_type}/{self.holder}"
        return None if self.kind == "iban" else self.email or self.account


def checked(payee: Payee, found: list[Fault]) -> Payee:
    """Return `payee` with IBAN and BIC in their compact form; add everything that is wrong to `found`."""
    kinds = (payee.iban, payee.email, payee.routing_number or payee.account_number, payee.account)
    if sum(kind is not None for kind in kinds) != 1:
        message = "takes one of iban, email, account, or routing_number with account_number"
        found.append(Fault("payee", message))
        return payee
    faults = _faults(payee)
    found += faults
    if faults or payee.iban is None:
        return payee
    return Payee(payee.name, IBAN(payee.iban).compact, BIC(payee.bic).compact if payee.bic is not None else None)


def masked_account(kind: str, account: str | None) -> str | None:
    """Return enough of an account to recognise it, and too little to use it."""
    if account is None:
        return None
    if kind == "us_bank":
        routing_number, number = account.split("/")[:2]
        return f"{routing_number} …{number[-_MASK_SHOWS:]}"
    if kind == "email":
        return f"{account[0]}…{account[account.index('@') :]}"
    return f"…{account[-_MASK_SHOWS:]}"


def _faults(payee: Payee) -> list[Fault]:
    if payee.iban is not None:
        return bank_accounts.faults(payee.iban, payee.bic, "payee")
    reasons: dict[str, str | None] = {"bic": None if payee.bic is None else "goes with an IBAN"}
    if payee.kind == "us_bank":
        reasons["routing_number"] = account_texts.routing_fault(payee.routing_number)
        reasons["account_number"] = account_texts.account_number_fault(payee.account_number)
    if payee.email is not None:
        reasons["email"] = account_texts.email_fault(payee.email)
    return [Fault(f"payee.{name}", reason) for name, reason in reasons.items() if reason]
