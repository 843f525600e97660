"""A person's device in software: it signs challenges as WebAuthn says, and lies where a test wants it to."""

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

FLAG = AuthenticatorData.FLAG
PRESENT = FLAG.UP


@dataclass
class Device:
    """One key of one person; `counter` is what it says next, 0 for ever where `counts` is False."""

    origin: str = "http://localhost"
    party: str = "localhost"
    counts: bool = True
    counter: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    handle: bytes = b""

    def create(self, options: str, *, flags: FLAG = FLAG.UP | FLAG.UV) -> str:
        """Answer what a browser is asked to add a passkey."""
        asked = json.loads(options)
        self.handle = websafe_decode(asked["user"]["id"])
        credential = AttestedCredentialData.create(
            Aaguid.NONE,
            self.id,
            ES256.from_cryptography_key(self.key.public_key()),  # type: ignore[no-untyped-call]
        )
        data = AuthenticatorData.create(self._party(), flags | FLAG.AT, self._next(), credential)
        made = AttestationObject.create("none", data, {})
        return self._answer("webauthn.create", asked, attestationObject=bytes(made))

    def get(self, options: str, *, flags: FLAG = FLAG.UP | FLAG.UV, **parts: bytes) -> str:
        """Answer what a browser is asked to show one; `parts` stand in the place of the true ones."""
        asked = json.loads(options)
        data = bytes(AuthenticatorData.create(self._party(), flags, self._next()))
        client = self._client("webauthn.get", asked)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        true = {"authenticatorData": data, "signature": signature, "userHandle": self.handle}
        return self._answer("webauthn.get", asked, **(true | parts))

    def _answer(self, kind: str, asked: dict[str, Any], **parts: bytes) -> str:
        response = {"clientDataJSON": self._client(kind, asked), **parts}
        return json.dumps(
            {
                "id": websafe_encode(self.id),
                "rawId": websafe_encode(self.id),
                "type": "public-key",
                "response": {name: websafe_encode(value) for name, value in response.items()},
            }
        )

    def _client(self, kind: str, asked: dict[str, Any]) -> bytes:
        return bytes(CollectedClientData.create(kind, asked["challenge"], self.origin))

    def _party(self) -> bytes:
        return hashlib.sha256(self.party.encode()).digest()

    def _next(self) -> int:
        self.counter += 1 if self.counts else 0
        return self.counter
