"""A dispute pack as a file: the same members give the same bytes, and a signed manifest says what is in it."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
HOW = "VERIFY.txt"
# Before what is signed: no signature of anything else can stand for a pack's.
CONTEXT = b"clickledger dispute pack 1\n"
# The first moment a ZIP can say: when the file was written is part of no pack.
_MOMENT = (1980, 1, 1, 0, 0, 0)
_READABLE_BY_ALL = 0o644 << 16

_VERIFY = """How to verify this pack

1. Each line of `members` in manifest.json names a file of this pack, its length in bytes and its SHA-256.
2. manifest.sig holds an Ed25519 signature (RFC 8032), in hexadecimal, over the line
   "clickledger dispute pack 1" with its line feed, and then the bytes of manifest.json as they are.
3. `public_key` in manifest.json checks it. Compare that key with one you have from us by another way.

This file and the signature are not among the members.
"""

Sign = Callable[[bytes], bytes]


def members_of(parts: Mapping[str, Any]) -> dict[str, bytes]:
    """Return each part as a JSON file that people can read: sorted keys, two spaces, ASCII."""
    return {
        f"{name}.json": (json.dumps(part, sort_keys=True, indent=2, ensure_ascii=True) + "\n").encode()
        for name, part in parts.items()
    }


def packed(members: Mapping[str, bytes], about: Mapping[str, Any], *, public_key: bytes, sign: Sign) -> bytes:
    """Return the ZIP of `members` in the order of their names, with its manifest, signature and how to verify both.

    `about` heads the manifest. Nothing is compressed: a compressor's next version would give other bytes.
    """
    manifest = {
        **about,
        "public_key": public_key.hex(),
        "members": [
            {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(members.items())
        ],
    }
    head = members_of({"manifest": manifest})[MANIFEST]
    signature = sign(CONTEXT + head).hex().encode() + b"\n"
    files = {**members, MANIFEST: head, SIGNATURE: signature, HOW: _VERIFY.encode()}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.external_attr = _READABLE_BY_ALL
            entry.create_system = 3  # Unix, whatever it is written on
            archive.writestr(entry, content)
    return written.getvalue()
