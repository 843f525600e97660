"""What a payment file says, before it has a format; and what a result file says, after it has lost its own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from core.errors import Fault


class PayeeKind(StrEnum):
    """What tells whom to pay: `account` of a payee is an IBAN, a US account, an e-mail address or free text."""

    IBAN = "iban"
    US_BANK = "us_bank"
    EMAIL = "email"
    OTHER = "other"


@dataclass(frozen=True)
class UsAccount:
    """An account in the United States. No repr: an account number belongs in no log."""

    routing_number: str
    account_number: str
    account_type: str = "checking"  # checking | savings
    holder: str = "person"  # person | company

    def __repr__(self) -> str:
        return "UsAccount(..)"

    def as_text(self) -> str:
        """Return the one text that is kept and compared."""
        return f"{self.routing_number}/{self.account_number}/{self.account_type}/{self.holder}"

    @classmethod
    def of_text(cls, text: str) -> "UsAccount":
        """Return what `as_text` wrote."""
        return cls(*text.split("/"))


@dataclass(frozen=True)
class Payee:
    """Who is paid, and where. No repr: an account number belongs in no log."""

    name: str
    kind: PayeeKind
    account: str
    bic: str | None = None

    def __repr__(self) -> str:
        return "Payee(..)"


@dataclass(frozen=True)
class Payment:
    """One payment; `end_to_end_id` comes back with the answer."""

    payee: Payee
    amount_minor: int
    end_to_end_id: str
    text: str


@dataclass(frozen=True)
class Payer:
    """Who pays, as far as a format asks: an IBAN for SEPA, the bank's routing number and our id there for NACHA."""

    name: str
    iban: str | None = None
    bic: str | None = None
    routing_number: str | None = None
    company_id: str | None = None
    bank_name: str | None = None

    def __repr__(self) -> str:
        return "Payer(..)"


@dataclass(frozen=True)
class BatchFile:
    """All that one file says; the payments are of one currency."""

    id: str
    currency: str
    payer: Payer
    payments: Sequence[Payment]
    made_at: datetime
    execute_on: date

    @property
    def total_minor(self) -> int:
        """The sum of the payments."""
        return sum(payment.amount_minor for payment in self.payments)


class Outcome(StrEnum):
    """What an answer says about one payment; `pending` changes nothing, `unknown` is an answer that is none."""

    SETTLED = "settled"
    FAILED = "failed"
    RETURNED = "returned"
    UNKNOWN = "unknown"
    PENDING = "pending"


@dataclass(frozen=True)
class Answer:
    """What came back about one payment; `place` is where in the file, for people."""

    place: str
    end_to_end_id: str
    outcome: Outcome
    reason: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    happened_on: date | None = None


@dataclass(frozen=True)
class ResultFile:
    """A result file read whole: with `faults` nothing of it may be applied.

    `reference` names the payment file it answers, where the format does. `about_all` answers every payment that
    `answers` does not.
    """

    answers: Sequence[Answer]
    faults: Sequence[Fault] = field(default_factory=tuple)
    reference: str | None = None
    about_all: Answer | None = None
