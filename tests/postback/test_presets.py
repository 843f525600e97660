"""Every preset: its file, its vector, and that it covers what it says it covers."""

import base64
import hashlib
import hmac
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from postback.content import FIELDS
from postback.presets.catalogue import CATALOGUE, CatalogueError, Preset, load, scheme_of
from postback.schemes import reading
from postback.schemes.base import Parameters, Presented, Request, Scheme, Told, unbase64, unhex
from postback.schemes.vendors import VERIFIERS

VECTORS = Path(__file__).parent / "vectors"
NAMES = sorted(CATALOGUE)
SIGNED = [name for name in NAMES if CATALOGUE[name].assurance in "AB" and name != "clickbank"]
PARTLY = [name for name in NAMES if CATALOGUE[name].covered]
STATIC = [name for name in NAMES if CATALOGUE[name].assurance == "C"]
# What stands between the values is not signed by these: see docs/networks.md.
SEAMLESS = ["levelplay", "lootably", "revtoo", "wannads_legacy"]


def unsigned(request: Request, key: bytes) -> Request:
    """Sign nothing: the vectors are signed already."""
    del key
    return request


def body1(table: Mapping[str, Any]) -> Scheme:
    """The plainest scheme of a signed body, so that these tests stand on nothing but the presets."""
    header, is_hex = str(table["header"]).lower(), table["encoding"] == "hex"

    def present(request: Request) -> Presented:
        claimed = request.header(header)
        digest = (unhex if is_hex else unbase64)(claimed.removeprefix(table["prefix"].encode()), length=32)
        return Presented(request.body, () if digest is None else (digest,), is_missing=not claimed)

    def read(request: Request, key: bytes, wanted: Any) -> Told:
        del key
        return Told(reading.json_at(request.body, wanted))

    return Scheme("body1", ("POST",), present, read, unsigned, headers=(header,))


def token(table: Mapping[str, Any]) -> Scheme:
    """The plainest scheme of a token in a parameter."""
    parameter = str(table["parameter"]).encode()

    def present(request: Request) -> Presented:
        claimed = tuple(value for name, value in reading.pairs(request.query) or () if name == parameter)
        return Presented(b"", claimed if len(claimed) == 1 else (), is_missing=not claimed)

    def read(request: Request, key: bytes, wanted: Any) -> Told:
        del key
        return Told(reading.form(request.query, wanted))

    return Scheme("token", ("GET",), present, read, unsigned, mac=lambda _message, key: key)


@dataclass(frozen=True)
class Vector:
    """A preset's golden request with everything that judges it."""

    preset: Preset
    scheme: Scheme
    request: Request
    key: bytes

    def believes(self, request: Request, key: bytes | None = None) -> bool:
        """Say whether the request is proven under the vector's key, or another."""
        presented = self.scheme.present(request)
        expected = self.scheme.mac(presented.message, self.key if key is None else key)
        return any(hmac.compare_digest(expected, claimed) for claimed in presented.signatures)

    def told(self, request: Request) -> Parameters:
        """Return what the request says in the network's names."""
        wanted = {*self.preset.parameters.values(), *(self.scheme.covered or ())}
        return self.scheme.read(request, self.key, wanted).parameters

    def with_query(self, **changed: str) -> Request:
        """Return the request with some of its query's values changed."""
        pairs = parse_qsl(self.request.query.decode(), keep_blank_values=True)
        return replace(
            self.request, query=urlencode([(name, changed.get(name, value)) for name, value in pairs]).encode()
        )


def vector(name: str) -> Vector:
    """Read the golden vector of a preset."""
    held = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    said = held["request"]
    request = Request(
        method=said["method"], source_id="src_7Qm2vK9x", url=said["url"], query=said["query"].encode(),
        body=said["body"].encode(), headers=said["headers"],
    )  # fmt: skip
    scheme = scheme_of(CATALOGUE[name], {"body1": body1, "token": token})
    return Vector(CATALOGUE[name], scheme, request, held["secret"].encode())


