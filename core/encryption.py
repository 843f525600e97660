"""Secrets at rest: AES-256-GCM under a key-encryption key that never touches the database."""

import base64
import binascii
import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class EncryptionKeyError(ValueError):
    """A key that is none, or a ciphertext that this key does not open."""


@dataclass(frozen=True)
class Keyring:
    """The key-encryption key that seals, and the previous one while it is being rotated out.

    Its repr shows a fingerprint only, so that a log line cannot hold the key.
    """

    _key: bytes
    _previous: bytes | None = None

    def __post_init__(self) -> None:
        for key in (self._key, self._previous):
            if key is not None and len(key) != KEY_BYTES:
                message = f"the key-encryption key must be {KEY_BYTES} bytes, not {len(key)}"
                raise EncryptionKeyError(message)

    def __repr__(self) -> str:
        return f"Keyring({self.fingerprint})"

    @classmethod
    def from_text(cls, text: str, previous: str | None = None) -> "Keyring":
        """Read keys written as base64 of 32 bytes; raise EncryptionKeyError when one is anything else."""
        try:
            keys = [base64.b64decode(each.strip(), validate=True) for each in (text, previous) if each is not None]
        except (binascii.Error, ValueError) as error:
            message = f"the key-encryption key must be base64 of {KEY_BYTES} bytes"
            raise EncryptionKeyError(message) from error
        return cls(*keys)

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that tell two keys apart and nothing about either."""
        return hashlib.sha256(b"clickledger key fingerprint" + self._key).hexdigest()[:8]

    def seal(self, plain: bytes, *, bound_to: str) -> bytes:
        """Encrypt `plain` so that it opens only where `bound_to` is the same (additional authenticated data)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, plain, bound_to.encode())

    def unseal(self, sealed: bytes, *, bound_to: str) -> bytes:
        """Decrypt what `seal` made; raise EncryptionKeyError for another key, another place or a changed byte."""
        for key in (self._key, self._previous):
            if key is not None:
                # A ValueError where it was cut within its nonce.
                with suppress(InvalidTag, ValueError):
                    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
        message = f"a value bound to {bound_to} does not open with key {self.fingerprint}"
        raise EncryptionKeyError(message)

    def resealed(self, sealed: bytes, *, bound_to: str) -> bytes:
        """Return `sealed` under the present key, whichever of the two opened it."""
        return self.seal(self.unseal(sealed, bound_to=bound_to), bound_to=bound_to)

    def sign(self, message: bytes, *, purpose: str) -> bytes:
        """Return the Ed25519 signature (64 bytes) of `message` under the key that the present one gives `purpose`."""
        return _signing_key(self._key, purpose).sign(message)

    def public_key(self, *, purpose: str) -> bytes:
        """Return the 32 bytes that check what `sign` makes for `purpose`, and can make nothing themselves."""
        return _signing_key(self._key, purpose).public_key().public_bytes_raw()

    def has_signed(self, signature: bytes, message: bytes, *, purpose: str) -> bool:
        """Say whether the present key or the previous one has signed `message` for `purpose`."""
        for key in (self._key, self._previous):
            if key is not None:
                with suppress(InvalidSignature):
                    _signing_key(key, purpose).public_key().verify(signature, message)
                    return True
        return False


def _signing_key(key: bytes, purpose: str) -> Ed25519PrivateKey:
    # A key of its own for each purpose (RFC 5869): what signs here opens nothing there.
    info = f"clickledger signing {purpose}".encode()
    return Ed25519PrivateKey.from_private_bytes(HKDF(hashes.SHA256(), KEY_BYTES, None, info).derive(key))
