"""What the free text of an MT940 entry says: German banks' sub-fields, and other banks' words between slashes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.bank_formats.shape import (
    ACCOUNT_LENGTH_MAX,
    END_TO_END_ID_LENGTH_MAX,
    NAME_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    bounded,
)

# Words of the SEPA and SWIFT conventions for field 86: /EREF/..../REMI/..../
_WORDS = (
    "ACCW", "ADDR", "BENM", "BIC", "CHGS", "CNTP", "CSID", "EREF", "EXCH", "IBAN", "ISDT", "MARF", "NAME", "NRTX",
    "OCMT", "ORDP", "PREF", "PURP", "REMI", "RTRN", "RTYP", "SVCL", "TRCD", "TRTP", "ULTB", "ULTC", "ULTD",
)  # fmt: skip
# What a remittance begins with where it says of which kind it is.
_KIND = re.compile(r"(USTD|STRD)//")
_WORD = re.compile(rf"/({'|'.join(_WORDS)})/")
# What stands where a reference would, and is none.
_NO_REFERENCE = {"", "EREF", "EREF+", "KREF", "KREF+", "NONREF", "NOTPROVIDED"}
_ACCOUNT = re.compile(r"[A-Z0-9]+", re.ASCII)


@dataclass(frozen=True)
class Facts:
    """What is known of an entry beside its amount and days."""

    text: str
    end_to_end_id: str | None
    counterparty: str | None
    counterparty_iban: str | None


def between_slashes(details: str) -> dict[str, str]:
    """Return the words of `details` and what stands behind each; empty for a text that does not begin with one."""
    joined = details.replace("\n", "")
    if not _WORD.match(joined):
        return {}
    _, *pairs = _WORD.split(joined)
    found: dict[str, str] = {}
    for word, said in zip(pairs[::2], pairs[1::2], strict=True):
        # The ordering party's name and the beneficiary's are both called NAME: the first is the other side's.
        found.setdefault(word, _KIND.sub("", said).strip("/ "))
    return found


def facts(read: Mapping[str, Any], details: str) -> Facts:
    """Return what the library has `read` of an entry, put together with the words in its `details`.

    Raise UnreadableError for a name or a text that is too long to keep.
    """
    words = between_slashes(details)
    # IBAN, BIC, name and town, in one word.
    other = [*words.get("CNTP", "").split("/"), "", "", ""]
    end_to_end_id = str(read.get("end_to_end_reference") or words.get("EREF") or "").strip()
    purpose = read.get("purpose") or words.get("REMI")
    texts = [purpose or details, read.get("additional_purpose"), read.get("extra_details")]
    texts += [
        reference for reference in (read.get("customer_reference"),) if str(reference).strip() not in _NO_REFERENCE
    ]
    if len(end_to_end_id) > END_TO_END_ID_LENGTH_MAX:
        # Some banks mark no end of it, and what follows is told with it.
        texts.append(end_to_end_id)
        end_to_end_id = ""
    account = str(read.get("applicant_iban") or words.get("IBAN") or other[0]).replace(" ", "").upper()
    is_account = len(account) <= ACCOUNT_LENGTH_MAX and _ACCOUNT.fullmatch(account) is not None
    name = read.get("applicant_name") or words.get("NAME") or other[2]
    return Facts(
        text=bounded("\n".join(_told(texts)), "text", TEXT_LENGTH_MAX) or "",
        end_to_end_id=None if end_to_end_id in _NO_REFERENCE else end_to_end_id,
        counterparty=bounded(name, "counterparty", NAME_LENGTH_MAX),
        counterparty_iban=account if is_account else None,
    )


def _told(texts: list[Any]) -> list[str]:
    """Return each text that says something, once."""
    found = (str(text).strip() for text in texts if text)
    return list(dict.fromkeys(text for text in found if text))
