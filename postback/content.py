"""What a believed postback claims: mapped parameters become a claim, or every fault at once."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

import orjson

from core import money
from core.errors import Fault
from core.money import Money, MoneyError

FIELDS = (
    "click_id", "transaction_id", "payout", "amount", "currency", "event", "status", "occurred_at",
    "sub1", "sub2", "sub3", "sub4", "sub5",
)  # fmt: skip
TIMESTAMP = "ts"
DEFAULT_EVENT = "sale"
WORD_LENGTH_MAX = 40

_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_EPOCH_SECONDS = re.compile(r"[0-9]{10}", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
# No value holds a control character, so this joins two of them unambiguously.
_JOINT = "\x1f"

# Notes a fault: our name of the field, and the reason.
_Fault = Callable[[str, str], None]


class DedupeBy(StrEnum):
    """What makes two postbacks of a source the same conversion."""

    TRANSACTION_ID = "transaction_id"
    TRANSACTION_EVENT = "transaction_event"
    CLICK_EVENT = "click_event"


class Meaning(StrEnum):
    """What a network's status word comes to."""

    APPROVED = "approved"
    PENDING = "pending"
    REJECTED = "rejected"
    REFUNDED = "refunded"
    CHARGED_BACK = "charged_back"
    IGNORED = "ignored"  # a test call, a cart abandoned: kept as a receipt, no conversion
    UNKNOWN = "unknown"  # a word nobody has explained to us: a person looks


REVERSALS = (Meaning.REFUNDED, Meaning.CHARGED_BACK)


class Duplicates(StrEnum):
    """What a repeated conversion with other content does to the first."""

    IGNORE = "ignore"  # nothing: it is held for a person
    UPDATE_STATUS = "update_status"
    UPDATE_AMOUNT = "update_amount"
    UPDATE = "update"  # status and amounts
    ADD_EVENT = "add_event"  # the payout is added: an upsell


class ReversalKind(StrEnum):
    """How a network says that a conversion is taken back, beside its status word."""

    NONE = "none"
    STATUS = "status"  # the same id, and the word alone
    PREFIX = "prefix"  # the id behind a prefix
    NEGATIVE = "negative"  # the same id with a negative amount
    REFERENCE = "reference"  # an id of its own, and the first one's in another parameter


# For a source that explains no words of its own. Compared in lower case.
COMMON_WORDS: Mapping[str, Meaning] = {
    **dict.fromkeys(("approved", "accepted", "confirmed", "completed", "sale", "paid", "ok"), Meaning.APPROVED),
    **dict.fromkeys(("pending", "lead", "hold", "new", "open"), Meaning.PENDING),
    **dict.fromkeys(("rejected", "declined", "denied", "cancelled", "canceled", "trash"), Meaning.REJECTED),
    **dict.fromkeys(("refunded", "refund", "reversed", "returned"), Meaning.REFUNDED),
    **dict.fromkeys(("chargeback", "charged_back"), Meaning.CHARGED_BACK),
    "test": Meaning.IGNORED,
}


@dataclass(frozen=True)
class Reading:
    """How a source's parameters are read: `parameters` maps our names to the network's where they differ."""

    dedupe_by: DedupeBy = DedupeBy.TRANSACTION_ID
    default_currency: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    status_words: Mapping[str, str] = field(default_factory=dict)
    amounts_in_minor: bool = False
    duplicates: Duplicates = Duplicates.IGNORE
    reversal: Mapping[str, str] = field(default_factory=lambda: {"kind": "none"})

    def name(self, our_name: str) -> str:
        """Return what the network calls `our_name`."""
        return self.parameters.get(our_name, our_name)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The network's names of the fields by ours.

        A name that the network gave to another field of ours is not read twice: with `click_id` mapped to `sub1`,
        there is no sub1.
        """
        taken = set(self.parameters.values())
        return {ours: self.name(ours) for ours in FIELDS if ours in self.parameters or ours not in taken}

    @cached_property
    def wanted(self) -> frozenset[str]:
        """The network's names of everything that is read."""
        return frozenset({*self.names.values(), *filter(None, (self.reversal.get("parameter"),))})

    @cached_property
    def reversal_kind(self) -> ReversalKind:
        """How this source's reversals are known."""
        return ReversalKind(self.reversal["kind"])

    def meaning(self, word: str | None) -> Meaning:
        """Return what a status word means; no word at all means that the conversion happened."""
        if word is None:
            return Meaning.APPROVED
        if self.status_words:
            return Meaning(self.status_words.get(word, Meaning.UNKNOWN))
        return COMMON_WORDS.get(word.lower(), Meaning.UNKNOWN)


