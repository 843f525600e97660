"""Who may pass: every route declares its door here, and web/guard.py alone opens it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from flask import g

from core.actors import Actor
from core.errors import Unauthorised


class DoorKind(StrEnum):
    """How a caller proves himself at a route."""

    OPEN = "open"
    SIGNED = "signed"
    ACTORS = "actors"


@dataclass(frozen=True)
class Door:
    """`scope` lets a token with it pass, `roles` let a signed-in person with any of them pass."""

    kind: DoorKind
    scope: str | None = None
    roles: frozenset[str] = frozenset()


OPEN = Door(DoorKind.OPEN)
SIGNED = Door(DoorKind.SIGNED)


def actors(*roles: str, scope: str | None = None) -> Door:
    """Return a door for people with one of `roles`, and for tokens with `scope`; without a scope, for people only."""
    return Door(DoorKind.ACTORS, scope=scope, roles=frozenset(roles))


def declare(view: Callable[..., object], door: Door) -> None:
    """Put `door` before a view that is registered without core.http.endpoints."""
    view.__dict__["door"] = door


def current_actor() -> Actor:
    """Return who makes this request; raise Unauthorised behind a door that lets nobody in particular pass."""
    actor: Actor | None = g.get("actor")
    if actor is None:
        message = "sign in or send a bearer token"
        raise Unauthorised(message)
    return actor
