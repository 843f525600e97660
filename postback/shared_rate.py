"""What several processes give out of one rate together: each tells Redis, from a thread of its own, what it has spent.

Nobody waits for Redis: a postback takes its token from this process's bucket (postback/rate.py), and what was taken is
settled afterwards, every INTERVAL_S. So each process may give too much until its next exchange; the common bucket goes
below zero by as much, and everybody waits until it is paid back. docs/decisions/0007 says what else was looked at.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis, RedisError
from redis.commands.core import Script

from core.clock import Clock
from postback.rate import KEYS_MAX, Buckets, Spent

INTERVAL_S = 0.1
# How long to let Redis be when it did not answer.
AWAY_S = 1.0
KEYS_A_CALL_MAX = 200
_PREFIX = "clickledger:rate:"

# KEYS are buckets; ARGV is the present moment in seconds, then of each bucket: tokens a second, burst, tokens spent.
# Answers what each has left. A bucket that is not there is full; one expires when it would be. Nobody is made to pay
# back more than one burst: so much is given too much at most by processes that could not tell each other for a while.
_SETTLE = """
local now, left = tonumber(ARGV[1]), {}
for place, key in ipairs(KEYS) do
  local per_second = tonumber(ARGV[3 * place - 1])
  local burst = tonumber(ARGV[3 * place])
  local spent = tonumber(ARGV[3 * place + 1])
  local held = redis.call('HMGET', key, 'tokens', 'at')
  local tokens, at = tonumber(held[1] or burst), tonumber(held[2] or now)
  if now > at then
    tokens, at = tokens + (now - at) * per_second, now
  end
  tokens = math.max(math.min(burst, tokens) - spent, -burst)
  redis.call('HSET', key, 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', at))
  redis.call('EXPIRE', key, math.ceil(2 * burst / per_second) + 60)
  left[place] = string.format('%.6f', tokens)
end
return left
"""

log = logging.getLogger(__name__)


class Exchange:
    """Settles the buckets that it makes with the other processes on the same Redis. Threads may share one."""

    def __init__(
        self, redis: Callable[[], Redis], clock: Callable[[], Clock], *, interval_s: float = INTERVAL_S
    ) -> None:
        self._interval_s = interval_s
        self._redis = redis
        self._clock = clock
        self._kinds: dict[str, Buckets] = {}
        self._script: Script | None = None
        self._is_away = False
        self._lock = threading.Lock()
        self._settling = threading.Lock()
        self._asked = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def buckets(self, kind: str, *, keys_max: int = KEYS_MAX, alone_share: int = 1) -> Buckets:
        """Make buckets whose keys are one with those of the same `kind` in other processes.

        `alone_share` is how many processes a key's rate is divided among while they cannot tell each other.
        """
        made = self._kinds[kind] = Buckets(keys_max, alone_share=alone_share, on_spent=self._note)
        return made

    def close(self) -> None:
        """End the thread, once it has told what is left to tell."""
        self._ended.set()
        self._asked.set()
        if self._thread is not None:
            self._thread.join(2)

    def settle(self) -> None:
        """Tell what was spent, and learn what is left; while Redis is away, every process counts alone.

        Returns when whatever was spent before is told, by this thread or another.
        """
        with self._settling:
            try:
                for kind, buckets in self._kinds.items():
                    spent = list(buckets.unsettled().items())
                    for start in range(0, len(spent), KEYS_A_CALL_MAX):
                        some, now = spent[start : start + KEYS_A_CALL_MAX], self._clock()()
                        levels = self._exchanged(kind, some, now.timestamp())
                        buckets.settle(dict(zip((key for key, _ in some), levels, strict=True)), now=now)
                        self._set_away(is_away=False)
            except RedisError as error:
                # What was spent meanwhile is told to nobody: it would be paid back, all at once, by good postbacks.
                self._set_away(is_away=True, cause=type(error).__name__)

    def _exchanged(self, kind: str, some: Sequence[tuple[str, Spent]], now_s: float) -> list[float]:
        redis = self._redis()
        if self._script is None:
            self._script = redis.register_script(_SETTLE)
        arguments: list[Any] = [now_s]
        for _, spent in some:
            arguments += [spent.rate.per_second, spent.rate.burst, spent.tokens]
        left = self._script([f"{_PREFIX}{kind}:{key}" for key, _ in some], arguments, client=redis)
        return [float(level) for level in left]

    def _set_away(self, *, is_away: bool, cause: str | None = None) -> None:
        if is_away is self._is_away:
            return
        log.warning("rates are counted %s", "alone" if is_away else "together", extra={"cause": cause})
        self._is_away = is_away
        for buckets in self._kinds.values():
            buckets.is_alone = is_away

    def _note(self) -> None:
        if self._asked.is_set():
            return
        with self._lock:
            if self._thread is None:
                # Not in __init__: a server forks after it has built its parts, and threads do not survive that.
                self._thread = threading.Thread(target=self._run, name="rates", daemon=True)
                self._thread.start()
        self._asked.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._asked.wait()
            self._ended.wait(AWAY_S if self._is_away else self._interval_s)
            # Cleared before it is looked what to tell: who spends between the two is told now or asks again.
            self._asked.clear()
            self.settle()
