"""Turns the texts of a report's cells into amounts, days, words and ids; a text that is none becomes a reason."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from core import money
from reports.report_mapping import EPOCH, EPOCH_MS, ISO, Columns

CELL_LENGTH_MAX = 255
STATUS_LENGTH_MAX = 40
# More than a month has minutes; what is beyond is forgotten and made again.
MADE_MAX = 1 << 16
_TIME_OF_DAY = ("%H", "%I", "%X", "%c")
_GROUP = 3
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " "})
_DAY_S = 86_400
_FIRST_DAY = date(1970, 1, 1)
_EPOCH_DAYS = range(-365 * 70, 365 * 130)


class Bad(str):
    """Why a cell is not what it should be; a sentence that goes on from "the row"."""

    __slots__ = ()


class Made(dict[str, Any]):
    """What `make` returned for each text it was asked for, or Bad with the message of its ValueError.

    Months, amounts and words repeat: a dictionary answers in a hundredth of the time that reading them takes.
    """

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> Any:
        if len(self) >= MADE_MAX:
            self.clear()
        try:
            value = self._make(text)
        except ValueError as error:
            value = Bad(str(error))
        self[text] = value
        return value


def kept(texts: list[str], name: str, length_max: int = CELL_LENGTH_MAX) -> list[Any]:
    """Return ids or words as they stand, None for empty ones, and Bad for what no database keeps and no eye sees."""
    if "".join(texts).isprintable() and max(map(len, texts), default=0) <= length_max:
        return [text or None for text in texts]
    return [_kept(text, name, length_max) for text in texts]


def _kept(text: str, name: str, length_max: int) -> Any:
    if len(text) > length_max:
        return Bad(f"its {name} is longer than {length_max} characters")
    # PostgreSQL keeps no NUL, and none of the others is seen by a person who compares two ids.
    return (text or None) if text.isprintable() else Bad(f"its {name} holds a control character")


def together(columns: Columns, cells: Mapping[str, list[str]]) -> list[str]:
    """Return what several columns say as one: the first that is not empty, or all that are not, joined."""
    first = cells[columns.names[0]]
    if len(columns.names) == 1:
        return first
    rows = zip(*(cells[name] for name in columns.names), strict=True)
    if columns.by is None:
        return [next(filter(None, row), "") for row in rows]
    # All or nothing: half a key is another row's key.
    return [columns.by.join(row) if all(row) else "" for row in rows]


def amounts(*, currency: str, decimal: str, thousands: str | None, is_negated: bool) -> Made:
    """Return the reader of amounts in minor units of `currency`."""
    sign = -1 if is_negated else 1

    def minor(text: str) -> int:
        return sign * money.parse(_pointed(text, decimal, thousands), currency).amount_minor

    return Made(minor)


def _pointed(text: str, decimal: str, thousands: str | None) -> str:
    """Return an amount with a decimal point and no thousands marks; raise ValueError where the marks stand wrong."""
    whole, mark, rest = text.partition(decimal)
    if thousands is not None:
        whole = _ungrouped(whole.translate(_SPACES) if thousands == " " else whole, thousands, text)
    if decimal == ".":
        return f"{whole}{mark}{rest}"
    if "." in whole or "." in rest:
        message = f"{text!r} is not an amount with a decimal comma, such as 12,50"
        raise ValueError(message)
    return f"{whole}.{rest}" if mark else whole


def _ungrouped(whole: str, thousands: str, text: str) -> str:
    first, *groups = whole.split(thousands)
    # 1,2 with a comma for thousands is more likely a decimal comma than twelve.
    if groups and (not 0 < len(first.lstrip("-")) <= _GROUP or any(len(group) != _GROUP for group in groups)):
        message = f"{text!r} is not an amount: its thousands marks do not stand three digits apart"
        raise ValueError(message)
    return "".join([first, *groups])


def days(date_format: str, timezone: ZoneInfo) -> Callable[[list[str]], list[Any]]:
    """Return the reader of moments: the UTC day of each, as ISO text.

    A date without a time of day stays that date whatever the zone: midnight would move every date of a zone east of
    Greenwich to the day before.
    """
    if date_format in (EPOCH, EPOCH_MS):
        return _each(Made(partial(_epoch_day, unit=1000 if date_format == EPOCH_MS else 1)))
    if date_format == ISO:
        return _headed(Made(partial(_iso_day, timezone=timezone)), _iso_minute)
    has_seconds_last = date_format.endswith(":%S") and any(each in date_format for each in ("%H", "%I"))
    whole = Made(partial(_day, date_format=date_format, timezone=timezone))
    if not has_seconds_last or "%z" in date_format:
        return _each(whole)
    minutes = Made(partial(_day, date_format=date_format.removesuffix(":%S"), timezone=timezone))
    return partial(_by_minute, whole, minutes)


def _each(made: Made) -> Callable[[list[str]], list[Any]]:
    def read(texts: list[str]) -> list[Any]:
        return [made[text] for text in texts]

    return read


def _headed(made: Made, head: Callable[[str], str]) -> Callable[[list[str]], list[Any]]:
    def read(texts: list[str]) -> list[Any]:
        found = []
        for text in texts:
            day = made[head(text)]
            # What is wrong is told of the whole text.
            found.append(made[text] if type(day) is Bad else day)
        return found

    return read


def _by_minute(whole: Made, minutes: Made, texts: list[str]) -> list[Any]:
    # A month has 2.7 million seconds, of which every second moment in a large report is new, but 45,000 minutes.
    # Seconds move no moment into another day: every zone's offset is one of whole minutes.
    found = []
    for text in texts:
        if text[-3:-2] == ":" and "00" <= text[-2:] <= "59" and text[-2:].isdecimal() and text.isascii():
            day = minutes[text[:-3]]
            found.append(whole[text] if type(day) is Bad else day)
        else:
            found.append(whole[text])
    return found


# Forms that datetime.fromisoformat reads too, thirty times as fast, with their lengths.
_ISO_FORMS = {"%Y-%m-%d": 10, "%Y-%m-%d %H:%M": 16, "%Y-%m-%dT%H:%M": 16}


def _moment(text: str, date_format: str) -> datetime:
    length = _ISO_FORMS.get(date_format)
    # Of what it reads beyond these forms, such as weeks, none has its dashes and its blank at these places.
    if length == len(text) and text[4] == text[7] == "-" and text[10:11] == date_format[8:9]:
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(text)
    return datetime.strptime(text, date_format)  # noqa: DTZ007 - the zone is the mapping's


def _day(text: str, *, date_format: str, timezone: ZoneInfo) -> str:
    try:
        moment = _moment(text, date_format)
    except ValueError:
        message = f"{text!r} is not a date of the form {date_format}"
        raise ValueError(message) from None
    if moment.tzinfo is None:
        if not any(directive in date_format for directive in _TIME_OF_DAY):
            return moment.date().isoformat()
        moment = moment.replace(tzinfo=timezone)
    return _utc_day(moment, text)


def _utc_day(moment: datetime, text: str) -> str:
    try:
        return moment.astimezone(UTC).date().isoformat()
    except OverflowError:
        message = f"{text!r} lies outside the calendar"
        raise ValueError(message) from None


def _iso_minute(text: str) -> str:
    """Return an RFC 3339 moment without its seconds, and anything else as it is."""
    # 2026-10-03T10:00:00Z, ...:00.123Z, ...:00+02:00: the zone stays, the seconds go.
    if len(text) < _ISO_LENGTH_MIN or text[10] not in "T " or text[16] != ":" or not text[17:19].isdecimal():
        return text
    zone = text[19:]
    if zone[:1] == ".":
        zone = zone.lstrip(".0123456789")
    return text if text[17:19] > "59" else f"{text[:16]}{zone}"


_ISO_LENGTH_MIN = len("2026-10-03T10:00:00")


def _iso_day(text: str, *, timezone: ZoneInfo) -> str:
    has_time = len(text) > len("2026-10-03")
    try:
        if len(text) < len("2026-10-03") or text[4] != "-" or text[7] != "-" or not text.isascii():
            raise ValueError  # noqa: TRY301 - said below
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        message = f"{text!r} is not a date of ISO 8601, such as 2026-10-03 or 2026-10-03T10:00:00Z"
        raise ValueError(message) from None
    if not has_time:
        return moment.date().isoformat()
    return _utc_day(moment if moment.tzinfo else moment.replace(tzinfo=timezone), text)


def _epoch_day(text: str, *, unit: int) -> str:
    digits = text.removesuffix(".0") if text.endswith(".0") else text
    if not (digits.isdecimal() and digits.isascii()) or len(digits) > len("1000000000000000"):
        message = f"{text!r} is not a moment in {'milliseconds' if unit > 1 else 'seconds'} since 1970"
        raise ValueError(message)
    day = int(digits) // unit // _DAY_S
    if day not in _EPOCH_DAYS:
        message = f"{text!r} lies outside the calendar"
        raise ValueError(message)
    return (_FIRST_DAY + timedelta(days=day)).isoformat()


def reasons(values: list[Any]) -> Iterator[tuple[int, str]]:
    """Yield the place and the reason of every Bad among `values`."""
    if Bad in set(map(type, values)):
        for place, value in enumerate(values):
            if type(value) is Bad:
                yield place, str(value)
