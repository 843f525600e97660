"""Acts by form: what a person filled in becomes the body of an API door, and what is refused comes back beside it.

A page's act calls the view behind the API's door, so that both follow the same rules:

    @act(blueprint, "/batches/<batch_id>/release", door=routes.FINANCE, again=show)
    def release(session: Session, batch_id: str) -> flask.Response:
        routes.release_batch(session, batch_id, body=loaded(SeenSchema))
        return done(url_for(".show", batch_id=batch_id), "The batch is released.")

Where it raises Invalid or Conflict nothing is stored, and `again`, the page the form stands on, is shown anew with a
Refusal as `refusal`: the macros of `form.html` show it on top and beside each field, with what was filled in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import flask
import marshmallow as ma
from sqlalchemy.orm import Session

from access import second_factor
from core.errors import Conflict, Fault, Invalid, Problem
from core.http.doors import Door
from core.runtime import installed
from web import problems
from web.pages import frame, toast

ViewT = TypeVar("ViewT", bound=Callable[..., Any])
# The code of a second factor, where an act needs it.
CODE = "otp"
_OURS = {"csrf_token", "next", CODE}


@dataclass(frozen=True)
class Refusal:
    """Why an act was refused: sentences for the top of the page, reasons by field, and what was filled in."""

    heading: str
    lines: list[str]
    by_field: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)


def act(
    blueprint: flask.Blueprint, rule: str, *, door: Door, again: Callable[..., Any], step_up: bool = False
) -> Callable[[ViewT], ViewT]:
    """Register a view as the act `POST rule`: called with `session` and the path's parts, it returns a response.

    With `step_up` a person who has a second factor shows it, unless he did of late (`form.html`: `code`).
    `again` is called with the same, a session that only reads, and `refusal`, when the act was refused.
    """

    def register(view: ViewT) -> ViewT:
        def outer(**path: Any) -> flask.Response:
            runtime = installed()
            try:
                with runtime.transaction() as session:
                    if step_up:
                        _step_up(session)
                    response = flask.make_response(view(session=session, **path))
            except (Invalid, Conflict) as problem:
                with runtime.reading() as session:
                    response = flask.make_response(again(session=session, refusal=_refusal(problem), **path))
                response.status_code = problems.status_of(problem)
            return frame.secured(response)

        return frame.registered(blueprint, "POST", rule, door, view, outer)

    return register


def _step_up(session: Session) -> None:
    """Take the code that came with an act, where the person has a second factor and has not shown it of late."""
    runtime, mine = installed(), flask.g.staff_session
    if second_factor.is_fresh(session, mine, now=runtime.clock()):
        return
    if not second_factor.accept(runtime, session, mine.staff_id, flask.request.form.get(CODE, "")[:60]):
        raise Invalid.of(Fault(CODE, "takes the code that your second factor shows now, each once"))
    second_factor.freshen(session, mine, now=runtime.clock())


def loaded(schema: type[ma.Schema], **given: Any) -> Any:
    """Return the form as `schema` reads it; raise Invalid with every fault.

    Empty fields are left out. `a.b` is the field b of an object a, `a[]` a list of all that is filled in under it.
    `given` stands beside the form's own fields.
    """
    return checked(schema, nested(flask.request.form) | flask.request.files.to_dict() | given)


def checked(schema: type[ma.Schema], values: dict[str, Any]) -> Any:
    """Return what `schema` makes of `values`; raise Invalid with every fault."""
    reader = schema()
    for name, kind in reader.fields.items():
        # A form has no numbers: what takes no text elsewhere gets its digits as one.
        if isinstance(kind, ma.fields.Integer) and isinstance(values.get(name), str) and values[name].isdecimal():
            values[name] = int(values[name])
    try:
        return reader.load(values)
    except ma.ValidationError as error:
        raise Invalid.of(*problems.faults(error.messages_dict)) from error


def nested(form: Any) -> dict[str, Any]:
    """Return a form's fields as an object."""
    found: dict[str, Any] = {}
    for name in form:
        if name in _OURS:
            continue
        if name.endswith("[]"):
            found[name.removesuffix("[]")] = [value for value in form.getlist(name) if value]
            continue
        value = form[name].replace("\r\n", "\n").strip()
        if not value:
            continue
        *above, last = name.split(".")
        inside = found
        for key in above:
            inside = inside.setdefault(key, {})
        inside[last] = value
    return found


def done(path: str, said: str = "") -> flask.Response:
    """Return the way on after an act, with what was done said once on the next page."""
    return toast.put(flask.make_response(flask.redirect(path, 303)), said)


def said_of(fault: Fault) -> str:
    """Return a fault as a line."""
    return f"{fault.field.replace('_', ' ')}: {fault.reason}"


def _shown_at(field: str) -> str:
    """Return the form's field that a fault stands beside: of a whole object its first part."""
    names = list(flask.request.form)
    return field if field in names else next((each for each in names if each.startswith(f"{field}.")), field)


def _refusal(problem: Problem) -> Refusal:
    by_field = {_shown_at(fault.field): fault.reason for fault in problem.faults}
    lines = [fault.reason if fault.field == CODE else said_of(fault) for fault in problem.faults] or [problem.detail]
    heading = "Nothing was changed" if isinstance(problem, Conflict) else "Correct this and send it again"
    values = {name: flask.request.form[name] for name in flask.request.form if name not in _OURS}
    return Refusal(heading, lines, by_field, values)
