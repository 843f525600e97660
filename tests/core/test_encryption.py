"""Secrets at rest open with their key, in their place, unchanged; and nowhere else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.encryption import EncryptionKeyError, Keyring

KEYRING = Keyring(bytes(range(32)))
PLACE = "source_secret:src_1:sec_1"


@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_is_sealed_opens_in_its_place(plain: bytes, place: str) -> None:
    assert KEYRING.unseal(KEYRING.seal(plain, bound_to=place), bound_to=place) == plain


@pytest.mark.parametrize(
    "place", ["source_secret:src_1:sec_2", "source_secret:src_2:sec_1", "idempotency:tok_1:key", ""]
)
def test_in_another_place_it_stays_shut(place: str) -> None:
    sealed = KEYRING.seal(b"secret", bound_to=PLACE)

    with pytest.raises(EncryptionKeyError):
        KEYRING.unseal(sealed, bound_to=place)


def test_under_another_key_it_stays_shut() -> None:
    sealed = KEYRING.seal(b"secret", bound_to=PLACE)

    with pytest.raises(EncryptionKeyError):
        Keyring(bytes(32)).unseal(sealed, bound_to=PLACE)


def test_with_any_bit_changed_it_stays_shut() -> None:
    sealed = KEYRING.seal(b"secret", bound_to=PLACE)

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(EncryptionKeyError):
            KEYRING.unseal(bytes(changed), bound_to=PLACE)


def test_cut_short_it_stays_shut() -> None:
    sealed = KEYRING.seal(b"secret", bound_to=PLACE)

    for length in range(len(sealed)):
        with pytest.raises(EncryptionKeyError):
            KEYRING.unseal(sealed[:length], bound_to=PLACE)


def test_the_same_secret_is_never_sealed_the_same_way_twice() -> None:
    assert KEYRING.seal(b"secret", bound_to=PLACE) != KEYRING.seal(b"secret", bound_to=PLACE)


@pytest.mark.parametrize(
    "text", ["", "short", base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode(), "é" * 32]
)
def test_a_key_is_base64_of_32_bytes(text: str) -> None:
    with pytest.raises(EncryptionKeyError):
        Keyring.from_text(text)


def test_a_keyring_shows_a_fingerprint_and_no_key() -> None:
    key = base64.b64encode(bytes(range(32))).decode()

    assert repr(Keyring.from_text(key + "\n")) == f"Keyring({KEYRING.fingerprint})"
    assert KEYRING.fingerprint != Keyring(bytes(32)).fingerprint
    assert key not in f"{KEYRING!r} {KEYRING}"
