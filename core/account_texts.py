"""What is wrong with the texts that lead money to somebody without an IBAN; the words quote none of them."""

import re

ACCOUNT_TYPES = ("checking", "savings")
HOLDERS = ("person", "company")
# The third, seventh and first power weights of the American Bankers Association's check digit.
_WEIGHTS = (3, 7, 1, 3, 7, 1, 3, 7, 1)
_ROUTING_NUMBER = re.compile(r"[0-9]{9}", re.ASCII)
_ACH_ID = re.compile(r"[A-Za-z0-9]{1,10}", re.ASCII)
_ACCOUNT_NUMBER = re.compile(r"[A-Za-z0-9\-]{1,17}", re.ASCII)
_EMAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@[A-Za-z0-9][A-Za-z0-9.\-]{0,60}\.[A-Za-z]{2,24}", re.ASCII)


def routing_fault(text: str | None) -> str | None:
    """Return why `text` is no routing number of a US bank, its check digit included; None when it is one."""
    if text is None or not _ROUTING_NUMBER.fullmatch(text):
        return "takes nine digits"
    weighed = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text, strict=True))
    return "has a wrong check digit" if weighed % 10 else None


def ach_id_fault(text: str | None) -> str | None:
    """Return why `text` is no id that a US bank gives a company for its ACH files; None when it may be one."""
    return None if text and _ACH_ID.fullmatch(text) else "takes 1 to 10 letters and digits"


def account_number_fault(text: str | None) -> str | None:
    """Return why `text` is no account number at a US bank; None when it may be one."""
    is_number = text is not None and _ACCOUNT_NUMBER.fullmatch(text)
    return None if is_number else "takes up to 17 letters, digits and hyphens"


def email_fault(text: str) -> str | None:
    """Return why `text` is no e-mail address that a payment can go to; None when it is one."""
    return None if _EMAIL.fullmatch(text) else "is no e-mail address"
