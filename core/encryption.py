"""Secrets at rest: AES-256-GCM under a key-encryption key that never touches the database."""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class EncryptionKeyError(ValueError):
    """A key that is none, or a ciphertext that this key does not open."""


@dataclass(frozen=True)
class Keyring:
    """The key-encryption key. Its repr shows a fingerprint only, so that a log line cannot hold the key."""

    _key: bytes

    def __post_init__(self) -> None:
        if len(self._key) != KEY_BYTES:
            message = f"the key-encryption key must be {KEY_BYTES} bytes, not {len(self._key)}"
            raise EncryptionKeyError(message)

    def __repr__(self) -> str:
        return f"Keyring({self.fingerprint})"

    @classmethod
    def from_text(cls, text: str) -> "Keyring":
        """Read a key written as base64 of 32 bytes; raise EncryptionKeyError when it is anything else."""
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except (binascii.Error, ValueError) as error:
            message = f"the key-encryption key must be base64 of {KEY_BYTES} bytes"
            raise EncryptionKeyError(message) from error

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
        try:
            return AESGCM(self._key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
        except (InvalidTag, ValueError):  # a ValueError where it was cut within its nonce
            message = f"a value bound to {bound_to} does not open with key {self.fingerprint}"
            raise EncryptionKeyError(message) from None
