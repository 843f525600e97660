"""CSV, written and read: rows of a result file by their columns' names, with everything wrong in them."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

from core import money
from core.errors import Fault
from core.money import MoneyError
from payouts.formats.values import Answer, Outcome, ResultFile

ROWS_MAX = 20_000
REASON_LENGTH_MAX = 300
# A spreadsheet takes a cell that starts so for a formula, and a payment file must not be changed to prevent it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_DATES = ("%Y-%m-%d", "%d-%m-%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")


def written(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Yield each row as a line in RFC 4180's form, in UTF-8."""
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(row)
        yield line.getvalue().encode()


def cell_reason(text: str) -> str | None:
    """Return why `text` cannot stand in a cell as it is, None when it can."""
    if text.startswith(_FORMULA_STARTS):
        return f"begins with {text[0]!r}, which a spreadsheet takes for a formula"
    return "has a control character" if any(not each.isprintable() for each in text) else None


def read(
    content: bytes, columns: Mapping[str, Sequence[str]], outcomes: Mapping[str, Outcome], *, optional: frozenset[str]
) -> ResultFile:
    """Return the answers of a CSV file whose header names `columns`: our name -> the names it may have there.

    Ours are end_to_end_id, status, and reason, amount, currency, happened_on. Case, spaces and signs of a name do not
    count. `outcomes` maps the format's words, in lower case. Every bad row is a fault; a file that is no table has one.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ResultFile((), (Fault("file", "is not in UTF-8"),))
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    faults: list[Fault] = []
    answers: list[Answer] = []
    try:
        header = {_plain(name): position for position, name in enumerate(next(lines, []))}
        places = {ours: next((header[_plain(name)] for name in names if _plain(name) in header), None)
                  for ours, names in columns.items()}  # fmt: skip
        missing = [ours for ours, place in places.items() if place is None and ours not in optional]
        if missing:
            names = ", ".join(columns[ours][0] for ours in missing)
            return ResultFile((), (Fault("file", f"lacks the columns {names}"),))
        for cells in lines:
            if len(answers) + len(faults) > ROWS_MAX:
                return ResultFile((), (Fault("file", f"has more than {ROWS_MAX} rows"),))
            if any(cell.strip() for cell in cells):
                row = {ours: cells[at].strip() if at is not None and at < len(cells) else ""
                       for ours, at in places.items()}  # fmt: skip
                found = _answer(f"line {lines.line_num}", row, outcomes, faults)
                answers += [found] if found else []
    except csv.Error as error:
        return ResultFile((), (Fault(f"line {lines.line_num}", f"is no CSV ({error})"),))
    if not answers and not faults:
        faults.append(Fault("file", "has no rows"))
    return ResultFile(answers, faults)


def _answer(place: str, row: Mapping[str, str], outcomes: Mapping[str, Outcome], faults: list[Fault]) -> Answer | None:
    reasons = []
    outcome = outcomes.get(row["status"].lower().replace(" ", "_"))
    if not row["end_to_end_id"]:
        reasons.append("names no payment")
    if outcome is None:
        reasons.append(f"has the status {row['status'][:40]!r}, which is none of this format")
    amount_minor, currency = None, row.get("currency") or None
    if (amount := row.get("amount")) and currency:
        try:
            amount_minor = abs(money.parse(amount.replace(",", "."), currency).amount_minor)
        except MoneyError as error:
            reasons.append(str(error))
    happened_on = _date(row.get("happened_on", ""))
    if row.get("happened_on") and happened_on is None:
        reasons.append(f"has the date {row['happened_on'][:40]!r}, which is none")
    faults += [Fault(place, reason) for reason in reasons]
    if reasons or outcome is None:
        return None
    reason = row.get("reason", "")[:REASON_LENGTH_MAX] or None
    return Answer(
        place, row["end_to_end_id"], outcome, reason, amount_minor, currency if amount_minor else None, happened_on
    )


def _date(text: str) -> date | None:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day without a zone
        except ValueError:
            continue
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
