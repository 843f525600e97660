"""Where the rows stand in a report's file: its format, and what lies above, below and around them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.errors import Fault

KEYS = {"format", "delimiter", "skip", "sheet", "path"}
DELIMITERS = (",", ";", "\t", "|")
SKIPPED_MAX = 100
_PATH_DEPTH_MAX = 10
_NAME_LENGTH_MAX = 200


class Format(StrEnum):
    """How a report is written."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSONL = "jsonl"
    XLSX = "xlsx"


@dataclass(frozen=True)
class Layout:
    """Where the rows are. `head` lines or rows lie above the header, `foot` rows end the file and are none of its.

    `sheet` is a name or a number from 1, of XLSX; `path` names the keys that lead to the rows of a JSON object.
    """

    format: Format = Format.CSV
    delimiter: str = ","
    head: int = 0
    foot: int = 0
    sheet: str | int = 1
    path: tuple[str, ...] = ()


def sniffed(beginning: bytes) -> Format:
    """Return the format that a file's first bytes show; CSV where they show none."""
    if beginning.startswith(b"PK\x03\x04"):
        return Format.XLSX
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    return Format.JSON if text[:1] in (b"{", b"[") else Format.CSV


def of_mapping(raw: object, beginning: bytes) -> tuple[Layout, list[Fault]]:
    """Return the layout that the mapping `raw` declares, and everything wrong with it.

    What is wrong is read as if it were not there, so that the header can be looked at for further faults.
    """
    if not isinstance(raw, Mapping):
        return Layout(sniffed(beginning)), []
    faults: list[Fault] = []

    def taken(key: str, default: Any, *, holds: bool, reason: str) -> Any:
        if key in raw and not holds:
            faults.append(Fault(f"mapping.{key}", reason))
        return raw[key] if key in raw and holds else default

    known = Format(
        taken(
            "format",
            sniffed(beginning),
            holds=raw.get("format") in tuple(Format),
            reason=f"takes {', '.join(tuple(Format))}",
        )
    )
    path = taken(
        "path", "", holds=_is_path(raw.get("path")), reason="takes keys with points between, such as data.rows"
    )
    return Layout(
        format=known,
        delimiter=taken(
            "delimiter", "\t" if known is Format.TSV else ",", holds=raw.get("delimiter") in DELIMITERS,
            reason="takes a comma, a semicolon, a tab or a bar",
        ),
        sheet=taken("sheet", 1, holds=_is_sheet(raw.get("sheet")), reason="takes a sheet's name, or its number from 1"),
        path=tuple(path.split(".")) if path else (),
        **_skipped(raw.get("skip"), faults),
    ), faults  # fmt: skip


def _is_sheet(sheet: object) -> bool:
    if isinstance(sheet, str):
        return 0 < len(sheet) <= _NAME_LENGTH_MAX
    return isinstance(sheet, int) and not isinstance(sheet, bool) and 1 <= sheet <= _NAME_LENGTH_MAX


def _is_path(path: object) -> bool:
    if not isinstance(path, str) or len(path) > _NAME_LENGTH_MAX:
        return False
    keys = path.split(".")
    return all(keys) and len(keys) <= _PATH_DEPTH_MAX


def _skipped(skip: object, faults: list[Fault]) -> dict[str, int]:
    if skip is None:
        return {}
    if not isinstance(skip, Mapping) or not set(skip) <= {"head", "foot"}:
        faults.append(Fault("mapping.skip", 'takes {"head": 2, "foot": 1}, either alone too'))
        return {}
    found = {}
    for key, count in skip.items():
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= SKIPPED_MAX:
            found[key] = count
        else:
            faults.append(Fault(f"mapping.skip.{key}", f"takes a number of rows from 0 to {SKIPPED_MAX}"))
    return found
