"""What a text on a statement is to us: texts made comparable from month to month, and what a match teaches of them."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

ALIAS_LENGTH_MAX = 255
# Shorter ones are initials and remains of numbers: they would be found everywhere.
ALIAS_LENGTH_MIN = 4

_WORD = re.compile(r"\w+")
# Letters that Unicode does not take apart into a letter and an accent, as banks write them.
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"})
_MONTHS = frozenset(
    _WORD.findall("""
    january february march april may june july august september october november december
    jan feb mar apr jun jul aug sep sept oct nov dec
    januar februar marz maerz mai juni juli oktober dezember okt dez
    janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    """)
)
# What every payment says of itself. None of it tells who paid.
_COMMON = frozenset(
    _WORD.findall("""
    sepa sct credit debit transfer payment payments payout invoice inv ref reference number period month for from to the
    of and eur usd gbp chf gutschrift lastschrift uberweisung ueberweisung zahlung rechnung re rg nr verwendungszweck
    eref mref kref svwz virement paiement facture transferencia pago factura bonifico fattura end notprovided
    """)
)


class MeaningKind(StrEnum):
    """What an alias stands for."""

    SOURCE = "source"
    AFFILIATE = "affiliate"
    TRANSACTION = "transaction"


@dataclass(frozen=True)
class Meaning:
    """What an alias stands for: the id of a source or an affiliate, or a transaction id."""

    kind: MeaningKind
    value: str


@dataclass(frozen=True)
class Lesson:
    """`alias` stands for `meaning` on lines of `scope`: an account, or a source's reports."""

    scope: str
    alias: str
    meaning: Meaning


@dataclass(frozen=True)
class Kept:
    """An alias that is kept already. One that was dropped says: this text stands for nobody."""

    id: str
    meaning: Meaning
    is_active: bool


@dataclass(frozen=True)
class Lessons:
    """What comes of some lessons: aliases to keep, and ids of those to drop because they stand for two."""

    new: list[Lesson]
    dropped: list[str]


def normalised(text: str) -> str:
    """Return `text` in small letters without accents and punctuation, without what changes from month to month.

    Words with a digit in them (numbers, dates, end-to-end ids) and names of months are left out. Empty when nothing is
    left; the same again when it is normalised again.
    """
    words = [word for word in _words(text) if not any(letter.isdigit() for letter in word) and word not in _MONTHS]
    text = " ".join(words)
    if len(text) <= ALIAS_LENGTH_MAX:
        return text
    # Whole words: the beginning of one may be a month.
    return text[: ALIAS_LENGTH_MAX + 1].rpartition(" ")[0] or text[:ALIAS_LENGTH_MAX]


def normalised_id(text: str) -> str:
    """Return an id without its case, accents, spaces and punctuation; every digit stays."""
    return "".join(_words(text))[:ALIAS_LENGTH_MAX]


def of_bank_line(counterparty: str | None, text: str) -> str:
    """Return the alias of a bank's line: who it is from, or the text where the bank does not say."""
    return normalised(counterparty or "") or normalised(text)


def lesson(scope: str, text: str, meanings: Collection[Meaning]) -> Lesson | None:
    """Return what a match by hand teaches about a bank's normalised `text`; None when it teaches nothing.

    Nothing is learnt of a text that says nothing about who it is, nor of one line that is about several.
    """
    telling = [word for word in text.split() if word not in _COMMON]
    if len(set(meanings)) != 1 or len("".join(telling)) < ALIAS_LENGTH_MIN:
        return None
    [meaning] = set(meanings)
    return Lesson(scope, text, meaning)


def lesson_of_ids(scope: str, theirs: str | None, ours: Collection[str]) -> Lesson | None:
    """Return what a match by hand teaches about an id as a network writes it; None when it is the same, or unclear."""
    alias = normalised_id(theirs or "")
    if not alias or len(set(ours)) != 1 or theirs in ours:
        return None
    [transaction_id] = set(ours)
    return Lesson(scope, alias, Meaning(MeaningKind.TRANSACTION, transaction_id))


def learnt(lessons: Collection[Lesson], kept: Mapping[tuple[str, str], Kept]) -> Lessons:
    """Return what `lessons` change about the aliases `kept`, by scope and alias.

    A text that is found to stand for two stands for nobody: it is dropped. What was dropped, so or by a person, is
    never learnt again.
    """
    meanings: dict[tuple[str, str], set[Meaning]] = {}
    for each in lessons:
        meanings.setdefault((each.scope, each.alias), set()).add(each.meaning)
    new, dropped = [], []
    for (scope, alias), said in sorted(meanings.items()):
        known = kept.get((scope, alias))
        if known is None and len(said) == 1:
            new.append(Lesson(scope, alias, *said))
        elif known is not None and known.is_active and said != {known.meaning}:
            dropped.append(known.id)
    return Lessons(new, dropped)


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS)).casefold()
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    # An underscore is punctuation here.
    return _WORD.findall(plain.replace("_", " "))
