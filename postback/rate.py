"""Token buckets, in this process's memory: half a microsecond a request, and no Redis to be away."""

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

KEYS_MAX = 10_000
IPV6_PREFIX_BITS = 64


@dataclass(frozen=True)
class Rate:
    """`per_second` tokens flow in, at most `burst` are kept."""

    per_second: float
    burst: int


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class Buckets:
    """One bucket a key; of more than `keys_max` the longest untouched is forgotten, and would start full again."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: str, rate: Rate, *, now: datetime) -> float:
        """Take a token of `key`: return 0.0 when there was one, else the seconds until there will be."""
        moment = now.timestamp()
        with self._lock:
            bucket = self._buckets.setdefault(key, _Bucket(rate.burst, moment))
            self._buckets.move_to_end(key)
            if len(self._buckets) > self._keys_max:
                self._buckets.popitem(last=False)
            # A clock set back fills nothing and takes nothing away.
            elapsed_s = max(0.0, moment - bucket.filled_at)
            bucket.tokens = min(float(rate.burst), bucket.tokens + elapsed_s * rate.per_second)
            bucket.filled_at = moment
            if bucket.tokens >= 1:
                bucket.tokens -= 1
                return 0.0
            return (1 - bucket.tokens) / rate.per_second


def address_key(peer: str) -> str:
    """Return the key of an address's bucket: an IPv6 sender owns a whole /64 and may change within it at will."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return "no address"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed, IPV6_PREFIX_BITS), strict=False))
