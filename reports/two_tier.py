"""The second tier of a check: our conversions beside an advertiser's own list, by transaction id. Plain values."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import TypeVar

from core.errors import Fault
from reports.matching import DiscrepancyClass, class_of_pair

PERCENT_MAX = 100

ItemT = TypeVar("ItemT")


class Meaning(StrEnum):
    """What an advertiser's status word says of a sale."""

    VALID = "valid"
    VOID = "void"
    OPEN = "open"  # not decided yet: its status is not compared


WORDS: Mapping[str, Meaning] = {
    **dict.fromkeys(
        ("accepted", "approved", "closed", "complete", "completed", "confirmed", "delivered", "paid", "shipped",
         "valid", "validated", "won"),
        Meaning.VALID,
    ),
    **dict.fromkeys(
        ("cancelled", "canceled", "chargeback", "declined", "fraud", "invalid", "lost", "refunded", "rejected",
         "returned", "reversed", "void", "voided"),
        Meaning.VOID,
    ),
    **dict.fromkeys(("in progress", "new", "open", "pending", "processing"), Meaning.OPEN),
}  # fmt: skip


@dataclass(frozen=True)
class Ours:
    """A conversion. `is_due`: the list covers it and it is old enough, so that its absence there says something."""

    id: str
    transaction_id: str
    amount_minor: int | None
    currency: str
    is_void: bool
    is_old: bool
    is_due: bool
    source_id: str | None = None


@dataclass(frozen=True)
class Theirs:
    """A line of the list. `is_old`: its day lies so far back that we should know of it."""

    id: str
    transaction_id: str
    amount_minor: int
    currency: str
    meaning: Meaning
    is_old: bool = True


@dataclass(frozen=True)
class Compared:
    """A conversion, a line, or both of one id; `klass` is what is wrong, None when nothing is."""

    ours: Ours | None
    theirs: Theirs | None
    klass: DiscrepancyClass | None


def is_sampled(transaction_id: str, *, seed: int, percent: int) -> bool:
    """Say whether a transaction is in the sample: the same seed always takes the same ones, on either side."""
    if percent >= PERCENT_MAX:
        return True
    digest = hashlib.sha256(f"{seed}:{transaction_id}".encode()).digest()
    # 100 does not divide 2**64: the lowest of the hundred parts is larger by less than 1 in 10**17.
    return int.from_bytes(digest[:8]) % PERCENT_MAX < percent


def vocabulary(raw: object) -> tuple[dict[str, Meaning], list[Fault]]:
    """Return what the status words mean, `raw` ones before WORDS, and everything wrong with `raw`.

    `raw` maps meanings to lists of words, as `{"void": ["storno"]}`. Capitals and blanks around a word do not count.
    """
    if not isinstance(raw, Mapping):
        return {}, [Fault("statuses", 'takes an object, such as {"valid": ["paid"], "void": ["storno"]}')]
    said: dict[str, Meaning] = {}
    faults = []
    for name, words in raw.items():
        if name not in set(Meaning):
            faults.append(Fault(f"statuses.{name}", f"is no meaning: {', '.join(Meaning)}"))
        elif not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
            faults.append(Fault(f"statuses.{name}", "takes a list of words"))
        else:
            faults += [
                Fault(f"statuses.{name}", f"{word!r} has two meanings")
                for word in words
                if said.setdefault(_plain(word), Meaning(name)) is not Meaning(name)
            ]
    return {**WORDS, **said}, faults


def meaning_of(word: str | None, words: Mapping[str, Meaning]) -> Meaning | None:
    """Return what a status word means; without a word it says nothing (open), an unknown one is None."""
    return Meaning.OPEN if word is None else words.get(_plain(word))


def compare(ours: Iterable[Ours], theirs: Iterable[Theirs]) -> Iterator[Compared]:
    """Yield every conversion and every line once, those of one transaction id in pairs where there are two.

    Both come ascending by transaction id (in the order of Unicode's code points) and are never held whole. Of one id
    equal amounts are paired first, then equal currencies, then the rest in their order.
    """
    mine = groupby(ours, key=lambda each: each.transaction_id)
    other = groupby(theirs, key=lambda each: each.transaction_id)
    left, right = _next(mine), _next(other)
    while left is not None or right is not None:
        first = min(group[0] for group in (left, right) if group is not None)
        here = left[1] if left is not None and left[0] == first else None
        there = right[1] if right is not None and right[0] == first else None
        yield from _of_one_id(here or [], there or [])
        left = left if here is None else _next(mine)
        right = right if there is None else _next(other)


def _of_one_id(ours: list[Ours], theirs: list[Theirs]) -> Iterator[Compared]:
    for is_like in (_same_amount, _same_currency, lambda _ours, _theirs: True):
        for each in list(ours):
            other = next((line for line in theirs if is_like(each, line)), None)
            if other is not None:
                ours.remove(each)
                theirs.remove(other)
                yield Compared(each, other, _class_of(each, other))
    for each in ours:
        is_missing = each.is_due and not each.is_void
        yield Compared(each, None, DiscrepancyClass.MISSING_AT_ADVERTISER if is_missing else None)
    for line in theirs:
        is_missing = line.is_old and line.meaning is not Meaning.VOID
        yield Compared(None, line, DiscrepancyClass.MISSING_AT_US if is_missing else None)


def _class_of(ours: Ours, theirs: Theirs) -> DiscrepancyClass | None:
    if not ours.is_old:
        return None
    if ours.is_void is not (theirs.meaning is Meaning.VOID) and theirs.meaning is not Meaning.OPEN:
        return DiscrepancyClass.STATUS_MISMATCH
    if ours.is_void:
        return None
    return class_of_pair(
        ours_minor=ours.amount_minor,
        ours_currency=ours.currency,
        theirs_minor=theirs.amount_minor,
        theirs_currency=theirs.currency,
    )


def _same_amount(ours: Ours, theirs: Theirs) -> bool:
    return (ours.amount_minor, ours.currency) == (theirs.amount_minor, theirs.currency)


def _same_currency(ours: Ours, theirs: Theirs) -> bool:
    return ours.currency == theirs.currency


def _next(groups: Iterator[tuple[str, Iterator[ItemT]]]) -> tuple[str, list[ItemT]] | None:
    found = next(groups, None)
    return None if found is None else (found[0], list(found[1]))


def _plain(word: str) -> str:
    return " ".join(word.casefold().split())
