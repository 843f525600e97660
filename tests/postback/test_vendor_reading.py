"""How the requests of networks are read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Fault
from postback.schemes import reading

NAMES = st.sampled_from(["click.id", "a", "Amount[0]", "data.x"])


def test_a_form_takes_any_name_a_network_may_write_and_reads_plus_as_a_space() -> None:
    found = reading.form(b"&Sub.ID[1]=a+b%20c&empty=&click=%C3%A4", {"Sub.ID[1]", "empty", "click"})

    assert found.values == {"Sub.ID[1]": "a b c", "empty": "", "click": "ä"}
    assert found.names == ("Sub.ID[1]", "empty", "click")
    assert found.faults == ()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"a=1&a=1", "comes more than once"),
        (b"a=1&%61=2", "comes more than once"),
        (b"a=%ff", "is not UTF-8"),
        (b"a=%00", "holds a control character"),
        (b"a=%C2%85", "holds a control character"),
        (b"a=" + b"x" * 256, "is longer than 255 characters"),
    ],
)
def test_a_wanted_name_is_read_strictly_and_an_unwanted_one_is_let_be(raw: bytes, reason: str) -> None:
    assert reading.form(raw, {"a"}).faults == (Fault("a", reason),)
    unwanted = reading.form(raw, {"b"})
    assert (unwanted.faults, unwanted.values, unwanted.names) == ((), {}, ("a",))


def test_two_hundred_pairs_are_read_and_one_more_is_not() -> None:
    raw = b"&".join(b"n%d=1" % number for number in range(200))

    assert reading.form(raw, {"n199"}).values == {"n199": "1"}
    assert reading.form(raw + b"&b=1", {"n199"}).faults == (Fault("parameters", "are more than 200"),)
    assert reading.form(b"&" * 400 + b"a=1", {"a"}).faults == (Fault("parameters", "are more than 200"),)


def test_a_path_reaches_into_objects_and_lists() -> None:
    body = b'{"click":{"id":"c1"},"codes":["x","y"],"n":1.50,"yes":true,"none":null,"click.id":"no"}'

    found = reading.json_at(body, {"click.id", "codes.1", "codes.9", "n", "yes", "none", "n.deep", "missing.deep"})

    assert found.values == {"click.id": "c1", "codes.1": "y", "n": "1.50", "yes": "true"}
    assert found.faults == ()
    assert found.names == ("click", "codes", "n", "yes", "none", "click.id")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"a":1,"a":2}', Fault("a", "comes more than once")),
        (b'{"b":{"a":1,"a":2}}', Fault("a", "comes more than once")),
        (b'{"a":NaN}', Fault("body", "is not JSON in UTF-8")),
        (b"[1]", Fault("body", "is not a JSON object")),
        (b"\xff", Fault("body", "is not JSON in UTF-8")),
        (b"[" * 100_000, Fault("body", "is not JSON in UTF-8")),
        (b'{"a":1e999999999}', Fault("a", "is not a plain number")),
        (b'{"a":{}}', Fault("a", "takes a text, a number, true or false")),
        (b'{"a":"\\ud800"}', Fault("a", "is not UTF-8")),
        (b'{"a":"\\u0000"}', Fault("a", "holds a control character")),
    ],
)
def test_json_that_could_be_read_in_two_ways_is_not_read(body: bytes, fault: Fault) -> None:
    assert reading.json_at(body, {"a"}).faults == (fault,)


@given(st.binary(max_size=300), st.sets(NAMES))
def test_no_bytes_make_a_reader_raise(raw: bytes, wanted: set[str]) -> None:
    for found in (reading.form(raw, wanted), reading.json_at(raw, wanted), reading.json_at(b'{"a":%b}' % raw, wanted)):
        assert set(found.values) <= wanted


@given(
    st.dictionaries(st.text(min_size=1, max_size=20), st.recursive(st.none() | st.booleans() | st.text(), st.lists)),
    st.sets(NAMES),
)
def test_no_object_makes_the_json_reader_raise(held: dict[str, object], wanted: set[str]) -> None:
    assert set(reading.json_at(json.dumps(held).encode(), wanted).values) <= wanted
