"""The mappings that people keep by name beside the built-in ones, and which of them reads a file."""

import re
from collections.abc import Mapping
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.errors import Conflict, Fault, Invalid, NotFound
from core.runtime import Runtime
from reports import report_layout, report_mapping, report_sniffing
from reports.importing.models import SavedMapping
from reports.report_styles import catalogue

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def every(session: Session) -> list[SavedMapping]:
    """Return the kept mappings by name."""
    return list(session.scalars(sa.select(SavedMapping).order_by(SavedMapping.name)))


def named(session: Session, name: str) -> Mapping[str, Any]:
    """Return the mapping of this name, kept or built in; raise NotFound."""
    saved = session.get(SavedMapping, name)
    if saved is not None:
        return saved.mapping
    style = catalogue().get(name)
    if style is None:
        message = f"there is no mapping {name}: it is none of {', '.join([*catalogue(), *_names(session)])}"
        raise NotFound(message)
    return style.mapping


def keep(runtime: Runtime, session: Session, name: str, mapping: Mapping[str, Any], *, actor: Actor) -> SavedMapping:
    """Keep a mapping under a name, in place of one that was there.

    Raise Invalid with everything wrong with it, Conflict for a built-in one's name.
    """
    if name in catalogue():
        message = f"{name} is a built-in mapping: keep yours under another name"
        raise Conflict(message, slug="name-taken")
    if not NAME.fullmatch(name):
        raise Invalid.of(Fault("name", "takes up to 40 small letters, digits, - and _, a letter or digit first"))
    _, faults = report_mapping.checked(mapping, None)
    _, layout_faults = report_layout.of_mapping(mapping, b"")
    if faults or layout_faults:
        raise Invalid.of(*faults, *layout_faults)
    now = runtime.clock()
    saved = session.get(SavedMapping, name)
    before = dict(saved.mapping) if saved else None
    if saved is None:
        saved = SavedMapping(name=name)
        session.add(saved)
    saved.mapping, saved.kept_at, saved.kept_by = dict(mapping), now, actor.id
    session.flush()
    act = Act(actor, "kept", "report mapping", name, now, before=before, after=dict(mapping))
    audit.record(session, act)
    return saved


def drop(runtime: Runtime, session: Session, name: str, *, actor: Actor) -> None:
    """Give a kept mapping up; statements keep what they were read by. Raise NotFound."""
    saved = session.get(SavedMapping, name)
    if saved is None:
        message = f"no mapping is kept as {name}"
        raise NotFound(message)
    audit.record(session, Act(actor, "dropped", "report mapping", name, runtime.clock(), before=dict(saved.mapping)))
    session.delete(saved)
    session.flush()


def reading(session: Session, file: IO[bytes], said: Mapping[str, Any] | str | None) -> Mapping[str, Any]:
    """Return the mapping that reads `file`: the one that was said, the one of a name, or the only one that fits.

    Of those that fit one that people keep comes before the built-in ones. Raise Invalid where none fits, or several.
    """
    if isinstance(said, Mapping):
        return said
    if said is not None:
        try:
            return report_sniffing.with_delimiter(file, named(session, said))
        except NotFound as problem:
            raise Invalid.of(Fault("mapping", problem.detail)) from None
    kept = {each.name: each.mapping for each in every(session)}
    built_in = {name: style.mapping for name, style in catalogue().items()}
    for mappings in (kept, built_in):
        names = report_sniffing.fitting(file, mappings)
        if len(names) > 1:
            raise Invalid.of(Fault("mapping", f"several fit this file: say which of {', '.join(names)}"))
        if names:
            return report_sniffing.with_delimiter(file, mappings[names[0]])
    known = ", ".join([*kept, *built_in])
    raise Invalid.of(Fault("mapping", f"is needed: the file's columns are those of no known report ({known})"))


def _names(session: Session) -> list[str]:
    return [each.name for each in every(session)]
