"""Lists: sorted by their headings, narrowed by the filters in the URL, paged by cursor, and taken away as they stand.

A page says once what its list is, and shows and exports it from there:

    LISTING = Listing("/payouts", "Payouts", Payout.id, HEADS, asked=_asked, columns=COLUMNS, cells=_cells)

    @page(blueprint, "GET", LISTING.path, door=READERS)
    def payouts(session: Session) -> tuple[str, int]:
        return lists.rendered(session, LISTING, "payouts.html", place=PLACE)

    lists.exported(blueprint, LISTING, door=READERS)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import urlencode

import flask
import marshmallow as ma
import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.database import UtcDateTime
from core.errors import Fault, Invalid
from core.http import ordering
from core.http.doors import Door
from core.http.ordering import Order, Value
from core.http.reading import unkeepable
from core.http.wire import INTEGER_MAX
from reports.exports import answering
from reports.exports.formats import FORMATS
from reports.exports.tables import Column, Row, Table
from web import problems
from web.pages import frame, words
from web.pages.forms import Refusal, said_of

ROWS_MAX = 100
# Before every moment: what sorts for one that has not come.
NEVER = sa.literal(datetime(1, 1, 1, tzinfo=UTC), UtcDateTime())
# Read at once while a list is exported: enough for few round trips, little enough to hold.
EXPORTED_AT_ONCE = 1000
FILES = {"csv": "CSV", "xlsx": "Excel"}
SORT = "sort"


class Way(Enum):
    """What both directions of a heading are called, upwards first, and which of them the first press means."""

    TEXT = ("A first", "Z first", "")
    AMOUNT = ("smallest first", "largest first", "-")
    MOMENT = ("earliest first", "latest first", "-")
    DAY = ("earliest first", "latest first", "")
    AGE = ("oldest first", "youngest first", "")


@dataclass(frozen=True)
class Head:
    """A column's heading. `by` is what it sorts by, before the id: never NULL; without it, it sorts nothing."""

    label: str
    by: tuple[Value, ...] = ()
    way: Way = Way.TEXT
    style: str = ""

    @property
    def name(self) -> str:
        """Its name in the URL."""
        return self.label.lower().replace(" ", "_").strip(".")


@dataclass(frozen=True)
class Asked:
    """What a URL asks for: the rows, the filters that are set, and the faults of what cannot be read."""

    statement: sa.Select[Any]
    wanted: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Fault] = ()


@dataclass(frozen=True)
class Listing:
    """A list. Unsorted it is newest first, by `id`; `newest` is the heading of that, where there is one.

    `cells` makes the rows of the export, under `columns`, of some of the list's entities.
    """

    path: str
    title: str
    id: Value
    heads: tuple[Head, ...]
    asked: Callable[[], Asked]
    columns: tuple[Column, ...]
    cells: Callable[[Session, Sequence[Any]], Iterable[Row]]
    newest: str = ""

    @property
    def sorts(self) -> dict[str, Head]:
        """The headings that sort, by name."""
        return {head.name: head for head in self.heads if head.by}


@dataclass(frozen=True)
class ShownHead:
    """A heading as the page shows it: where a press leads, and what the list is sorted by now."""

    label: str
    style: str
    href: str
    aria: str


@dataclass(frozen=True)
class Shown:
    """A page of a list. `sorts` are pairs of a value and its words; `files` links to all that matches."""

    items: list[Any]
    heads: list[ShownHead]
    sorts: list[tuple[str, str]]
    sort: str
    wanted: Mapping[str, str]
    refusal: Refusal | None
    older: str | None
    newest: str | None
    files: list[tuple[str, str]]

    @property
    def said(self) -> str:
        """How many are shown, in which order."""
        order = dict(self.sorts)[self.sort]
        return f"{len(self.items)} shown, {order[0].lower()}{order[1:]}{'; there are more' if self.older else ''}."


def shown(session: Session, listing: Listing) -> Shown:
    """Return the page of `listing` that the URL asks for; what cannot be read of it narrows nothing."""
    asked, sort = _read(listing)
    after = frame.cursor(flask.request)
    found = ordering.page(session, asked.statement, _order(listing, sort), limit=ROWS_MAX, after=after)
    kept = {**asked.wanted, SORT: sort}
    return Shown(
        items=found.items,
        heads=[_head(listing, head, sort, asked.wanted) for head in listing.heads],
        sorts=_words(listing),
        sort=sort,
        wanted=asked.wanted,
        refusal=_refusal(asked),
        older=_link(listing.path, {**kept, "after": found.next}) if found.next else None,
        newest=_link(listing.path, kept) if after else None,
        files=[] if asked.faults else [(word, _link(f"{listing.path}.{form}", kept)) for form, word in FILES.items()],
    )


def rendered(
    session: Session,
    listing: Listing,
    template: str,
    *,
    place: str,
    about: Callable[[list[Any]], Mapping[str, Any]] = lambda _: {},
    refusal: Refusal | None = None,
    **values: Any,
) -> tuple[str, int]:
    """Return the page of a list and its status; `about` says what the template needs to know of the rows shown.

    `refusal` is that of an act on the same page, shown before what is wrong with the filters.
    """
    found = shown(session, listing)
    told: dict[str, Any] = {"rows": found.items, **about(found.items), **values}
    body = frame.rendered(
        session, template, place=place, list=found, wanted=found.wanted, refusal=refusal or found.refusal, **told
    )
    return body, 422 if found.refusal else 200


