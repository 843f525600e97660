"""ClickBank's Instant Notification Service from version 6: encrypted, which is not the same as signed."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from core.errors import Fault
from postback.schemes import reading
from postback.schemes.base import PROVEN, Parameters, Presented, Request, Scheme, Told

_BLOCK_BYTES = 16


def clickbank(table: Mapping[str, Any]) -> Scheme:
    """Return ClickBank's scheme: the proof is that the body decrypts, under the secret, to a JSON object.

    There is no MAC: who holds one notification can change the text of its first block at will, and blocks after it
    at the price of a garbled one before. So nothing is covered.
    """
    del table
    return Scheme(
        name="clickbank", methods=("POST",), present=_present, read=_read, sign=_sign, mac=_mac, assurance="B",
        covered=(),
    )  # fmt: skip


def _present(request: Request) -> Presented:
    envelope = reading.json_object(request.body)
    if isinstance(envelope, Fault) or not {"notification", "iv"} & envelope.keys():
        return Presented(b"", is_missing=True)
    vector, sealed = _bytes(envelope.get("iv")), _bytes(envelope.get("notification"))
    if vector is None or sealed is None or len(vector) != _BLOCK_BYTES or not sealed or len(sealed) % _BLOCK_BYTES:
        return Presented(b"")
    return Presented(vector + sealed, (PROVEN,))


def _mac(message: bytes, key: bytes) -> bytes:
    opened = _opened(message, key)
    is_object = opened is not None and not isinstance(reading.json_object(opened), Fault)
    return PROVEN if is_object else b""


def _read(request: Request, key: bytes, wanted: Collection[str]) -> Told:
    opened = _opened(_present(request).message, key)
    if opened is None:
        return Told(Parameters(faults=(Fault("notification", "cannot be decrypted"),)))
    return Told(reading.json_at(opened, wanted))


def _sign(request: Request, key: bytes) -> Request:
    # The vector is random at ClickBank. Here it comes from what it hides, so that signing is a function of its input.
    vector = hmac.digest(key, request.body, "sha256")[:_BLOCK_BYTES]
    padder = padding.PKCS7(_BLOCK_BYTES * 8).padder()
    encryptor = Cipher(algorithms.AES(_aes_key(key)), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(request.body) + padder.finalize()) + encryptor.finalize()
    envelope = {"notification": base64.b64encode(sealed).decode(), "iv": base64.b64encode(vector).decode()}
    return replace(request, body=json.dumps(envelope).encode())


def _aes_key(key: bytes) -> bytes:
    # The first 32 hexadecimal digits themselves, not the 16 bytes they say (ClickBank's own samples).
    return hashlib.sha1(key, usedforsecurity=False).hexdigest()[:32].encode()


def _opened(message: bytes, key: bytes) -> bytes | None:
    if len(message) < 2 * _BLOCK_BYTES or len(message) % _BLOCK_BYTES:
        return None
    decryptor = Cipher(algorithms.AES(_aes_key(key)), modes.CBC(message[:_BLOCK_BYTES])).decryptor()
    unpadder = padding.PKCS7(_BLOCK_BYTES * 8).unpadder()
    try:
        padded = decryptor.update(message[_BLOCK_BYTES:]) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None


def _bytes(value: object) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except (binascii.Error, ValueError):
        return None
