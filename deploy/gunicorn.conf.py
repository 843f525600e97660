"""gunicorn's settings, whoever starts it: `gunicorn -c deploy/gunicorn.conf.py wsgi:whole`.

For two services see deploy/README.md: `wsgi:intake` and `wsgi:whole`, each with its own PORT.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

# gunicorn reads this file before it puts the working folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# Names, not the module: gunicorn has a setting called `config` and would take that for it.
from config import ConfigurationError, in_url, load
from core import collector

try:
    settings = load(os.environ)
except ConfigurationError as error:
    sys.exit(str(error))

bind = f"{in_url(settings.host)}:{settings.port}"
workers = settings.web_processes
# An event loop: a client that sends half a header costs it nothing, where it costs a thread a thread (bench/results).
worker_class = "asgi"
asgi_lifespan = "on"
worker_connections = 2000
backlog = 2048
keepalive = 15
# Shorter than the process manager's patience of 5 s, so that an answer under way is still given.
graceful_timeout = 4
# Intake bounds a line itself, and answers 414 with its own body; 8190 is the longest gunicorn reads. The C parser that
# gunicorn takes where it is installed (gunicorn_h1c) has the same bound.
limit_request_line = 8190
# It would put a socket into the home folder, one for all installations.
no_control_socket = True
# web/requests.py logs one line a request, without the query, which carries signatures and payouts.
accesslog = None
loglevel = "warning"
proc_name = "clickledger"

# Every worker counts for itself in files there; /metrics adds them up. Files of an earlier start would be added too.
_prometheus = settings.var_dir / os.environ.get("METRICS_FOLDER", "prometheus")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_prometheus)


def on_starting(_server: Any) -> None:
    """Begin with empty counts, and import what every worker will: a new one is there at once, and shares its memory.

    Modules alone: each worker builds the application, and with it connections and threads, for itself.
    """
    shutil.rmtree(_prometheus, ignore_errors=True)
    _prometheus.mkdir(parents=True)
    collector.rarely()
    # Here, not above: at its first import prometheus_client looks for the folder, once.
    import web.app  # noqa: PLC0415
    import web.service  # noqa: F401, PLC0415

    collector.spare_what_is_there()


def child_exit(_server: Any, worker: Any) -> None:
    """Drop the live gauges of a worker that ended; its counts stay."""
    # Here, not above: at its first import prometheus_client looks for the folder, once.
    from prometheus_client import multiprocess  # noqa: PLC0415

    multiprocess.mark_process_dead(worker.pid)
