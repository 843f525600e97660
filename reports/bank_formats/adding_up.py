"""Whether a statement holds together: its account, its currency, and opening and lines that make its closing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from core import money
from core.errors import Fault, Invalid
from reports.bank_formats.shape import (
    ACCOUNT_LENGTH_MAX,
    REFERENCE_LENGTH_MAX,
    BankRow,
    BankStatement,
    Begun,
    Part,
    Pending,
    Rejected,
    is_same_account,
    normalised_account,
)

# Beyond this it is the wrong format or mapping, and no list that a person reads.
REJECTED_MAX = 10_000
FAULTS_MAX = 100


@dataclass
class Tally:
    """What the rows of one statement come to so far."""

    rows: int = 0
    total_minor: int = 0
    currencies: set[str] = field(default_factory=set)
    first_on: date | None = None
    last_on: date | None = None

    def add(self, row: BankRow) -> None:
        """Count `row` in."""
        self.rows += 1
        self.total_minor += row.amount_minor
        self.currencies.add(row.currency)
        self.first_on = min(self.first_on or row.booked_on, row.booked_on)
        self.last_on = max(self.last_on or row.booked_on, row.booked_on)


def faults_of(statement: BankStatement, tally: Tally) -> list[Fault]:
    """Return everything for which the statement with these rows cannot be loaded."""
    name = f"statement {statement.reference or 'without an id'}"
    faults = []
    if not statement.reference or len(statement.reference) > REFERENCE_LENGTH_MAX:
        faults.append(Fault("file", "a statement has no id, or one of more than 80 characters"))
    faults += [Fault("file", f"{name} {fault}") for fault in statement.faults]
    currencies = sorted(tally.currencies | ({statement.currency} if statement.currency else set()))
    if len(currencies) > 1:
        faults.append(Fault("file", f"{name} mixes currencies: {', '.join(currencies)}"))
    elif not statement.faults:
        faults += _sum_faults(statement, tally, name)
    return faults


def account_faults(said: str | None, account: str | None) -> list[Fault]:
    """Return why a statement of the account `said` cannot be loaded into `account`, or its own where that is None."""
    own = account or said
    if own is None:
        return [Fault("account", "is needed: the file does not say whose statement it is")]
    if account is not None and said is not None and not is_same_account(said, account):
        return [Fault("account", f"a statement is of account {said}, not {account}")]
    if len(normalised_account(own)) > ACCOUNT_LENGTH_MAX:
        return [Fault("account", f"has more than {ACCOUNT_LENGTH_MAX} characters")]
    return []


def _sum_faults(statement: BankStatement, tally: Tally, name: str) -> list[Fault]:
    if statement.opening_minor is None or statement.closing_minor is None:
        return []
    made_minor = statement.opening_minor + tally.total_minor
    if made_minor == statement.closing_minor:
        return []
    opening, lines, made, closing = (
        money.to_text(amount_minor, statement.currency)
        for amount_minor in (statement.opening_minor, tally.total_minor, made_minor, statement.closing_minor)
    )
    return [
        Fault(
            "file",
            f"{name} does not add up: opening {opening} and lines of {lines} make {made}, "
            f"its closing says {closing} {statement.currency}",
        )
    ]


class Group:
    """One statement of `account` as it is read: first its rows, once, and then what it says of itself."""

    def __init__(self, account: str | None, parts: Iterator[Part]) -> None:
        self.account = account
        self._parts = parts
        self.tally = Tally()
        self.rejected: list[Rejected] = []
        self.pending: list[Pending] = []
        self.statement: BankStatement | None = None

    def rows(self) -> Iterator[BankRow]:
        """Yield the rows that can be read, up to the end of the statement."""
        for part in self._parts:
            match part:
                case BankRow():
                    self.tally.add(part)
                    yield part
                case Rejected():
                    self.rejected.append(part)
                case Pending():
                    self.pending.append(part)
                case BankStatement():
                    self.statement = part
                    return
                case Begun():
                    return
            if len(self.rejected) + len(self.pending) > REJECTED_MAX:
                message = f"more than {REJECTED_MAX} of its lines cannot be loaded: are format and mapping right?"
                raise Invalid.of(*bad_rows(self.rejected), Fault("file", message))

    @property
    def listed(self) -> list[dict[str, object]]:
        """What was not loaded, in the order of the file: `{"line", "reason"}`."""
        entries: list[Rejected | Pending] = [*self.rejected, *self.pending]
        every = sorted(entries, key=lambda entry: entry.line)
        return [{"line": entry.line, "reason": entry.reason} for entry in every]


class Reading:
    """A file's statements one by one, and every fault of all of them in the end."""

    def __init__(self, parts: Iterable[Part], account: str | None) -> None:
        self.account = account
        self.faults: list[Fault] = []
        self._parts = self._heard(parts)

    def groups(self) -> Iterator[Group]:
        """Yield each statement; what its caller leaves unread is read before the next."""
        count = 0
        for begun in self._parts:
            count += 1
            said = begun.account if isinstance(begun, Begun) else None
            self.faults += account_faults(said, self.account)
            group = Group(self.account or (normalised_account(said) if said else None), self._parts)
            yield group
            self._end(group)
        if not count and not self.faults:
            self.faults.append(Fault("file", "holds no statement"))

    def refuse(self) -> None:
        """Raise Invalid where there are faults, all of them at once."""
        if self.faults:
            more = len(self.faults) - FAULTS_MAX
            rest = [Fault("file", f"and {more} more")] if more > 0 else []
            raise Invalid.of(*self.faults[:FAULTS_MAX], *rest)

    def _heard(self, parts: Iterable[Part]) -> Iterator[Part]:
        try:
            yield from parts
        except Invalid as problem:
            self.faults += problem.faults

    def _end(self, group: Group) -> None:
        try:
            for _ in group.rows() if group.statement is None else ():
                pass
        except Invalid as problem:
            self.faults += problem.faults
            return
        if group.statement is None:
            # What broke it off is among the faults already, and a line before it may be why.
            self.faults[:0] = bad_rows(group.rejected)
            return
        found = faults_of(group.statement, group.tally)
        # A line that cannot be read is why nothing adds up: both are told.
        self.faults += bad_rows(group.rejected) + found if found else []


def bad_rows(rejected: list[Rejected]) -> list[Fault]:
    """Return the first FAULTS_MAX rows that cannot be read as faults of the file."""
    return [Fault(f"line {entry.line}", entry.reason) for entry in rejected[:FAULTS_MAX]]
