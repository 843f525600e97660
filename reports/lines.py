"""What makes a line the same line when its file comes again: its content, and its number among identical ones."""

import hashlib
import json
from collections import Counter
from datetime import date

from reports.bank_formats.shape import BankRow
from reports.csv_report import NetworkRow

Identity = tuple[str | int | None, ...]


class LineKeys:
    """Hands out the keys of one file's lines, in its order.

    The same line in an overlapping file gets the same key, and so loads once; a true twin gets a key of its own.
    """

    def __init__(self) -> None:
        self._seen: Counter[Identity] = Counter()

    def key(self, identity: Identity) -> str:
        """Return the SHA-256, in hexadecimal, of `identity` and how many the same have come before it."""
        self._seen[identity] += 1
        content = json.dumps([*identity, self._seen[identity]], ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()


def of_network(row: NetworkRow, *, source_id: str, period: str) -> Identity:
    """Return what tells a report's line from others.

    The status is left out: it changes between two exports of the same line. The month is in: a line that a network
    lists in two months' reports is claimed twice, and must be seen.
    """
    if row.line_id is not None:
        # Whatever else of it changes, the network says that it is the same line.
        return (source_id, period, "line_id", row.line_id)
    on = row.occurred_on.isoformat()
    return (source_id, period, on, row.amount_minor, row.currency, row.transaction_id, row.click_id)


def of_bank(row: BankRow, *, account: str) -> Identity:
    """Return what tells a bank statement's line from others."""
    return (
        account,
        row.booked_on.isoformat(),
        _day(row.value_on),
        row.amount_minor,
        row.currency,
        row.text,
        row.end_to_end_id,
        row.counterparty,
        row.counterparty_iban,
        row.bank_reference,
    )


def _day(value: date | None) -> str | None:
    return value.isoformat() if value else None
