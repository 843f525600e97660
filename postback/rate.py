"""Token buckets, in this process's memory: a microsecond a request, and no Redis to wait for.

postback/shared_rate.py tells other processes what was spent here, and here what is left of all of it.
"""

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

KEYS_MAX = 10_000
IPV6_PREFIX_BITS = 64


@dataclass(frozen=True)
class Rate:
    """`per_second` tokens flow in, at most `burst` are kept."""

    per_second: float
    burst: int


@dataclass(frozen=True)
class Spent:
    """Tokens of one key that were given out here, and that nobody else knows of yet."""

    rate: Rate
    tokens: int


@dataclass
class _Bucket:
    tokens: float
    filled_at: float
    rate: Rate
    spent: int = 0


class Buckets:
    """One bucket a key; of more than `keys_max` the longest untouched is forgotten, and would start full again.

    `on_spent` is called when there is something for `unsettled` to return. While others cannot be told (`is_alone`),
    a key has one `alone_share`-th of its rate and burst here.
    """

    def __init__(
        self, keys_max: int = KEYS_MAX, *, alone_share: int = 1, on_spent: Callable[[], None] | None = None
    ) -> None:
        self._keys_max = keys_max
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()
        self._alone_share = alone_share
        self._on_spent = on_spent
        self._unsettled: dict[str, _Bucket] = {}
        self.is_alone = False

    def wait_s(self, key: str, rate: Rate, *, now: datetime) -> float:
        """Take a token of `key`: return 0.0 when there was one, else the seconds until there will be."""
        moment = now.timestamp()
        share = self._alone_share if self.is_alone else 1
        per_second, burst = rate.per_second / share, max(1.0, rate.burst / share)
        with self._lock:
            bucket = self._buckets.setdefault(key, _Bucket(burst, moment, rate))
            self._buckets.move_to_end(key)
            if len(self._buckets) > self._keys_max:
                self._buckets.popitem(last=False)
            # A clock set back fills nothing and takes nothing away.
            elapsed_s = max(0.0, moment - bucket.filled_at)
            bucket.tokens = min(burst, bucket.tokens + elapsed_s * per_second)
            bucket.filled_at = moment
            if bucket.tokens < 1:
                return (1 - bucket.tokens) / per_second
            bucket.tokens -= 1
            if self._on_spent is not None:
                bucket.spent, bucket.rate = bucket.spent + 1, rate
                self._unsettled[key] = bucket
                self._on_spent()
            return 0.0

    def unsettled(self) -> dict[str, Spent]:
        """Return, and forget, what was given out since the last time."""
        with self._lock:
            buckets, self._unsettled = self._unsettled, {}
            found = {key: Spent(bucket.rate, bucket.spent) for key, bucket in buckets.items()}
            for bucket in buckets.values():
                bucket.spent = 0
        return found

    def settle(self, levels: Mapping[str, float], *, now: datetime) -> None:
        """Set keys to the tokens that all processes together have left at `now`; below zero is what they overdrew.

        What was given out here since `unsettled` is taken off again.
        """
        moment = now.timestamp()
        with self._lock:
            for key, level in levels.items():
                bucket = self._buckets.get(key)
                if bucket is not None:
                    bucket.tokens, bucket.filled_at = level - bucket.spent, moment


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
