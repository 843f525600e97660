"""Time-based one-time passwords (RFC 6238): six digits of thirty seconds, each taken once."""

from datetime import datetime

import pyotp

STEP_S = 30
DIGITS = 6
# A clock may be a step off, and a person types for a while.
_AROUND = (0, -1, 1)


def matched_step(seed: str, code: str, *, now: datetime, after: int) -> int | None:
    """Return the time step whose code this is, None when it is none of now or not later than `after`.

    `seed` is base32; blanks in `code` say nothing.
    """
    typed = "".join(code.split())
    if len(typed) != DIGITS or not (typed.isascii() and typed.isdecimal()):
        return None
    maker = pyotp.TOTP(seed, digits=DIGITS, interval=STEP_S)
    present = int(now.timestamp()) // STEP_S
    for off in _AROUND:
        step = present + off
        if step > after and pyotp.utils.strings_equal(maker.generate_otp(step), typed):
            return step
    return None


def address(seed: str, *, email: str, issuer: str = "Clickledger") -> str:
    """Return the otpauth address that an authenticator reads from a picture."""
    return pyotp.TOTP(seed, digits=DIGITS, interval=STEP_S).provisioning_uri(name=email, issuer_name=issuer)
