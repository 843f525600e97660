"""The words of a Beancount file: https://beancount.github.io/docs/beancount_language_syntax.html."""

import hashlib
import re
from collections.abc import Mapping
from datetime import date

TITLE = 'option "title" "Clickledger journal"\n'
# Our first part -> one of Beancount's five roots and what stands under it. Payouts on their way are still owed.
_ROOTS = {
    "expense": ("Expenses",),
    "payable": ("Liabilities", "Payable"),
    "clearing": ("Liabilities", "Clearing"),
    "receivable": ("Assets", "Receivable"),
    "bank": ("Assets", "Bank"),
    "revenue": ("Income", "Revenue"),
    "fx": ("Income", "Fx"),
}
_OTHER = ("Equity", "Other")
# Parts that become Beancount's by a capital alone, or as they are: no two of them become the same.
_LOWER = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_UPPER = re.compile(r"[A-Z]{2}[A-Z0-9]*", re.ASCII)
_NOT_TAKEN = re.compile(r"[^A-Za-z0-9]+", re.ASCII)


def account(name: str) -> str:
    """Return our account `name` as Beancount's: `expense:commission:spring` is `Expenses:Commission:Spring`.

    Two accounts never become one: a part that loses a character on the way gets six digits of its own hash.
    """
    first, *rest = name.split(":")
    root = _ROOTS.get(first)
    parts = [*(root or (*_OTHER, _part(first))), *map(_part, rest)]
    return ":".join(parts) if len(parts) > 1 else f"{parts[0]}:Other"


def opened(name: str, day: date) -> str:
    """Return the directive that opens our account `name`."""
    return f'{_day(day)} open {account(name)}\n  account: "{_quoted(name)}"\n'


def commodity(currency: str, day: date) -> str:
    """Return the directive that declares a currency."""
    return f"{_day(day)} commodity {currency}\n"


def entry(*, posted_on: date, occurred_on: date, narration: str, details: Mapping[str, str]) -> str:
    """Return the head of a transaction; its own date stands beside where it was booked on another."""
    lines = [f'\n{_day(posted_on)} * "{_quoted(narration)}"']
    lines += [f'  {name}: "{_quoted(text)}"' for name, text in details.items()]
    if occurred_on != posted_on:
        lines.append(f"  occurred-on: {_day(occurred_on)}")
    return "\n".join(lines) + "\n"


def line(name: str, amount: str, affiliate_id: str | None) -> str:
    """Return one posting of a transaction; `amount` is a decimal and its currency."""
    owner = f'    affiliate: "{_quoted(affiliate_id)}"\n' if affiliate_id else ""
    return f"  {account(name)}  {amount}\n{owner}"


def _part(text: str) -> str:
    if _UPPER.fullmatch(text):
        return text
    if _LOWER.fullmatch(text):
        return text[0].upper() + text[1:]
    cleaned = _NOT_TAKEN.sub("-", text).strip("-") or "X"
    mark = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{cleaned[0].upper()}{cleaned[1:]}-{mark}"


def _quoted(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace('"', '\\"').split())


def _day(day: date) -> str:
    return day.isoformat()
