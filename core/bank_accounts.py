"""What is wrong with an account number, in words that quote none of it."""

from collections.abc import Callable

from schwifty import BIC, IBAN
from schwifty.exceptions import SchwiftyException

from core.errors import Fault


def iban_fault(text: str) -> str | None:
    """Return why `text` is no IBAN, its checksum included; None when it is one."""
    return _fault(IBAN, text, "IBAN")


def bic_fault(text: str) -> str | None:
    """Return why `text` is no BIC; None when it is one."""
    return _fault(BIC, text, "BIC")


def faults(iban: str, bic: str | None, path: str) -> list[Fault]:
    """Return what is wrong with an account, as faults of `path`.iban and `path`.bic."""
    reasons = {"iban": iban_fault(iban), "bic": None if bic is None else bic_fault(bic)}
    return [Fault(f"{path}.{name}", reason) for name, reason in reasons.items() if reason is not None]


def _fault(read: Callable[[str], object], text: str, noun: str) -> str | None:
    try:
        read(text)
    except SchwiftyException as error:
        # The kind of fault alone: the library's own text quotes the account number.
        return f"is no {noun} ({type(error).__name__})"
    return None
