"""Sources and people as files: lists that are whole on their pages, and that auditors ask for."""

from collections.abc import Iterator, Sequence

import flask
import sqlalchemy as sa
from sqlalchemy.orm import Session

from access import second_factor
from access.models import Staff
from partners.models import Source
from reports.exports.report import moment, plain, text
from reports.exports.tables import Row
from web.pages import lists, people, sources
from web.pages.lists import Asked, Listing

blueprint = flask.Blueprint("set_up_lists", __name__)


def _of_sources(session: Session, some: Sequence[Source]) -> Iterator[Row]:  # noqa: ARG001 - lists hand it to all
    for row in some:
        yield (
            row.id, row.name, row.preset or row.scheme, row.state, "yes" if row.is_test else "no",
            ", ".join(row.allowlist), row.stale, row.default_currency, row.payout_means, row.dedupe_by,
            row.duplicates, row.answers, row.rate_per_second, row.rate_burst, row.created_at,
        )  # fmt: skip


def _of_people(session: Session, some: Sequence[Staff]) -> Iterator[Row]:
    with_factor = second_factor.holders(session, [row.id for row in some])
    for row in some:
        second = "yes" if row.id in with_factor else "no"
        yield row.id, row.email, ", ".join(row.roles), second, row.created_at, row.disabled_at


SOURCES = Listing(
    sources.PLACE,
    "Sources",
    Source.id,
    (),
    asked=lambda: Asked(sa.select(Source)),
    columns=(
        text("id", "Source id"), text("name", "Source"), text("scheme", "Signed by"), text("state", "State"),
        text("is_test", "Test mode"), text("allowlist", "Addresses"), text("stale", "What comes late"),
        text("default_currency", "Currency"), text("payout_means", "Payout means"), text("dedupe_by", "One for each"),
        text("duplicates", "Repeats"), text("answers", "Answers"), plain("rate_per_second", "A second"),
        plain("rate_burst", "At once"), moment("created_at", "Since"),
    ),
    cells=_of_sources,
)  # fmt: skip
PEOPLE = Listing(
    people.PLACE,
    "People",
    Staff.id,
    (),
    asked=lambda: Asked(sa.select(Staff)),
    columns=(
        text("id", "Id"), text("email", "Address"), text("roles", "Roles"), text("second_factor", "Second factor"),
        moment("created_at", "Since"), moment("disabled_at", "Turned away at"),
    ),
    cells=_of_people,
)  # fmt: skip
lists.exported(blueprint, SOURCES, door=sources.READERS)
lists.exported(blueprint, PEOPLE, door=people.READERS)
