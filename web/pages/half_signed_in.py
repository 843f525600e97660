"""Who has shown a right password and owes the code of a second factor: sealed, good for five minutes."""

from core.runtime import installed
from web.pages import sealing

_GOOD_S = 300
_PURPOSE = "half signed in"


def sealed(staff_id: str) -> str:
    """Return what the form of the second step carries."""
    until = int(installed().clock().timestamp()) + _GOOD_S
    return f"{staff_id}.{until}.{sealing.seal(_PURPOSE, _said(staff_id, until))}"


def staff_id_of(text: str) -> str | None:
    """Return whose it is; None when it is none of ours, or over."""
    staff_id, _, rest = text.partition(".")
    until, _, mark = rest.partition(".")
    if not (until.isascii() and until.isdecimal()):
        return None
    is_ours = sealing.is_ours(_PURPOSE, _said(staff_id, int(until)), mark)
    return staff_id if is_ours and int(until) >= installed().clock().timestamp() else None


def _said(staff_id: str, until: int) -> str:
    return f"{staff_id}\0{until}"
