"""What a password costs to try, in the process as it runs: the tests' own hasher is cheap."""

import subprocess
import sys

SAID = "from access.people import _hasher as h; print(h.type.name, h.memory_cost, h.time_cost)"


def test_a_password_is_hashed_by_argon2id_with_what_rfc_9106_recommends_where_memory_is_short() -> None:
    told = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True, timeout=60)

    kind, memory_kib, rounds = told.stdout.split()
    assert (kind, int(memory_kib) >= 64 * 1024, int(rounds) >= 3) == ("ID", True, True)