@dataclass(frozen=True)
class Claim:
    """What one postback says happened. `told_at` is the network's own time for it, where it gave one.

    Amounts are never negative: of a reversal they say how much is taken back. `reversal_id` is the own id of one that
    is known by its id or its sign, and not by its word: two of them may take back the same amount.
    """

    transaction_id: str
    click_id: str
    event: str
    status_word: str | None
    payout: Money | None
    amount: Money | None
    currency: str
    subs: Mapping[str, str]
    told_at: datetime | None
    sent_at: datetime
    meaning: Meaning = Meaning.APPROVED
    reversal_id: str | None = None

    @property
    def occurred_at(self) -> datetime:
        """When it happened: the network's word for it unless that lies after the postback itself."""
        return self.told_at if self.told_at is not None and self.told_at <= self.sent_at else self.sent_at

    @property
    def is_reversal(self) -> bool:
        """Say whether it takes an earlier conversion back."""
        return self.meaning in REVERSALS

    @property
    def facts(self) -> dict[str, object]:
        """The meaning as plain JSON: what a retry repeats. When it was sent and signed is not part of it."""
        facts: dict[str, object] = {
            "transaction_id": self.transaction_id,
            "click_id": self.click_id,
            "event": self.event,
            "status": self.status_word,
            "payout": None if self.payout is None else str(self.payout),
            "amount": None if self.amount is None else str(self.amount),
            "currency": self.currency,
            "subs": dict(self.subs),
            "occurred_at": None if self.told_at is None else self.told_at.isoformat(),
        }
        if self.reversal_id is not None:
            facts["reversal"] = self.reversal_id
        return facts

    @cached_property
    def sha256(self) -> str:
        """The hash of the meaning, in 64 lower-case hexadecimal digits."""
        text = orjson.dumps(self.facts, option=orjson.OPT_SORT_KEYS)
        if not text.isascii():
            # Escaped, as it always was: the hash of a retry must be that of its first.
            text = json.dumps(self.facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
        return hashlib.sha256(text).hexdigest()

    def dedupe_key(self, dedupe_by: DedupeBy) -> str:
        """Return what must be unique within the source."""
        match dedupe_by:
            case DedupeBy.TRANSACTION_ID:
                return self.transaction_id
            case DedupeBy.TRANSACTION_EVENT:
                return f"{self.transaction_id}{_JOINT}{self.event}"
            case DedupeBy.CLICK_EVENT:
                return f"{self.click_id}{_JOINT}{self.event}"


def read(values: Mapping[str, str], reading: Reading, *, sent_at: datetime) -> Claim | list[Fault]:
    """Return the claim `values` make, or everything wrong with them, each fault under the network's own name.

    An empty value is an absent one: networks send the macros they cannot fill as nothing.
    """
    told = {ours: values[theirs] for ours, theirs in reading.names.items() if values.get(theirs)}
    faults: list[Fault] = []

    def fault(our_name: str, reason: str) -> None:
        faults.append(Fault(reading.name(our_name), reason))

    meaning = reading.meaning(told.get("status"))
    original = values.get(reading.reversal.get("parameter", ""), "")
    # A reversal and a test call name no click: networks leave it out of both.
    needs_click = meaning is not Meaning.IGNORED and not (meaning in REVERSALS or original)
    if "click_id" not in told and (needs_click or reading.dedupe_by is DedupeBy.CLICK_EVENT):
        fault("click_id", "is needed")
    if (
        meaning is not Meaning.IGNORED
        and not told.get("transaction_id")
        and reading.dedupe_by is not DedupeBy.CLICK_EVENT
    ):
        fault("transaction_id", "is needed")
    for word in ("event", "status"):
        if len(told.get(word, "")) > WORD_LENGTH_MAX:
            fault(word, f"is longer than {WORD_LENGTH_MAX} characters")
    currency = _currency(told.get("currency") or reading.default_currency, fault)
    amounts = {name: _amount(name, told.get(name), currency, reading, fault) for name in ("payout", "amount")}
    told_at = _moment(told.get("occurred_at"), fault)
    if faults or currency is None:
        return faults
    claim = Claim(
        transaction_id=told.get("transaction_id", ""),
        click_id=told.get("click_id", ""),
        event=told.get("event", DEFAULT_EVENT),
        status_word=told.get("status"),
        payout=amounts["payout"],
        amount=amounts["amount"],
        currency=currency,
        subs={name: value for name, value in told.items() if name.startswith("sub")},
        told_at=told_at,
        sent_at=sent_at,
        meaning=meaning,
    )
    return _with_reversal(claim, reading, original)


def _with_reversal(claim: Claim, reading: Reading, original: str) -> Claim:
    """Return the claim under the id it takes back, with amounts that are not negative."""
    kind = reading.reversal_kind
    prefix = reading.reversal.get("prefix", "")
    transaction_id = claim.transaction_id
    if kind is ReversalKind.PREFIX and prefix and transaction_id.startswith(prefix) and transaction_id != prefix:
        transaction_id = transaction_id.removeprefix(prefix)
    elif kind is ReversalKind.REFERENCE and original and original != transaction_id:
        transaction_id = original
    elif not _is_negative(claim.payout) and not _is_negative(claim.amount):
        return claim
    meaning = claim.meaning if claim.is_reversal else Meaning.REFUNDED
    return replace(
        claim,
        transaction_id=transaction_id,
        payout=_positive(claim.payout),
        amount=_positive(claim.amount),
        meaning=meaning,
        reversal_id=claim.transaction_id,
    )


def _is_negative(amount: Money | None) -> bool:
    return amount is not None and amount.amount_minor < 0


def _positive(amount: Money | None) -> Money | None:
    return -amount if amount is not None and amount.amount_minor < 0 else amount


def _currency(code: str | None, fault: _Fault) -> str | None:
    if not code:
        fault("currency", "is needed: the source has no default currency")
        return None
    # Some networks write it in lower case.
    code = code.upper()
    try:
        money.exponent(code)
    except MoneyError as error:
        fault("currency", str(error))
        return None
    return code


def _amount(name: str, text: str | None, currency: str | None, reading: Reading, fault: _Fault) -> Money | None:
    if text is None:
        return None
    takes_negative = reading.reversal_kind is not ReversalKind.NONE
    if not _AMOUNT.fullmatch(text) or (text.startswith("-") and not takes_negative):
        fault(name, "is not an amount: up to 12 digits and, after a point, up to 6, such as 12.50")
        return None
    if currency is None:
        return None
    try:
        return money.parse(_major(text, currency) if reading.amounts_in_minor else text, currency)
    except MoneyError as error:
        fault(name, str(error))
        return None


def _major(text: str, currency: str) -> str:
    return f"{Decimal(text).scaleb(-money.exponent(currency)):f}"


def _moment(text: str | None, fault: _Fault) -> datetime | None:
    if text is None:
        return None
    try:
        if _EPOCH_SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text), UTC)
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    fault("occurred_at", "is neither an RFC 3339 time such as 2026-10-03T10:00:00Z nor Unix seconds")
    return None
