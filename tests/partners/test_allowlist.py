"""Which addresses an allowlist admits."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Fault
from partners.allowlist import CIDRS_MAX, admits, faults


def test_an_empty_list_admits_every_peer() -> None:
    assert admits([], "203.0.113.9")
    assert admits([], "no address at all")


@pytest.mark.parametrize(
    ("peer", "admitted"),
    [
        ("192.0.2.0", True),
        ("192.0.2.255", True),
        ("192.0.3.0", False),
        ("192.0.1.255", False),
        ("::ffff:192.0.2.7", True),
        ("::ffff:192.0.3.7", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("192.0.2.7, 10.0.0.1", False),
        ("", False),
    ],
)
def test_a_peer_is_admitted_inside_a_network_and_nowhere_else(peer: str, admitted: bool) -> None:  # noqa: FBT001
    assert admits(["192.0.2.0/24", "2001:db8::/32"], peer) is admitted


def test_a_network_written_as_mapped_ipv6_means_the_ipv4_one() -> None:
    assert admits(["::ffff:192.0.2.0/120"], "192.0.2.9")
    assert not admits(["::ffff:192.0.2.0/120"], "192.0.3.9")


def test_a_single_address_is_a_network_of_one() -> None:
    assert admits(["192.0.2.7"], "192.0.2.7")
    assert not admits(["192.0.2.7"], "192.0.2.8")


def test_every_entry_of_ipv6_does_not_admit_ipv4() -> None:
    assert not admits(["::/0"], "192.0.2.7")
    assert not admits(["::/0"], "::ffff:192.0.2.7")


def test_every_fault_is_named_with_its_place() -> None:
    assert faults(["192.0.2.0/24", "192.0.2.1/24", "nonsense", "2001:db8::/32"]) == [
        Fault("allowlist.1", "has bits set behind its prefix; 192.0.2.0/24 is the network it lies in"),
        Fault("allowlist.2", "is not a network, such as 192.0.2.0/24 or 2001:db8::/32"),
    ]


def test_a_list_that_is_too_long_is_refused_as_one() -> None:
    assert faults(["192.0.2.1"] * (CIDRS_MAX + 1)) == [Fault("allowlist", "takes at most 200 networks")]


@given(
    network=st.integers(0, 2**32 - 1),
    prefix=st.integers(0, 32),
    peer=st.integers(0, 2**32 - 1),
    mapped=st.booleans(),
)
def test_admission_is_equality_of_the_first_prefix_bits(network: int, prefix: int, peer: int, mapped: bool) -> None:  # noqa: FBT001
    shift = 32 - prefix
    cidr = f"{ipaddress.IPv4Address((network >> shift) << shift)}/{prefix}"
    address = f"{'::ffff:' if mapped else ''}{ipaddress.IPv4Address(peer)}"

    assert faults([cidr]) == []
    assert admits([cidr], address) is (network >> shift == peer >> shift)
