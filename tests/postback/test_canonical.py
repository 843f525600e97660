"""What is signed, and how parameters are read."""

import base64
import string
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postback import canonical
from postback.schemes import reading
from postback.schemes.base import hmac_sha256

KEY = bytes(range(32))
SOURCE = "src_7Qm2vK9x"
BODY = b'{"click_id":"ABC123","currency":"GBP","payout":"0.50","transaction_id":"TXN789"}'
NAMES = st.text(string.ascii_lowercase + string.digits + "_", min_size=1, max_size=40).filter(lambda n: n != "sig")
CONTROL = {chr(code) for code in (*range(32), *range(127, 160))}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=CONTROL), max_size=20)


@pytest.mark.parametrize(
    ("click_id", "signature"),
    [
        ("ABC123", "03ac2d7d6fb18b66671b72a9a84a7d29a8435d6cccf4ab06987c2a9589ccdd0c"),
        ("ABC%20123", "85e1d16ef3b95233d7fbb61f2c0c30856d85779ff9625d1ae12266d6ab0516b4"),
        ("ABC+123", "571bf5f8cd8e8be561e4c4f1d4b63f2fe526b4714e065f633c40c4f38b2278f8"),
    ],
)
def test_pb1_signs_the_raw_query_as_published(click_id: str, signature: str) -> None:
    query = f"click_id={click_id}&transaction_id=TXN789&payout=0.50&currency=GBP&ts=1767225600&sig={signature}"

    presented = canonical.pb1_presented("GET", SOURCE, query.encode())

    assert presented.signatures == (bytes.fromhex(signature),)
    assert hmac_sha256(presented.message, KEY).hex() == signature
    assert canonical.pairs(query.encode()).values["click_id"] in {"ABC123", "ABC 123"}


@pytest.mark.parametrize(
    ("key", "message_id", "timestamp", "body", "signature"),
    [
        (KEY, b"msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", b"1767225600", BODY, b"kH2qFX9Z8qV60ypL8Zch943o3POjkrsUxIw2UJz4Gqg="),
        (
            base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), b"msg_p5jXN8AQM9LWM0D4loKWxJek", b"1614265330",
            b'{"test": 2432232314}', b"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ],
)  # fmt: skip
def test_sw1_signs_as_standard_webhooks_publishes(
    key: bytes, message_id: bytes, timestamp: bytes, body: bytes, signature: bytes
) -> None:
    presented = canonical.sw1_presented(message_id, timestamp, b"v1," + signature, body)

    assert presented.signatures == (hmac_sha256(presented.message, key),)


@pytest.mark.parametrize(
    ("query", "is_missing"),
    [
        (b"", True),
        (b"a=1", True),
        (b"a=1&sig=", False),
        (b"sig=" + b"0" * 64, False),
        (b"a=1&sig=" + b"0" * 63, False),
        (b"a=1&sig=" + b"0" * 65, False),
        (b"a=1&sig=" + b"A" * 64, False),
        (b"a=1&sig=" + b"0" * 64 + b"&b=2", False),
        (b"a=1&sig=" + b"0" * 64 + b"\n", False),
        (b"a=1&sig=" + b"0" * 64 + b"&sig=" + b"0" * 64, False),
        (b"sig=&a=1&sig=" + b"0" * 64, False),
    ],
)
def test_a_sig_that_is_not_last_once_and_64_lower_case_digits_is_no_signature(
    query: bytes, *, is_missing: bool
) -> None:
    presented = canonical.pb1_presented("GET", SOURCE, query)

    assert presented.signatures == ()
    assert presented.is_missing is is_missing


GOOD = b"v1," + base64.b64encode(bytes(32))


@pytest.mark.parametrize(
    ("header", "count"),
    [
        (GOOD, 1),
        (GOOD + b" " + GOOD, 2),
        (b"v1a," + GOOD[3:] + b" v2,xyz " + GOOD, 1),
        (b" ".join([GOOD] * 10), 10),
        (b" ".join([GOOD] * 11), 0),
        (GOOD[:-1], 0),
        (GOOD[3:], 0),
        (GOOD[:-2] + b"B=", 0),  # the same bytes, spelt with a stray bit
        (b"v1," + base64.b64encode(bytes(31)), 0),
        (b"v1,\xff", 0),
        (GOOD + b"," + GOOD, 0),  # two headers, as WSGI joins them
    ],
)
def test_only_well_formed_v1_signatures_are_taken_and_ten_at_most(header: bytes, count: int) -> None:
    presented = canonical.sw1_presented(b"msg_1", b"1767225600", header, BODY)

    assert len(presented.signatures) == count
    assert not presented.is_missing


@pytest.mark.parametrize("message_id", [b"msg.1", b"msg 1", b"\xe9", b"x" * 256])
def test_a_message_id_that_would_blur_what_is_signed_is_refused(message_id: bytes) -> None:
    assert canonical.sw1_presented(message_id, b"1767225600", GOOD, BODY).signatures == ()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("a=1&a=2", "a"),
        ("a=1&&b=2", "pair 2"),
        ("A=1", "pair 1"),
        ("%61=1", "pair 1"),
        ("a", "pair 1"),
        ("a=1%2", "a"),
        ("a=" + "x" * 256, "a"),
        ("x" * 41 + "=1", "pair 1"),
        ("a=%ff", "a"),
        ("a=%00", "a"),
        ("a=%C2%85", "a"),
        ("a=1;b=2", "a"),
        ("a=\xe9", "a"),
    ],
)
def test_a_pair_out_of_form_is_named(query: str, field: str) -> None:
    parameters = canonical.pairs(query.encode("latin-1"))

    assert [fault.field for fault in parameters.faults] == [field]


