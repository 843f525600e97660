"""Opens a bank's file in the format that is asked for, or in the one that its beginning shows."""

import re
from typing import BinaryIO

from core.errors import Fault, Invalid
from reports.bank_formats import bai2, camt053, csv_statement, mt940
from reports.bank_formats.shape import Parts

AUTO = "auto"
CSV = "csv"


def _ofx(file: BinaryIO) -> Parts:
    # Here, not above: the library's own parser of HTML costs every start 0.1 s.
    from reports.bank_formats import ofx  # noqa: PLC0415

    return ofx.parts(file)


_READERS = {"camt.053": camt053.parts, "mt940": mt940.parts, "bai2": bai2.parts, "ofx": _ofx}
FORMATS = (*_READERS, CSV)

_BEGINNING_BYTES = 4096
_ARCHIVES = {b"PK\x03\x04": "a ZIP archive", b"\x1f\x8b": "a gzip archive", b"%PDF": "a PDF"}
_OFX = re.compile(rb"OFXHEADER|<OFX>", re.IGNORECASE)
_XML = re.compile(rb"\s*<(\?xml|([A-Za-z_][\w.-]*:)?Document)")
_MT940 = re.compile(rb"(^|\n|\{4:)\s*:20:|^\s*\{1:F")
_BAI2 = re.compile(rb"\s*01,[^,\n]*,[^,\n]*,[0-9]{6},")


def opened(file: BinaryIO, asked: str, mapping: object) -> tuple[str, Parts]:
    """Return the file's format and its parts, of which none is read yet.

    Raise Invalid for a packed file, for one whose beginning shows no format, and for a mapping of what is no CSV.
    """
    beginning = file.read(_BEGINNING_BYTES)
    file.seek(0)
    for mark, name in _ARCHIVES.items():
        if beginning.startswith(mark):
            raise Invalid.of(Fault("file", f"is {name}: send the statement that is in it, unpacked"))
    found = asked if asked != AUTO else sniffed(beginning, has_mapping=mapping is not None)
    if found is None:
        raise Invalid.of(
            Fault("format", f"cannot be told from the file: say one of {', '.join(FORMATS)}; CSV needs a mapping")
        )
    if found == CSV:
        return found, csv_statement.parts(file, mapping)
    if mapping is not None:
        raise Invalid.of(Fault("mapping", f"is for CSV, and this is {found}"))
    return found, _READERS[found](file)


def sniffed(beginning: bytes, *, has_mapping: bool) -> str | None:
    """Return the format that a file's first bytes show, None for none of them. What has a mapping is CSV."""
    if has_mapping:
        return CSV
    plain = beginning.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"")
    if _OFX.search(plain):
        return "ofx"
    if _XML.match(plain.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")):
        return "camt.053"
    if _BAI2.match(plain):
        return "bai2"
    return "mt940" if _MT940.search(plain) else None
