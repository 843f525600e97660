"""Whether a postback is believed: one precedence of refusals, the same work for everybody who asks."""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from postback.canonical import DIGEST_BYTES
from postback.schemes.base import Mac, Presented, hmac_sha256

AGE_MAX = timedelta(seconds=1800)
AHEAD_MAX = timedelta(seconds=120)

# Known to nobody, and never believed even so.
_DUMMY_KEY = secrets.token_bytes(32)
_NO_SIGNATURE = bytes(DIGEST_BYTES)


class Refusal(StrEnum):
    """Why a postback was refused; of several reasons the first one in this order is stored. The sender hears none."""

    UNKNOWN_SOURCE = "unknown_source"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    WRONG_METHOD = "wrong_method"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_MALFORMED = "signature_malformed"
    BAD_SIGNATURE = "bad_signature"
    FROM_THE_FUTURE = "from_the_future"
    STALE = "stale"


class SigningKey(Protocol):
    """A secret that is live now."""

    @property
    def id(self) -> str:
        """The secret's id."""

    @property
    def key(self) -> bytes:
        """Its bytes."""


class Proven(NamedTuple):
    """The sender holds the secret `secret_id`."""

    secret_id: str


def decide(
    presented: Presented,
    keys: Sequence[SigningKey],
    *,
    is_known: bool,
    is_admitted: bool,
    is_right_method: bool,
    mac: Mac = hmac_sha256,
) -> Proven | Refusal:
    """Say who signed, or the first reason to refuse.

    The signature is computed in every case, so that an unknown source and an address outside the list take as long
    as a forged signature.
    """
    secret_id = signer(presented, keys, mac)
    if is_known and is_admitted and is_right_method and secret_id is not None:
        return Proven(secret_id)
    reasons = (
        (Refusal.UNKNOWN_SOURCE, not is_known),
        (Refusal.ADDRESS_NOT_ALLOWED, not is_admitted),
        (Refusal.WRONG_METHOD, not is_right_method),
        (Refusal.SIGNATURE_MISSING, presented.is_missing),
        (Refusal.SIGNATURE_MALFORMED, not presented.signatures),
    )
    return next((reason for reason, holds in reasons if holds), Refusal.BAD_SIGNATURE)


def signer(presented: Presented, keys: Sequence[SigningKey], mac: Mac = hmac_sha256) -> str | None:
    """Return the id of the first of `keys` that made one of the presented signatures, None when none did.

    Every key is compared with every signature: when it answers says nothing about which one matched.
    """
    found: str | None = None
    if not keys:
        mac(presented.message, _DUMMY_KEY)
    for key in keys:
        expected = mac(presented.message, key.key)
        for claimed in presented.signatures or (_NO_SIGNATURE,):
            # Bytes, not str: compare_digest raises TypeError on a non-ASCII str, and a hostile sender chooses it.
            is_same = hmac.compare_digest(expected, claimed)
            found = key.id if is_same and found is None else found
    return found if presented.signatures else None


def is_stale(*, sent_at: datetime, now: datetime) -> bool:
    """Say whether `sent_at` lies further than AGE_MAX before `now`."""
    return sent_at < now - AGE_MAX


def is_from_future(*, sent_at: datetime, now: datetime) -> bool:
    """Say whether `sent_at` lies further than AHEAD_MAX after `now`."""
    return sent_at > now + AHEAD_MAX
