"""A dispute pack's file: the same bytes for the same members, and a signature that any change breaks."""

import hashlib
import io
import json
import zipfile

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reports.resolving import packing

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def pack(members: dict[str, bytes]) -> bytes:
    return packing.packed(members, {"about": "x"}, public_key=KEY.public_key().public_bytes_raw(), sign=KEY.sign)


def test_the_same_members_in_another_order_are_the_same_bytes_and_another_member_is_not() -> None:
    first = pack({"b.json": b"2", "a/1.json": b"1"})

    assert pack({"a/1.json": b"1", "b.json": b"2"}) == first
    assert pack({"a/1.json": b"1", "b.json": b"3"}) != first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["VERIFY.txt", "a/1.json", "b.json", "manifest.json", "manifest.sig"]


def test_the_manifest_names_every_member_and_its_signature_holds_for_it_alone() -> None:
    with zipfile.ZipFile(io.BytesIO(pack({"a.json": b"one"}))) as archive:
        head, signature = archive.read("manifest.json"), bytes.fromhex(archive.read("manifest.sig").decode())

    assert json.loads(head)["members"] == [{"name": "a.json", "bytes": 3, "sha256": hashlib.sha256(b"one").hexdigest()}]
    KEY.public_key().verify(signature, packing.CONTEXT + head)
    for forged in (head, packing.CONTEXT + head.replace(b"one", b"two") + b" "):
        with pytest.raises(InvalidSignature):
            KEY.public_key().verify(signature, forged)
