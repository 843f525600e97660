"""Seals for what a browser carries for us: nobody else can write it, and one purpose's does for no other."""

import hmac

from core.runtime import installed


def seal(purpose: str, text: str) -> str:
    """Return the seal of `text`, in hexadecimal."""
    return hmac.new(installed().secret_key, f"{purpose}\0{text}".encode(), "sha256").hexdigest()


def is_ours(purpose: str, text: str, mark: str) -> bool:
    """Say whether `mark` is the seal of `text`."""
    return hmac.compare_digest(mark.encode(), seal(purpose, text).encode())
