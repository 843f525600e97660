"""What the journal should say beside what it says: two ordered streams, and each place where they part."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ledger.posting import Line, Posting


class Fault(StrEnum):
    """How the journal is not what it is about."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Expected:
    """An entry that should be there; `period` is the month it must be in, None where only the journal knows it."""

    posting: Posting
    period: str | None = None


@dataclass(frozen=True)
class Posted:
    """An entry as the journal has it, with the month of the date it is booked on."""

    entry_id: str
    posting: Posting
    period: str
    booked_in: str


@dataclass(frozen=True)
class Difference:
    """One place where the journal is not what it is about; `details` says what should be there and what is."""

    fault: Fault
    kind: str
    source_type: str
    source_id: str
    details: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.kind} of {self.source_type} {self.source_id}: {self.details}"


def differences(expected: Iterable[Expected], posted: Iterable[Posted]) -> Iterator[Difference]:
    """Yield each difference between two streams of one kind and source type, both ascending by source id.

    Neither names a source twice. Nothing is kept but the two entries at hand.
    """
    wanted, found = iter(expected), iter(posted)
    want, have = next(wanted, None), next(found, None)
    while want is not None or have is not None:
        if have is None or (want is not None and want.posting.source_id < have.posting.source_id):
            assert want is not None  # noqa: S101 - for the type checker: not both are None
            yield _difference(Fault.MISSING, want.posting, told(want.posting.lines))
            want = next(wanted, None)
        elif want is None or have.posting.source_id < want.posting.source_id:
            yield extra(have)
            have = next(found, None)
        else:
            if details := _details(want, have):
                yield _difference(Fault.DIFFERENT, have.posting, "; ".join(details))
            want, have = next(wanted, None), next(found, None)


def extra(posted: Posted) -> Difference:
    """Return what is said of an entry about nothing that there is."""
    return _difference(Fault.EXTRA, posted.posting, f"{posted.entry_id} has {told(posted.posting.lines)}")


def told(lines: Iterable[Line]) -> str:
    """Return lines as a person compares them: account, minor units, currency, and whose part it is."""
    parts = [
        f"{line.account} {line.amount_minor} {line.currency}" + (f" ({line.affiliate_id})" if line.affiliate_id else "")
        for line in lines
    ]
    return ", ".join(parts) or "no lines"


def _details(want: Expected, have: Posted) -> list[str]:
    found = []
    if want.posting.lines != have.posting.lines:
        found.append(f"should have {told(want.posting.lines)}, has {told(have.posting.lines)}")
    if want.posting.occurred_on != have.posting.occurred_on:
        found.append(f"should be of {want.posting.occurred_on}, is of {have.posting.occurred_on}")
    if want.posting.description != have.posting.description:
        found.append(f"should read {want.posting.description!r}, reads {have.posting.description!r}")
    if want.period is not None and want.period != have.period:
        found.append(f"should be in {want.period}, is in {have.period}")
    if have.booked_in != have.period:
        found.append(f"is in {have.period}, is booked on a day of {have.booked_in}")
    return found


def _difference(fault: Fault, posting: Posting, details: str) -> Difference:
    return Difference(fault, posting.kind, posting.source_type, posting.source_id, details)
