"""Walks through a camt.053 file of any length: entries and statements as they end, and nothing kept behind them."""

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from core.errors import Fault, Invalid

_ROOT = re.compile(r"\{(urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.[0-9]{2})\}Document", re.ASCII)
# An entry is held whole until its end, in five times its size or more: those of a collective entry all at once.
ENTRY_BYTES_MAX = 32 << 20
# libxml2 counts no further without its own limits taken off.
_LINE_COUNTED_MAX = 65_535
_ENTRY_BEGINS = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?Ntry[\s>]")


class _LinesOfEntries:
    """A file that notes, as it is read, on which lines its entries begin, and how much is held (`held`) of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._line = 1
        self._rest = b""
        self.entries: deque[int] = deque()
        self.held = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, as a file does."""
        chunk = self._file.read(size)
        self.held += len(chunk)
        if self.held > ENTRY_BYTES_MAX:
            message = f"holds more than {ENTRY_BYTES_MAX >> 20} MB in one entry or header, at line {self._line}"
            raise Invalid.of(Fault("file", message))
        text = self._rest + chunk
        # A tag that the chunk cuts in two is found with the next one.
        cut = max(text.rfind(b"<"), 0) if chunk else len(text)
        counted = 0
        for found in _ENTRY_BEGINS.finditer(text, 0, cut):
            self._line += text.count(b"\n", counted, found.start())
            counted = found.start()
            self.entries.append(self._line)
        self._line += text.count(b"\n", counted, cut)
        self._rest = text[cut:]
        if len(self._rest) > size:
            self._line += self._rest.count(b"\n")
            self._rest = b""
        return chunk


def closed_elements(file: BinaryIO) -> Iterator[tuple[str, etree._Element, int]]:
    """Yield entries and statements as they end: local name, element, line. The caller forgets each (`forget`).

    Raise Invalid for another document, one that declares a document type, and an entry that is too long to hold;
    lxml's errors for what is no XML.
    """
    prefix = _prefix(next(_events(file, "start"))[1])
    file.seek(0)
    source = _LinesOfEntries(file)
    # Events for these two alone: making an object of every element took half of the time.
    for _, element in _events(source, "end", f"{prefix}Ntry", f"{prefix}Stmt"):
        tag = element.tag.removeprefix(prefix)
        source.held = 0
        yield tag, element, _line(element, source) if tag == "Ntry" else 0


def _events(source: Any, event: str, *tags: str) -> Iterator[tuple[str, etree._Element]]:
    # An entity could read a file of ours or grow without end: none is resolved, and a document type that could
    # declare one is refused. libxml2's own limits on depth and size stay on.
    events: Iterator[tuple[str, etree._Element]] = etree.iterparse(
        source,
        events=(event,),
        tag=tags or None,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return events


def _prefix(root: etree._Element) -> str:
    if root.getroottree().docinfo.doctype:  # type: ignore[attr-defined]  # the stubs have it not
        raise Invalid.of(Fault("file", "declares a document type (DTD), which no bank statement needs"))
    found = _ROOT.fullmatch(root.tag)
    if found is None:
        raise Invalid.of(Fault("file", f"is no camt.053.001 document: its root is {root.tag}"))
    return f"{{{found[1]}}}"


def _line(entry: etree._Element, source: _LinesOfEntries) -> int:
    counted: int = getattr(entry, "sourceline", None) or 0
    noted = source.entries.popleft() if source.entries else 0
    return noted if counted >= _LINE_COUNTED_MAX and noted else counted


def forget(element: etree._Element) -> None:
    """Drop what was read of the file up to the end of `element`."""
    # With it go the emptied shells before it: the tree does not grow with the file.
    element.clear()
    parent = element.getparent()
    while parent is not None and (before := element.getprevious()) is not None and before.tag == element.tag:
        parent.remove(before)
