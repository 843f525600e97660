"""What an affiliate's self-billing documents say about VAT, checked together."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from core.errors import Fault

FORMS = ("w9", "w8ben")
REQUIREMENTS = (*FORMS, "vat_id")
CYCLES = ("every_run", "weekly", "biweekly", "monthly", "quarterly")
# none: a payment statement that speaks of no VAT. included: the rate is part of what is paid.
TREATMENTS = ("none", "reverse_charge", "exempt", "outside_scope", "included")
# The form of Council Directive 2006/112/EC, article 215: a country's prefix, then what it chose. VIES knows the rest.
_VAT_ID = re.compile(r"[A-Z]{2}[0-9A-Z+*]{2,12}", re.ASCII)
_PERCENT_MAX = 50


@dataclass(frozen=True)
class VatFields:
    """What is checked together; `vat_percent` is decimal text."""

    vat_id: str | None
    vat_treatment: str
    vat_percent: str | None


def vat_faults(vat: VatFields) -> list[Fault]:
    """Return everything in which the fields do not fit together."""
    faults = []
    if vat.vat_id is not None and not _VAT_ID.fullmatch(vat.vat_id):
        faults.append(Fault("vat_id", "takes a country's two letters and up to twelve more, such as DE123456789"))
    if vat.vat_treatment == "reverse_charge" and not vat.vat_id:
        faults.append(Fault("vat_id", "is needed: reverse charge names the supplier's"))
    if (vat.vat_treatment == "included") is not (vat.vat_percent is not None):
        faults.append(Fault("vat_percent", "goes with the treatment included, and is needed there"))
    elif vat.vat_percent is not None and not _is_percent(vat.vat_percent):
        faults.append(Fault("vat_percent", f"takes a rate above 0 and up to {_PERCENT_MAX}, such as 19 or 5.5"))
    return faults


def _is_percent(text: str) -> bool:
    try:
        return text.isascii() and 0 < Decimal(text) <= _PERCENT_MAX
    except InvalidOperation:
        return False
