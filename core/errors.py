"""The six kinds of broken promise. An expected refusal is a returned value, never one of these."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input: `field` is a dotted path into it, `reason` a sentence for a person."""

    field: str
    reason: str


class Problem(Exception):
    """A promise that cannot be kept: `slug` names the problem type for machines, `detail` says it to a person."""

    slug = "problem"

    def __init__(self, detail: str, *, slug: str | None = None, faults: list[Fault] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.slug = slug or type(self).slug
        self.faults = faults or []


class Invalid(Problem):
    """The input cannot be accepted as it is; `faults` names every faulty field at once."""

    slug = "invalid"

    @classmethod
    def of(cls, *faults: Fault) -> "Invalid":
        """Return the problem for `faults`, which must not be empty."""
        return cls("; ".join(f"{fault.field}: {fault.reason}" for fault in faults), faults=list(faults))


class Unauthorised(Problem):
    """Nobody we know is asking."""

    slug = "unauthorised"


class Forbidden(Problem):
    """We know who is asking, and may not do it for them."""

    slug = "forbidden"


class NotFound(Problem):
    """What was asked for is not here."""

    slug = "not-found"


class Conflict(Problem):
    """What was asked for no longer fits the present state."""

    slug = "conflict"


class Unavailable(Problem):
    """Not now: trying the same again later makes sense."""

    slug = "unavailable"
