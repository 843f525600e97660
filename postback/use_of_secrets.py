"""Keeps when a secret was last used, about once a minute: a write for every postback would be too dear."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from partners.models import SourceSecret

NOTED_EVERY = timedelta(minutes=1)


class Uses:
    """What one process has noted."""

    def __init__(self) -> None:
        self._noted: dict[str, datetime] = {}

    def due(self, uses: Sequence[tuple[str, datetime]]) -> dict[str, datetime]:
        """Return the latest of `uses` of each secret that was not noted within the last minute."""
        return {
            secret_id: used_at
            for secret_id, used_at in dict(uses).items()
            if secret_id not in self._noted or self._noted[secret_id] <= used_at - NOTED_EVERY
        }

    def noted(self, uses: Mapping[str, datetime]) -> None:
        """Remember that these are committed."""
        self._noted.update(uses)


def note(session: Session, uses: Mapping[str, datetime]) -> None:
    """Keep when secrets were used. Another process may have noted a later use; and no revision moves by it."""
    for secret_id, used_at in uses.items():
        session.execute(
            sa.update(SourceSecret)
            .where(
                SourceSecret.id == secret_id,
                sa.or_(SourceSecret.last_used_at.is_(None), SourceSecret.last_used_at <= used_at - NOTED_EVERY),
            )
            .values(last_used_at=used_at)
        )
