"""CSV that a spreadsheet shows and does not run."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.csv_text import neutralised, table


@pytest.mark.parametrize("cell", ['=HYPERLINK("http://x")', "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-3.00.1"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell: str) -> None:
    assert neutralised(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-3.00", "12.50", "T-1", "a=b", "", "-1"])
def test_amounts_and_plain_text_stay_as_they_are(cell: str) -> None:
    assert neutralised(cell) == cell


@given(st.lists(st.text(), min_size=1))
def test_no_cell_of_a_table_begins_as_a_formula_unless_it_is_a_number(cells: list[str]) -> None:
    _, row = csv.reader(io.StringIO(table(["a"], [cells]), newline=""))

    assert all(not cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row)
    assert all(not cell.startswith("-") or float(cell) <= 0 for cell in row)