def test_there_are_many_presets_and_each_has_a_vector() -> None:
    assert len(CATALOGUE) >= 24
    assert sorted(path.stem for path in VECTORS.glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_request_is_believed_and_read_without_a_fault(name: str) -> None:
    golden = vector(name)

    assert golden.request.method in golden.scheme.methods
    assert golden.believes(golden.request)
    assert not golden.believes(golden.request, golden.key + b"x")
    assert golden.told(golden.request).faults == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_request_without_a_proof_misses_it_and_none_is_taken_from_nothing(name: str) -> None:
    golden = vector(name)
    bare = replace(golden.request, query=b"a=1", body=b"{}" if golden.preset.body == "json" else b"a=1", headers={})

    assert golden.scheme.present(bare).is_missing
    assert not golden.believes(bare)


@given(st.sampled_from(NAMES), st.binary(max_size=200), st.binary(max_size=200), st.text(max_size=80))
def test_no_bytes_make_a_scheme_raise_or_believe(name: str, query: bytes, body: bytes, header: str) -> None:
    golden = vector(name)
    hostile = replace(golden.request, query=query, body=body, headers=dict.fromkeys(golden.scheme.headers, header))

    assert not golden.believes(hostile)
    golden.scheme.read(hostile, golden.key, {"a"})


@given(st.sampled_from(SIGNED), st.data())
def test_a_flipped_byte_is_refused_or_changes_nothing_that_is_covered(name: str, data: st.DataObject) -> None:
    golden = vector(name)
    part = "query" if golden.request.query else "body"
    raw = bytearray(getattr(golden.request, part))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    flipped = replace(golden.request, query=bytes(raw)) if part == "query" else replace(golden.request, body=bytes(raw))
    before, after = golden.told(golden.request), golden.told(flipped)

    if golden.believes(flipped):
        covered = golden.scheme.covered if golden.scheme.covered is not None else tuple(before.values)
        # A covered name that lost its value would be one that somebody took away.
        assert {each: after.values.get(each) for each in covered} == {each: before.values.get(each) for each in covered}


@given(st.sampled_from([name for name in SIGNED if vector(name).scheme.headers]), st.data())
def test_a_flipped_byte_of_a_signature_in_a_header_is_refused(name: str, data: st.DataObject) -> None:
    golden = vector(name)
    (header,) = golden.scheme.headers
    raw = bytearray(golden.request.header(header))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 127))
    assume(raw.lower().strip() != golden.request.header(header).lower())

    assert not golden.believes(replace(golden.request, headers={header: raw.decode("latin-1")}))


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, each) for name in PARTLY for each in CATALOGUE[name].covered or ()]
)
def test_a_covered_parameter_cannot_be_changed(name: str, parameter: str) -> None:
    golden = vector(name)
    value = golden.told(golden.request).values[parameter]

    assert not golden.believes(golden.with_query(**{parameter: value + "9"}))
    assert not golden.believes(golden.with_query(**{parameter: ""}))


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        (name, each)
        for name in PARTLY
        for each in sorted({*CATALOGUE[name].parameters.values()} - {*(CATALOGUE[name].covered or ())})
    ],
)
def test_a_parameter_that_is_not_covered_can_be_changed_under_the_same_signature(name: str, parameter: str) -> None:
    golden = vector(name)
    changed = golden.with_query(**{parameter: golden.told(golden.request).values[parameter] + "9"})

    assert golden.believes(changed)
    assert golden.told(changed).values[parameter].endswith("9")


@pytest.mark.parametrize("name", SEAMLESS)
def test_what_is_hashed_with_nothing_between_lets_characters_move_to_a_neighbour(name: str) -> None:
    golden = vector(name)
    left, right = (golden.scheme.covered or ())[-2:]
    values = golden.told(golden.request).values
    moved = golden.with_query(**{left: values[left][:-1], right: values[left][-1] + values[right]})

    assert golden.believes(moved)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("torox", {"oid": "123-click", "user_id": "1"}),
        ("tapjoy", {"id": "abc:user", "snuid": "42"}),
        ("pollfish", {"cpa": "30:click", "request_uuid": "1"}),
    ],
)
def test_a_separator_in_a_neighbour_moves_nothing(name: str, changed: dict[str, str]) -> None:
    golden = vector(name)

    assert not golden.believes(golden.with_query(**changed))


@pytest.mark.parametrize("name", PARTLY)
def test_a_covered_parameter_that_comes_twice_is_no_signature(name: str) -> None:
    golden = vector(name)
    first = (golden.scheme.covered or ())[0]
    doubled = replace(golden.request, query=golden.request.query + f"&{first}=other".encode())

    assert golden.scheme.present(doubled).signatures == ()
    assert not golden.scheme.present(doubled).is_missing


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("ayet", b"&transaction_id=t-1"),
        ("digistore24", b"&event=on_payment"),
        ("digistore24", b"&sha_sign=00"),
        ("bitlabs", b"&hash=dbcd6bb8ca677344592842a52b4fca9bec36cd4b"),
        ("adgem", b"&verifier=00"),
    ],
)
def test_what_signs_everything_takes_no_name_twice(name: str, more: bytes) -> None:
    golden = vector(name)
    part = "query" if golden.request.query else "body"
    raw = getattr(golden.request, part) + more
    doubled = replace(golden.request, query=raw) if part == "query" else replace(golden.request, body=raw)

    assert golden.scheme.present(doubled).signatures == ()
    assert not golden.scheme.present(doubled).is_missing