def exported(blueprint: flask.Blueprint, listing: Listing, *, door: Door) -> None:
    """Register the files of a list: all rows that its page would show with the same filters, in the same order."""

    def view(form: str) -> flask.Response:
        asked, sort = _read(listing)
        if asked.faults:
            # A page may show everything beside what is wrong. A file that holds more than was asked for says nothing.
            raise Invalid.of(*asked.faults)
        statement = ordering.in_order(asked.statement, _order(listing, sort))
        name = listing.path.strip("/").replace("/", "-")
        told = {name.replace("_", " "): value for name, value in asked.wanted.items()}

        def made(session: Session) -> Table:
            return Table(name, listing.title, listing.columns, _rows(session, listing, statement), told)

        return answering.read_table(made, name, FORMATS[form])

    view.__name__ = f"export_{listing.path.strip('/').replace('/', '_').replace('-', '_')}"
    view.__doc__ = f"Export {listing.title.lower()} as the page shows them."
    rule = f"{listing.path}.<any({', '.join(FILES)}):form>"
    frame.page(blueprint, "GET", rule, door=door, transaction=False)(view)


def of_query(
    schema: type[ma.Schema], names: Sequence[str], statement: Callable[[Any], sa.Select[Any]]
) -> Callable[[], Asked]:
    """Return the function that asks for what the URL's parameters `names` say, as `schema` reads them."""

    def asked() -> Asked:
        wanted = {name: flask.request.args[name] for name in names if flask.request.args.get(name)}
        faults = [fault for name, value in wanted.items() for fault in unkeepable(value, name)]
        try:
            read = schema().load(wanted)
        except ma.ValidationError as error:
            faults += problems.faults(error.messages_dict)
        return Asked(statement(schema().load({}) if faults else read), wanted, faults)

    return asked


def text(column: Any) -> tuple[sa.ColumnElement[Any], ...]:
    """Return what a text sorts by: capitals make no difference, and none stands at one end."""
    return (sa.func.lower(sa.func.coalesce(column, ""), type_=sa.String()),)


def amount(minor: Any, currency: Any) -> tuple[sa.ColumnElement[Any], ...]:
    """Return what money sorts by: within its currency, and none below all."""
    return sa.func.coalesce(currency, "", type_=sa.String()), or_least(minor)


def minor(value: Mapping[str, str] | None) -> int | None:
    """Return the minor units of what the wire shows as an amount."""
    found = words.of_wire(value)
    return None if found is None else found.amount_minor


def or_least(number: Any) -> sa.ColumnElement[Any]:
    """Return an integer, and what is below all of them for none."""
    return sa.func.coalesce(number, sa.literal(-INTEGER_MAX, sa.BigInteger()), type_=sa.BigInteger())


def _rows(session: Session, listing: Listing, statement: sa.Select[Any]) -> Iterator[Row]:
    with session.scalars(statement.execution_options(yield_per=EXPORTED_AT_ONCE)) as found:
        for some in found.partitions():
            yield from listing.cells(session, some)


def _read(listing: Listing) -> tuple[Asked, str]:
    """Return what the URL asks for and the order it names, with the fault of one that there is not."""
    asked, sort = listing.asked(), flask.request.args.get(SORT, "")
    if not sort or sort.removeprefix("-") in listing.sorts:
        return asked, sort
    fault = Fault(SORT, f"is none of {', '.join(listing.sorts)}, or one of them behind a minus")
    return replace(asked, faults=[*asked.faults, fault]), ""


def _order(listing: Listing, sort: str) -> Order:
    head = listing.sorts.get(sort.removeprefix("-"))
    # The id itself needs nothing behind it.
    by = (listing.id,) if head is None or head.name == listing.newest else (*head.by, listing.id)
    return Order(by, is_descending=not sort or sort.startswith("-"))


def _head(listing: Listing, head: Head, sort: str, wanted: Mapping[str, str]) -> ShownHead:
    if not head.by:
        return ShownHead(head.label, head.style, "", "")
    now = sort or (f"-{listing.newest}" if listing.newest else "")
    first, other = head.way.value[2], "" if head.way.value[2] else "-"
    is_now = now.removeprefix("-") == head.name
    turned = other if is_now and now == first + head.name else first
    aria = ("descending" if now.startswith("-") else "ascending") if is_now else ""
    return ShownHead(head.label, head.style, _link(listing.path, {**wanted, SORT: turned + head.name}), aria)


def _words(listing: Listing) -> list[tuple[str, str]]:
    found = [("", "Newest first")]
    for name, head in listing.sorts.items():
        up, down, _ = head.way.value
        found += [(name, f"{head.label}, {up}"), (f"-{name}", f"{head.label}, {down}")]
    return found


def _refusal(asked: Asked) -> Refusal | None:
    if not asked.faults:
        return None
    return Refusal("Correct the filters", [said_of(fault) for fault in asked.faults], {}, asked.wanted)


def _link(path: str, values: Mapping[str, str | None]) -> str:
    kept = {name: value for name, value in values.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path
