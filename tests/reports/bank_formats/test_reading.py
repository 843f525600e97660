"""A file's format is told from its beginning, packed files are refused, and no bytes break a reader."""

import gzip
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import Invalid
from reports.bank_formats import adding_up, reading
from reports.bank_formats.shape import is_same_account
from tests.reports.bank_files import read
from tests.reports.bank_formats.test_csv_statement import SMALL

FILES = Path(__file__).parent / "files"
SAMPLES = sorted(path for path in FILES.iterdir() if path.suffix in {".bai2", ".ofx", ".sta", ".xml"})
KINDS = {".bai2": "bai2", ".ofx": "ofx", ".sta": "mt940", ".xml": "camt.053"}


def test_the_format_is_told_from_the_beginning() -> None:
    found = [reading.sniffed(path.read_bytes()[:4096], has_mapping=False) for path in SAMPLES]

    assert found == [KINDS[path.suffix] for path in SAMPLES]
    assert reading.sniffed(b"{1:F01BANKDEFF}{4:\r\n:20:X", has_mapping=False) == "mt940"
    assert reading.sniffed("<?xml version='1.0'?>".encode("utf-16"), has_mapping=False) == "camt.053"
    assert reading.sniffed(b"day,sum\n", has_mapping=True) == "csv"
    with pytest.raises(Invalid, match="format: cannot be told from the file"):
        read(b"day,sum\n", "A")


def test_packed_files_and_a_mapping_of_another_format_are_refused() -> None:
    with pytest.raises(Invalid, match="is a gzip archive"):
        read(gzip.compress(bytes(10**6)), format="camt.053")
    with pytest.raises(Invalid, match="is a ZIP archive"):
        read(b"PK\x03\x04", "A")
    with pytest.raises(Invalid, match="is for CSV, and this is mt940"):
        read(b":20:X", "A", format="mt940", mapping=SMALL)


@pytest.mark.parametrize(
    ("said", "account", "is_same"),
    [
        ("de02 1203 0000 0000 2020 51", "DE02120300000000202051", True),
        ("DE02120300000000202051EUR", "DE02120300000000202051", True),
        ("BYLADEM1001/DE02120300000000202051", "DE02120300000000202051", True),
        ("12030000/202051", "DE02120300000000202051", True),
        ("12030000/202052", "DE02120300000000202051", False),
        ("202051", "DE02120300000000202051", False),
        ("", "DE02120300000000202051", False),
        ("EUR", "", False),
    ],
)
def test_an_account_is_known_under_the_forms_that_banks_write(said: str, account: str, *, is_same: bool) -> None:
    assert is_same_account(said, account) is is_same


def test_a_file_of_nothing_but_bad_rows_is_refused_and_its_list_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding_up, "REJECTED_MAX", 5)
    content = b"day,sum,text\n" + b"today,1.00,x\n" * 10

    with pytest.raises(Invalid) as caught:
        read(content, "A", mapping=SMALL)

    assert [fault.field for fault in caught.value.faults] == [*(f"line {line}" for line in range(2, 8)), "file"]


CUT = (
    st.sampled_from(SAMPLES)
    .map(Path.read_bytes)
    .flatmap(
        lambda content: st.tuples(st.integers(0, len(content)), st.integers(0, 40), st.binary(max_size=40)).map(
            lambda change: content[: change[0]] + change[2] + content[change[0] + change[1] :]
        )
    )
)


@given(st.one_of(CUT, st.binary()), st.sampled_from([*reading.FORMATS, "auto"]))
@example(b"", "camt.053")
@example(b"<OFX><STMTRS><LEDGERBAL>", "ofx")
def test_no_bytes_raise_anything_but_invalid(content: bytes, name: str) -> None:
    mapping: Any = SMALL if name == "csv" else None

    with suppress(Invalid):
        read(content, "DE02120300000000202051", format=name, mapping=mapping)
