"""Reads a report that is JSON, an array at a path or an object a line, without holding more of it than a row."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from json.decoder import JSONDecodeError
from typing import IO, Any

from core.errors import Fault, Invalid
from reports.csv_report import Cells, Rejected, Row, gathered
from reports.report_layout import Format, Layout

# Keys are often left out where they are empty: so many objects are asked which there are.
HEADER_ROWS = 200
_READ_CHARACTERS = 1 << 18
_VALUE_LENGTH_MAX = 1 << 20
_DEPTH_MAX = 10
_BLANKS = " \t\r\n"


def _plain(text: str) -> str:
    return text


# Numbers stay as they are written: a float would change the amounts.
_DECODER = json.JSONDecoder(parse_float=_plain, parse_int=_plain, parse_constant=_plain)


class JsonTable:
    """A JSON report; its header are the keys of its first objects, those of objects inside with points between.

    Rows count from 1; of JSON lines it is the line's number. Raises Invalid where no rows can be found, and while
    reading where the file breaks off: what comes behind that place cannot be known.
    """

    def __init__(self, file: IO[bytes], layout: Layout) -> None:
        self._layout = layout
        self._text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        if layout.format is Format.JSONL:
            objects = _of_lines(self._text)
        else:
            objects = _of_array(_Scanner(self._text), layout.path)
        try:
            first = _some(objects)
        except UnicodeDecodeError as error:
            self.close()
            raise Invalid.of(Fault("file", f"is not UTF-8: {error}")) from None
        except BaseException:
            self.close()
            raise
        self.header = list(dict.fromkeys(chain.from_iterable(_names(value) for _, value in first)))
        self._objects = chain(first, objects)

    def close(self) -> None:
        """Let go of the file, which stays open for whoever opened it."""
        self._text.detach()

    def chunks(self, columns: Sequence[str]) -> Iterator[Cells]:
        """Yield the rows' `columns`; a key that an object has not is an empty cell."""
        paths = [tuple(name.split(".")) for name in columns]
        rows = ((line, _row(line, value, paths)) for line, value in self._objects)
        return gathered(rows, range(len(columns)), width=len(columns), foot=self._layout.foot)


def _some(objects: Iterator[tuple[int, Any]]) -> list[tuple[int, Any]]:
    first = list(islice(objects, HEADER_ROWS))
    if not first:
        raise Invalid.of(Fault("file", "is empty: it has no rows"))
    return first


def _of_lines(text: IO[str]) -> Iterator[tuple[int, Any]]:
    number = 0
    while line := text.readline(_VALUE_LENGTH_MAX):
        number += 1
        if line.isspace():
            continue
        try:
            yield number, _DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            yield number, Rejected(number, f"cannot be read as JSON: {_said(error)}")


def _of_array(scanner: "_Scanner", path: tuple[str, ...]) -> Iterator[tuple[int, Any]]:
    for at, key in enumerate(path):
        scanner.enter(key, ".".join(path[: at + 1]))
    where = f"the value at {'.'.join(path)}" if path else "it"
    yield from enumerate(scanner.items(where), 1)


def _names(value: object, before: str = "", depth: int = 0) -> Iterator[str]:
    if isinstance(value, Mapping) and depth < _DEPTH_MAX:
        for key, inner in value.items():
            if isinstance(inner, Mapping):
                yield from _names(inner, f"{before}{key}.", depth + 1)
            else:
                yield f"{before}{key}"


def _row(line: int, value: object, paths: Sequence[tuple[str, ...]]) -> Row:
    if isinstance(value, Rejected):
        return value
    if not isinstance(value, Mapping):
        return Rejected(line, "is no JSON object")
    cells = []
    for path in paths:
        # A key may hold a point itself: as it stands it comes first.
        cell: Any = value.get(".".join(path)) if len(path) > 1 else None
        if cell is None:
            cell = value
            for key in path:
                cell = cell.get(key) if isinstance(cell, Mapping) else None
        if isinstance(cell, str):
            cells.append(cell)
        elif cell is None:
            cells.append("")
        elif isinstance(cell, bool):
            cells.append("true" if cell else "false")
        else:
            return Rejected(line, f"its {'.'.join(path)} is no plain value")
    return cells


def _said(error: ValueError | RecursionError) -> str:
    return error.msg if isinstance(error, JSONDecodeError) else "it is nested too deeply"


class _Scanner:
    """The place where a JSON text is read, with as much of it in memory as one value needs."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._held = ""
        self._at = 0
        self._is_ended = False

    def enter(self, key: str, path: str) -> None:
        """Go to the value of `key` in the object that begins here."""
        self._expect("{", f"has no object where {path} leads")
        while self._next() != "}":
            found = self.value()
            self._expect(":", "is no JSON: a key without a value")
            if found == key:
                return
            self.value()
            if self._next() == ",":
                self._at += 1
        message = f"has nothing at {path}"
        raise Invalid.of(Fault("file", message))

    def items(self, where: str) -> Iterator[Any]:
        """Yield the values of the array that begins here."""
        self._expect("[", f"is no list of rows: {where} is no JSON array; the mapping's path says where it is")
        if self._next() == "]":
            return
        while True:
            yield self.value()
            mark = self._next()
            self._at += 1
            if mark == "]":
                return
            if mark != ",":
                raise Invalid.of(Fault("file", "is no JSON: between two rows stands no comma, or it breaks off"))

    def value(self) -> Any:
        """Read one whole value."""
        self._next()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                if self._is_ended or isinstance(error, RecursionError):
                    raise Invalid.of(Fault("file", f"is no JSON: {_said(error)}")) from None
            else:
                # A number at the very end of what is held may go on.
                if end < len(self._held) or self._is_ended:
                    self._at = end
                    return found
            self._more()

    def _expect(self, mark: str, otherwise: str) -> None:
        if self._next() != mark:
            raise Invalid.of(Fault("file", otherwise))
        self._at += 1

    def _next(self) -> str:
        """Return the next character that is no blank, "" at the end, and stand before it."""
        while True:
            while self._at < len(self._held) and self._held[self._at] in _BLANKS:
                self._at += 1
            if self._at < len(self._held):
                return self._held[self._at]
            if self._is_ended:
                return ""
            self._more()

    def _more(self) -> None:
        self._held = self._held[self._at :]
        self._at = 0
        if len(self._held) > _VALUE_LENGTH_MAX:
            raise Invalid.of(Fault("file", f"holds a value of more than {_VALUE_LENGTH_MAX:,} characters"))
        read = self._text.read(_READ_CHARACTERS)
        self._is_ended = not read
        self._held += read
