"""Prometheus metrics of this process; with several gunicorn workers they share files (PROMETHEUS_MULTIPROC_DIR)."""

from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST

REQUESTS = Histogram(
    "clickledger_request_seconds",
    "Time to answer a request.",
    ["method", "endpoint", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

__all__ = ["CONTENT_TYPE_LATEST", "REQUESTS", "exposition"]


def exposition() -> bytes:
    """Return every worker's metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    try:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:
        # No shared folder is set: one process, whose own figures are all there are.
        registry = REGISTRY
    return generate_latest(registry)
