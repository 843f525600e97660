"""Who has shown a right password and owes the code of a second factor: sealed, good for five minutes."""

import hmac

from core.runtime import installed

_GOOD_S = 300


def sealed(staff_id: str) -> str:
    """Return what the form of the second step carries."""
    until = int(installed().clock().timestamp()) + _GOOD_S
    return f"{staff_id}.{until}.{_seal(staff_id, until)}"


def staff_id_of(text: str) -> str | None:
    """Return whose it is; None when it is none of ours, or over."""
    staff_id, _, rest = text.partition(".")
    until, _, seal = rest.partition(".")
    if not (until.isascii() and until.isdecimal()):
        return None
    is_ours = hmac.compare_digest(seal.encode(), _seal(staff_id, int(until)).encode())
    return staff_id if is_ours and int(until) >= installed().clock().timestamp() else None


def _seal(staff_id: str, until: int) -> str:
    said = f"half signed in\0{staff_id}\0{until}"
    return hmac.new(installed().secret_key, said.encode(), "sha256").hexdigest()