@given(st.dictionaries(NAMES, TEXTS, min_size=1, max_size=8))
def test_what_is_written_as_pairs_is_read_as_it_was(values: dict[str, str]) -> None:
    query = "&".join(f"{name}={quote_from_bytes(value.encode(), safe='')}" for name, value in values.items())

    parameters = canonical.pairs(query.encode())

    assert parameters.values == values
    assert parameters.faults == ()


@given(st.binary(max_size=60))
def test_no_bytes_make_the_readers_fail(raw: bytes) -> None:
    canonical.pairs(raw)
    reading.json_at(raw, {"a"})
    canonical.pb1_presented("GET", SOURCE, raw)
    canonical.sw1_presented(raw, raw, raw, raw)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"[]", "body"),
        (b'{"a": NaN}', "body"),
        (b'{"a": 1, "a": 2}', "a"),
        (b'{"z": {"a": 1, "a": 2}}', "a"),
        (b'{"a": [1]}', "a"),
        (b'{"a": 1e5}', "a"),
        (b'{"a": 1e999999999999999999999}', "body"),
        (b'{"a": "\\ud800"}', "a"),
        (b'{"a": "\\u0000"}', "a"),
        (b'{"\\u0000": 1}', "body"),
        (b'\xef\xbb\xbf{"a": 1}', "body"),
        ('{"a": 1}'.encode("utf-16"), "body"),
        (b'{"a":' * 30000, "body"),
        (b'{"a": "' + b"x" * 256 + b'"}', "a"),
    ],
)
def test_json_out_of_form_is_named(body: bytes, field: str) -> None:
    parameters = reading.json_at(body, {"a"})

    assert [fault.field for fault in parameters.faults] == [field]


def test_json_numbers_keep_every_digit_and_null_is_absent() -> None:
    body = b'{"a": 0.10, "b": 12345678901234567890.123456, "c": null, "d": {"deep": [1]}}'

    parameters = reading.json_at(body, {"a", "b", "c"})

    assert parameters.values == {"a": "0.10", "b": "12345678901234567890.123456"}
    assert parameters.names == ("a", "b", "c", "d")
    assert parameters.faults == ()


@pytest.mark.parametrize("text", ["176722560", "17672256000", " 1767225600", "1767225600.0", "١٧٦٧٢٢٥٦٠٠", "", None])
def test_a_timestamp_is_exactly_ten_ascii_digits(text: str | None) -> None:
    assert canonical.sent_at(text) is None
    assert canonical.sent_at("1767225600") is not None
