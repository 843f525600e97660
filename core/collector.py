"""Python's collector of cycles, and when it may rest."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Objects before the collector looks at the young ones (700 by default), and rounds before it looks at older ones.
COLLECT_AFTER = (20_000, 20, 20)


def rarely() -> None:
    """Let the collector look seldom: what we make goes by its reference count, without a round.

    Called before everything else is imported: rounds over modules that never go took a third of a process's start.
    """
    gc.set_threshold(*COLLECT_AFTER)


def spare_what_is_there() -> None:
    """Keep what was made so far out of every round.

    Flask, SQLAlchemy and our own code are some 200,000 objects that never go; a full round over them stops the event
    loop for tens of milliseconds, and unshares the memory that a forked process has from its parent.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def resting() -> Iterator[None]:
    """Keep the collector from looking through the rows of a large batch, which hold no cycles and go by themselves.

    It looked again and again at all that was made since: a third of accrual's own time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
