"""Around every page: its door and transaction, the rail, the headers, and where a browser may be sent next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import flask
from sqlalchemy.orm import Session

from access import second_factor
from access.roles import Role
from approvals import queries
from core.actors import Actor
from core.http.doors import Door, DoorKind
from core.http.ordering import CURSOR_LENGTH_MAX
from core.runtime import installed
from web.pages import toast

ViewT = TypeVar("ViewT", bound=Callable[..., Any])

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Paths that programs ask for: their errors are problem documents whatever they accept.
_FOR_PROGRAMS = ("/api", "/postback", "/session", "/static", "/healthz", "/readyz", "/metrics")
_SAFE = {"GET", "HEAD"}


@dataclass(frozen=True)
class Place:
    """One place of the rail."""

    path: str
    name: str
    roles: frozenset[str]


def page(
    blueprint: flask.Blueprint, method: str, rule: str, *, door: Door, transaction: bool = True
) -> Callable[[ViewT], ViewT]:
    """Register a view as the page `method rule` behind `door`.

    It is called with `session` (one that only reads for GET; none when `transaction` is False) and the path's parts
    by name, and returns a body, a `(body, status)` pair or a response.
    """

    def register(view: ViewT) -> ViewT:
        def outer(**path: Any) -> flask.Response:
            if not transaction:
                return secured(flask.make_response(view(**path)))
            runtime = installed()
            with runtime.reading() if method in _SAFE else runtime.transaction() as session:
                response = flask.make_response(view(session=session, **path))
            return secured(response)

        return registered(blueprint, method, rule, door, view, outer)

    return register


def registered(  # noqa: PLR0917 - what Flask and the guard need of a page
    blueprint: flask.Blueprint, method: str, rule: str, door: Door, view: ViewT, outer: Callable[..., flask.Response]
) -> ViewT:
    """Register `outer` as the page `method rule` under the name of `view`, which is returned."""
    outer.__name__, outer.__doc__, outer.__module__ = view.__name__, view.__doc__, view.__module__
    outer.__dict__ |= {"door": door, "is_page": True}
    blueprint.add_url_rule(rule, view.__name__, outer, methods=[method])
    return view


def rendered(session: Session, template: str, *, place: str, **values: Any) -> str:
    """Return the page `template` inside the rail, at `place` of it."""
    actor = flask.g.get("actor")
    now = installed().clock()
    waiting = sum(count for count, _ in queries.sums_waiting_for(session, actor.id, now)) if actor else 0
    return flask.render_template(
        template,
        places=places_for(actor),
        set_up=SET_UP,
        place=place,
        counts={"/approvals": waiting},
        me=flask.g.get("staff"),
        csrf_token=flask.g.get("csrf_token"),
        said_once=toast.taken(),
        needs_code=_needs_code(session),
        now=now,
        **values,
    )


def _needs_code(session: Session) -> second_factor.Kinds | None:
    """Return what an act that moves money takes now of the person's second factor, None for nothing."""
    mine = flask.g.get("staff_session")
    return None if mine is None else second_factor.needed(session, mine, now=installed().clock())


def secured(response: flask.Response) -> flask.Response:
    """Return `response` with the headers of every page."""
    response.headers["Content-Security-Policy"] = CSP
    response.headers["Cache-Control"] = "no-store"
    toast.forget(response)
    return response


def places_for(actor: Actor | None) -> list[Place]:
    """Return the places of the rail whose doors let the person pass."""
    if actor is None:
        return []
    found: list[Place] = []
    for rule in flask.current_app.url_map.iter_rules():
        name = NAMES.get(rule.rule)
        door = getattr(flask.current_app.view_functions[rule.endpoint], "door", None)
        if (
            name
            and door
            and door.kind is DoorKind.ACTORS
            and actor.roles & door.roles
            and "GET" in (rule.methods or ())
        ):
            found.append(Place(rule.rule, name, door.roles))
    return sorted(found, key=lambda place: list(NAMES).index(place.path))


# The rail, in its order; a place whose page is not registered is not shown.
NAMES = {
    "/today": "Today",
    "/approvals": "Approvals",
    "/payouts": "Payouts",
    "/conversions": "Conversions",
    "/month-end": "Month end",
    "/reports": "Reports",
    "/sources": "Sources",
    "/receipts": "Receipts",
    "/affiliates": "Affiliates",
    "/rules": "Rules",
    "/people": "People",
    "/audit": "Audit log",
}
# Where the group of what is set up, rather than done, begins.
SET_UP = "/sources"
EVERYONE = frozenset(Role)


def wants_html(request: flask.Request) -> bool:
    """Say whether an error of this request is shown to a person: at a page, or anywhere a browser came by itself."""
    view = flask.current_app.view_functions.get(request.endpoint or "")
    if getattr(view, "is_page", False):
        return request.accept_mimetypes.accept_html
    return "text/html" in request.headers.get("Accept", "") and not request.path.startswith(_FOR_PROGRAMS)


def error_page(status: int, title: str, said: list[str], reference: str | None) -> flask.Response:
    """Return an error as a page, `said` its sentences. It touches no database: that may be what is away."""
    is_act = flask.request.method not in _SAFE
    body = flask.render_template(
        "error.html", status=status, title=title, said=said, reference=reference, is_act=is_act
    )
    return secured(flask.make_response(body, status))


def to_sign_in(request: flask.Request) -> flask.Response:
    """Return the way to the sign-in page and, after it, back to where the person wanted to go."""
    wanted = request.full_path.rstrip("?")
    target = flask.url_for("session_pages.sign_in_form")
    return secured(flask.make_response(flask.redirect(f"{target}?next={quote(wanted, safe='/')}", 302)))


def cursor(request: flask.Request) -> str | None:
    """Return where a list goes on; what cannot be a cursor of ours counts for none."""
    after = request.args.get("after", "")
    return after if 0 < len(after) <= CURSOR_LENGTH_MAX and after.isascii() and after.isprintable() else None


def link(endpoint: str, values: Mapping[str, str | None]) -> str:
    """Return the path of a page with `values` in its path and query; empty ones are left out."""
    kept: dict[str, Any] = {name: value for name, value in values.items() if value}
    return flask.url_for(endpoint, **kept)


def local_path(wanted: str | None) -> str:
    """Return `wanted` when it is a path of this site, else `/`.

    Browsers read a backslash as a slash and skip control characters, so neither may stand in it: what looks like a
    path here would be another site there.
    """
    if not wanted or not wanted.startswith("/") or wanted.startswith("//"):
        return "/"
    if "\\" in wanted or not wanted.isascii() or not wanted.isprintable() or urlsplit(wanted).netloc:
        return "/"
    return wanted
