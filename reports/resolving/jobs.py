"""The stage of resolutions: `resolving` acts on what people decided about adjustments."""

from core.runtime import installed
from reports.resolving import adjusting


def resolve() -> None:
    """Post what was approved, open again what was rejected, void what has changed: a transaction each."""
    runtime = installed()
    with runtime.reading() as session:
        if not adjusting.is_waiting(session):
            return
    for step in (adjusting.take_finished, adjusting.void_changed):
        taken = True
        while taken:
            with runtime.transaction() as session:
                taken = step(runtime, session)
