"""What a process remembers of a source between postbacks, ready to check the next one.

A belief may rest on what is remembered, because the writer records it only while the source's revision is still the
same. A refusal never does: it is decided on what the database says at that moment.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from core.runtime import Runtime
from partners import secrets, sources
from partners.models import Source
from partners.secrets import LiveSecret
from postback import covering, schemes_of_sources
from postback.answers import Style
from postback.content import TIMESTAMP, DedupeBy, Duplicates, Reading
from postback.rate import Rate
from postback.schemes.base import Scheme

SOURCES_MAX = 10_000


@dataclass(frozen=True)
class KnownSource:
    """One source at one revision. No repr: it carries keys."""

    id: str
    revision: int
    url: str
    scheme: Scheme
    secrets: Sequence[LiveSecret]
    allowlist: Sequence[str]
    refuses_late: bool
    state: str
    rate: Rate
    reading: Reading
    wanted: frozenset[str]
    style: Style
    is_test: bool
    covered: str

    def __repr__(self) -> str:
        return f"KnownSource({self.id!r}, {self.revision})"

    def keys(self, now: datetime) -> Sequence[LiveSecret]:
        """Return the secrets that may sign at `now`."""
        if all(secret.not_after is None for secret in self.secrets):
            return self.secrets
        return [secret for secret in self.secrets if secret.not_after is None or secret.not_after > now]


class Sources:
    """Sources by their id; of more than SOURCES_MAX the longest unused is forgotten. Threads may share one."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, KnownSource] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, source_id: str) -> KnownSource | None:
        """Return what is remembered of a source."""
        return self._known.get(source_id)

    def put(self, source_id: str, known: KnownSource | None) -> None:
        """Remember a source as it was just read; None for one that is not there."""
        with self._lock:
            self._known.pop(source_id, None)
            if known is not None:
                self._known[source_id] = known
                if len(self._known) > SOURCES_MAX:
                    self._known.popitem(last=False)


def load(runtime: Runtime, session: Session, source_id: str, *, now: datetime) -> KnownSource | None:
    """Read a source and its live secrets, None when there is no such source."""
    # One statement whether the source is there or not: two for a known one would tell it by the time it takes.
    statement = sa.select(Source).options(joinedload(Source.secrets)).where(Source.id == source_id)
    source = session.execute(statement).unique().scalar_one_or_none()
    if source is None:
        return None
    reading, scheme = reading_of(source), schemes_of_sources.of(source)
    return KnownSource(
        id=source.id,
        revision=source.revision,
        url=sources.postback_url(runtime, source.id),
        scheme=scheme,
        secrets=tuple(secrets.live(runtime, source, now)),
        allowlist=tuple(source.allowlist),
        refuses_late=source.stale == "reject",
        state=source.state,
        rate=Rate(source.rate_per_second, source.rate_burst),
        reading=reading,
        wanted=reading.wanted | {reading.name(TIMESTAMP)},
        style=Style(source.answers),
        is_test=source.is_test,
        covered=covering.written(scheme.covered, reading.names, has_seams=scheme.has_seams),
    )


def reading_of(source: Source) -> Reading:
    """Return how a source's parameters are read."""
    return Reading(
        DedupeBy(source.dedupe_by),
        source.default_currency,
        source.parameters,
        source.status_words,
        source.amount_unit == "minor",
        Duplicates(source.duplicates),
        source.reversal,
    )


def revisions(session: Session, source_ids: Sequence[str]) -> dict[str, int]:
    """Return the revisions that sources are at now."""
    rows = session.execute(sa.select(Source.id, Source.revision).where(Source.id.in_(source_ids)))
    return {row.id: row.revision for row in rows}
