"""Who acts: a person, a token, a policy or the engine itself."""

from dataclasses import dataclass, field
from enum import StrEnum


class ActorKind(StrEnum):
    """What kind of actor an audit entry names."""

    STAFF = "staff"
    TOKEN = "token"  # noqa: S105 - a kind of actor
    POLICY = "policy"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """`id` is a staff id, a token id, `policy:7/micro` or a stage; roles and scopes are those of this request."""

    kind: ActorKind
    id: str
    roles: frozenset[str] = field(default_factory=frozenset)
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_person(self) -> bool:
        """Say whether a human being signed in."""
        return self.kind is ActorKind.STAFF


def system(name: str) -> Actor:
    """Return the engine itself, acting as `name` (a stage or a command)."""
    return Actor(ActorKind.SYSTEM, name)
