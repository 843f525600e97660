"""Self-billing documents: what one says, decided on plain values (Directive 2006/112/EC, articles 224 and 226)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from core import money

# What article 226 wants said when no VAT is charged, and what is said when nobody has told us the treatment.
NOTES = {
    "none": "This document is a payment statement. It shows no VAT.",
    "reverse_charge": "Reverse charge: VAT is to be accounted for by the recipient of the service.",
    "exempt": "Exempt from VAT under the supplier's national rules.",
    "outside_scope": "Outside the scope of VAT in the European Union.",
    "included": "The amounts include VAT.",
}


@dataclass(frozen=True)
class Party:
    """One side: its name, the lines of its address and its VAT id, as far as they are known."""

    name: str
    address: Sequence[str]
    vat_id: str | None


@dataclass(frozen=True)
class Line:
    """What was supplied: so many conversions of one campaign in one month, and their sum."""

    description: str
    count: int
    amount_minor: int


@dataclass(frozen=True)
class Document:
    """All that is printed, frozen. Amounts are minor units of `currency`; net and VAT make the total exactly."""

    title: str
    number: str
    corrects: str | None
    issued_on: date
    supplied_from: date
    supplied_until: date
    paid_on: date
    supplier: Party
    customer: Party
    lines: Sequence[Line]
    currency: str
    net_minor: int
    vat_percent: str | None
    vat_minor: int
    total_minor: int
    note: str
    reference: str

    def as_json(self) -> dict[str, Any]:
        """Return the document as plain JSON."""
        dates = ("issued_on", "supplied_from", "supplied_until", "paid_on")
        return asdict(self) | {name: getattr(self, name).isoformat() for name in dates}


def number_text(issued_on: date, number: int) -> str:
    """Return how a number is written: the year, and the running number within it."""
    return f"SB-{issued_on.year}-{number:06}"


def title(treatment: str) -> str:
    """Return the heading: only what says how VAT is treated is an invoice, and it must say who wrote it."""
    return "Payment statement" if treatment == "none" else "Self-billing invoice"


def split_vat(total_minor: int, treatment: str, percent: str | None) -> tuple[int, int]:
    """Return net and VAT in minor units, which together are the total: VAT is part of it or not there at all."""
    if treatment != "included" or percent is None:
        return total_minor, 0
    net = Decimal(total_minor) * 100 / (100 + Decimal(percent))
    net_minor = int(net.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    return net_minor, total_minor - net_minor


def address_lines(text: str | None) -> list[str]:
    """Return the lines of an address kept as one text."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def amount(amount_minor: int, currency: str) -> str:
    """Return an amount as it is printed."""
    return f"{money.to_text(amount_minor, currency)} {currency}"
