"""What things are called, by their ids."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from partners.models import Affiliate, Campaign, Source


def of(
    session: Session, table: type[Source | Affiliate | Campaign], ids: Collection[str | None] | None = None
) -> dict[str, str]:
    """Return the names of those of `table` that have one of `ids`, of all without, in the order of the names."""
    statement = sa.select(table.id, table.name).order_by(table.name)
    if ids is not None:
        statement = statement.where(table.id.in_(set(ids)))
    return {row.id: row.name for row in session.execute(statement)}
