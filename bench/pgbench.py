"""The peers' statement alone: pgbench runs it from 32 clients, without HTTP, checks or JSON."""

import re
import shutil
import subprocess
from pathlib import Path

from bench.contenders import PEERS
from bench.databases import Cluster
from bench.load import CONNECTIONS, THREADS, Measured
from bench.scene import Scene

# Time-ordered like real ids: clients count side by side, each for itself.
_COUNTED = "lpad(:n::text, 20, '0') || lpad(:client_id::text, 6, '0')"


def run(cluster: Cluster, database_url: str, scene: Scene, folder: Path, seconds: float) -> Measured:
    """Run the statement for whole `seconds` and return its figures in the form of a load's."""
    script = folder / "record.sql"
    script.write_text(_script(scene), encoding="utf-8")
    logs = folder / "pgbench"
    logs.mkdir(exist_ok=True)
    program = cluster.binaries / "pgbench"
    words = [
        str(program) if program.exists() else str(shutil.which("pgbench")), "-n", "-M", "prepared",
        "-c", str(CONNECTIONS), "-j", str(THREADS), "-T", str(max(1, round(seconds))), "-D", "n=0",
        "-f", str(script), "-l", "--log-prefix", str(logs / "log"), database_url,
    ]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, timeout=seconds + 60)
    latencies = sorted(int(line.split()[2]) for log in logs.iterdir() for line in log.read_text().splitlines())
    shutil.rmtree(logs)

    def share(part: float) -> int:
        return latencies[min(len(latencies) - 1, int(len(latencies) * part))]

    return Measured(
        len(latencies), max(1, round(seconds)), share(0.5), share(0.9), share(0.99), latencies[-1], 0, 0, 0, 0
    )


def _script(scene: Scene) -> str:
    query = f"click_id={scene.click_ids[0]}&payout=12.34&currency=EUR&event=sale&sub1=spring-2026&sig={'0' * 64}"
    now = "extract(epoch FROM clock_timestamp())::float8"
    values = {
        1: f"('cnv_' || {_COUNTED})", 2: f"('rcp_' || {_COUNTED})", 3: f"'{scene.source_id}'",
        4: f"('TXN-' || {_COUNTED})",
        5: "md5('content') || md5('content')", 6: f"('TXN-' || {_COUNTED})", 7: ":click", 8: "'sale'",
        9: "1234", 10: "'EUR'", 11: """'{"sub1": "spring-2026"}'""", 12: now, 13: now, 14: "'127.0.0.1'",
        15: f"'{query}'", 16: f"'{scene.secret_id}'", 17: """'["click_id", "payout", "ts"]'""", 18: "500",
    }  # fmt: skip
    text = re.sub(r"--.*", "", (PEERS / "record.sql").read_text(encoding="utf-8"))
    filled = re.sub(r"\$(\d+)", lambda found: f"({values[int(found[1])]})", text)
    # One line: pgbench ends a statement at a semicolon, and its own lines begin with a backslash.
    # Each client has a click of its own, looked for once.
    click = "SELECT click_id AS click FROM clicks OFFSET :client_id LIMIT 1 \\gset"
    head = ["\\set n :n + 1", "\\if :n = 1", click, "\\endif", ""]
    return "\n".join(head) + " ".join(filled.split()) + ";\n"
