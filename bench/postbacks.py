"""Signed pb1 postbacks, each one different, written to a file before anybody measures."""

import hashlib
import hmac
import secrets
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from bench.scene import Scene

# A signature is believed for half an hour; a file is renewed well before.
FRESH_S = 1200


def target(scene: Scene, transaction_id: str, *, click_id: str | None = None) -> str:
    """Return path and query of one signed postback, as a network sends it: a sale of 12.34 EUR, this second."""
    known = scene.click_ids[zlib.crc32(transaction_id.encode()) % len(scene.click_ids)]
    query = (
        f"click_id={click_id or known}&transaction_id={transaction_id}&payout=12.34&currency=EUR"
        f"&event=sale&sub1=spring-2026&ts={int(time.time())}"
    )
    message = f"pb1\nGET\n/postback/{scene.source_id}\n{query}".encode()
    signature = hmac.new(scene.key, message, hashlib.sha256).hexdigest()
    return f"/postback/{scene.source_id}?{query}&sig={signature}"


@dataclass
class Supply:
    """Targets that no earlier round of the same database has sent; made anew when they are stale or too few."""

    scene: Scene
    folder: Path
    is_click_known: bool = True
    _path: Path | None = None
    _lines: int = 0
    _made_at: float = 0.0

    def file(self, wanted: int) -> Path:
        """Return a file of at least `wanted` fresh targets, one a line."""
        if self._path is None or self._lines < wanted or time.monotonic() - self._made_at > FRESH_S:
            self._path = self.folder / f"targets-{secrets.token_hex(4)}.txt"
            click_id = None if self.is_click_known else "0" * 26
            run = secrets.token_hex(4)
            with self._path.open("w", encoding="ascii") as output:
                for number in range(wanted):
                    output.write(target(self.scene, f"TXN-{run}-{number:08}", click_id=click_id) + "\n")
            self._path.chmod(0o644)
            self._lines, self._made_at = wanted, time.monotonic()
        return self._path
