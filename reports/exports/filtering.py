"""Which rows of a report are wanted: every filter is read, and every fault named, in one place."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

from core import money
from core.errors import Fault, Invalid

_PERIOD = re.compile(r"(?!0000)[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII)
_MARK = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,79}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


@dataclass(frozen=True)
class Filters:
    """What narrows a report; None narrows nothing. Moments: after `since`, up to and with `until`.

    `as_of` is the day that ages are counted to, `mark` the name under which an export remembers how far it went.
    """

    period: str | None = None
    currency: str | None = None
    affiliate_id: str | None = None
    source_id: str | None = None
    campaign_id: str | None = None
    state: str | None = None
    leg: str | None = None
    as_of: date | None = None
    since: datetime | None = None
    until: datetime | None = None
    mark: str | None = None

    def shown(self) -> dict[str, str]:
        """Return those that narrow, as text: read again they are the same."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: _text(value) for name, value in found.items() if value is not None}


def read(given: Mapping[str, Any], *, takes: Sequence[str], needs: Sequence[str] = (), path: str = "") -> Filters:
    """Return the filters that `given` holds as texts; raise Invalid with every fault, as fields under `path`.

    `takes` are those the report knows, `needs` those of them without which it cannot be made.
    """
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in takes:
            known = f"the report takes {', '.join(takes)}" if takes else "the report takes none"
            faults.append(Fault(f"{path}{name}", f"is no filter here: {known}"))
            continue
        try:
            found[name] = _READERS[name](value if isinstance(value, str) else "")
        except ValueError as error:
            faults.append(Fault(f"{path}{name}", str(error)))
    faults += [Fault(f"{path}{name}", "is needed") for name in needs if name not in given]
    since, until = found.get("since"), found.get("until")
    if since is not None and until is not None and until < since:
        faults.append(Fault(f"{path}until", "is before since"))
    if since is not None and "mark" in found:
        faults.append(Fault(f"{path}since", "goes without a mark: the mark says since when"))
    if faults:
        raise Invalid.of(*faults)
    return Filters(**found)


def _period(text: str) -> str:
    return _matching(_PERIOD, text, "takes a month, such as 2026-10")


def _word(text: str) -> str:
    return _matching(_WORD, text, "takes up to 40 letters, digits and . _ -")


def _mark(text: str) -> str:
    return _matching(_MARK, text, "takes a name of up to 80 letters, digits, spaces and . _ -")


def _currency(text: str) -> str:
    money.exponent(text)  # its MoneyError is a ValueError with the sentence for it
    return text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = "takes a day, such as 2026-10-31"
        raise ValueError(message) from None


def _moment(text: str) -> datetime:
    message = "takes an RFC 3339 time with its offset, such as 2026-10-03T10:00:00Z"
    if not _MOMENT.fullmatch(text):
        raise ValueError(message)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(message) from None


def _matching(pattern: re.Pattern[str], text: str, sentence: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(sentence)
    return text


def _text(value: str | date | datetime) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


_READERS: Mapping[str, Callable[[str], Any]] = {
    "period": _period,
    "currency": _currency,
    "affiliate_id": _word,
    "source_id": _word,
    "campaign_id": _word,
    "state": _word,
    "leg": _word,
    "as_of": _day,
    "since": _moment,
    "until": _moment,
    "mark": _mark,
}
NAMES = tuple(_READERS)