@pytest.mark.parametrize("name", STATIC)
def test_a_static_secret_is_compared_and_covers_nothing(name: str) -> None:
    golden = vector(name)

    assert golden.scheme.covered == ()
    assert not golden.believes(golden.request, golden.key[:-1])


def test_clickbank_encrypts_without_signing_so_its_first_block_can_be_altered() -> None:
    golden = vector("clickbank")
    envelope = json.loads(golden.request.body)
    start = bytearray(base64.b64decode(envelope["iv"]))
    # The plain text begins with {"transactionTime: another name in the first block, under no knowledge of the key.
    start[2] ^= ord("t") ^ ord("x")
    envelope["iv"] = base64.b64encode(start).decode()
    altered = replace(golden.request, body=json.dumps(envelope).encode())

    assert golden.believes(altered)
    assert "xransactionTime" in golden.scheme.read(altered, golden.key, ()).parameters.names
    assert golden.scheme.covered == ()


def test_clickbank_tells_what_it_decrypts() -> None:
    golden = vector("clickbank")

    assert golden.told(golden.request).values == {
        "receipt": "CWOGBZLN", "transactionType": "SALE", "totalAccountAmount": "15.25", "currency": "USD",
        "trackingCodes.0": "click1",
    }  # fmt: skip


@pytest.mark.parametrize(("is_html_decoded", "shown"), [(False, "a&amp;b"), (True, "a&b")])
def test_digistore_signs_values_raw_or_html_decoded_as_the_table_says(*, is_html_decoded: bool, shown: str) -> None:
    scheme = VERIFIERS["digistore24"]({"is_html_decoded": is_html_decoded})
    sent = {"custom": "a&amp;b", "transaction_id": "1"}
    value = html.unescape(sent["custom"]) if is_html_decoded else sent["custom"]
    digest = hashlib.sha512(f"custom={value}pwtransaction_id=1pw".encode()).hexdigest().upper()
    request = Request("POST", "src", "https://x", body=urlencode({**sent, "sha_sign": digest}).encode())
    presented = scheme.present(request)

    assert presented.signatures == (scheme.mac(presented.message, b"pw"),)
    assert scheme.read(request, b"pw", {"custom"}).parameters.values == {"custom": shown}


def test_digistore_refuses_a_name_that_swallowed_part_of_its_value() -> None:
    golden = vector("digistore24")
    body = golden.request.body.replace(b"custom=click%3D1", b"custom%3Dclick=1")

    assert body != golden.request.body
    assert not golden.believes(replace(golden.request, body=body))


def test_ayet_believes_either_encoding_of_the_same_value() -> None:
    golden = vector("ayet")

    assert b"click%201" in golden.request.query
    assert golden.believes(replace(golden.request, query=golden.request.query.replace(b"%20", b"+")))


@pytest.mark.parametrize("name", ["adgem", "bitlabs", "makemoney_signed"])
def test_a_signed_address_is_believed_as_it_was_called_and_at_no_other_host(name: str) -> None:
    golden = vector(name)

    assert not golden.believes(replace(golden.request, url=golden.request.url.replace("https", "http")))
    assert not golden.believes(replace(golden.request, query=b"x=1&" + golden.request.query))


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_names_our_fields_and_says_what_its_scheme_says(name: str) -> None:
    preset = CATALOGUE[name]

    assert set(preset.parameters) <= set(FIELDS)
    assert set(preset.macros) <= set(preset.parameters)
    if preset.kind in VERIFIERS:
        scheme = VERIFIERS[preset.kind](preset.verifier)
        assert (preset.assurance, preset.covered) == (scheme.assurance, scheme.covered)
        assert preset.method in scheme.methods


@pytest.mark.parametrize("name", NAMES)
def test_a_template_holds_every_macro_and_a_post_has_none(name: str) -> None:
    preset = CATALOGUE[name]

    template = preset.url_template("https://clicks.example/postback/src_1")

    for ours, macro in preset.macros.items():
        assert f"{preset.parameters[ours]}={macro}" in template
    for theirs, macro in preset.extra_macros.items():
        assert f"{theirs}={macro}" in template
    if preset.method == "POST":
        assert template == "https://clicks.example/postback/src_1"
    if preset.verifier["secret"] == "ours":
        assert template.endswith("token={token}")


def test_a_broken_catalogue_tells_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(CatalogueError) as raised:
        load({"one": 'name = "two"\nmethod = "PUT"\n[parameters]\nmine = "x"', "three": "= no"})

    message = str(raised.value)
    assert "one: name is not the file's stem" in message
    assert "one: method is one of GET, POST" in message
    assert "one: parameters.mine is none of our names" in message
    assert "three: is not TOML" in message
