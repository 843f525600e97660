"""Decides whether an address may send postbacks for a source: the second lock, beside the signature."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from core.errors import Fault

CIDRS_MAX = 200

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAPPED_PREFIX_BITS = 96


def admits(cidrs: Sequence[str], peer: str) -> bool:
    """Say whether `peer` lies in one of `cidrs`, which are without faults; an empty list admits every peer.

    An IPv4 address written as IPv6 (`::ffff:192.0.2.1`, as a dual-stack socket names it) counts as the IPv4 one.
    """
    if not cidrs:
        return True
    try:
        address = _address(peer)
    except ValueError:
        return False
    return any(address in network for network in _networks(tuple(cidrs)))


def faults(cidrs: Sequence[str]) -> list[Fault]:
    """Return everything wrong with an allowlist, each fault with the entry's place; empty when it can be used."""
    if len(cidrs) > CIDRS_MAX:
        return [Fault("allowlist", f"takes at most {CIDRS_MAX} networks")]
    found = []
    for place, cidr in enumerate(cidrs):
        try:
            _network(cidr)
        except ValueError:
            found.append(Fault(f"allowlist.{place}", _reason(cidr)))
    return found


def _reason(cidr: str) -> str:
    try:
        meant = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return "is not a network, such as 192.0.2.0/24 or 2001:db8::/32"
    return f"has bits set behind its prefix; {meant} is the network it lies in"


@lru_cache(maxsize=4096)
def _address(peer: str) -> _Address:
    return _folded(ipaddress.ip_address(peer))


# Parsing costs more than the whole signature check, and a source's list is the same on every postback.
@lru_cache(maxsize=1024)
def _networks(cidrs: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(_network(cidr) for cidr in cidrs)


def _network(cidr: str) -> _Network:
    network = ipaddress.ip_network(cidr)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_PREFIX_BITS:
        mapped = _folded(network.network_address)
        if isinstance(mapped, ipaddress.IPv4Address):
            return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_PREFIX_BITS))
    return network


def _folded(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
