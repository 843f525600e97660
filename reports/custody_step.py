"""One step of a conversion's custody."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.http.wire import moment_text


@dataclass(frozen=True)
class Step:
    """One thing that happened: when, what kind, to what, a sentence for people, and the facts."""

    at: datetime
    kind: str
    id: str
    sentence: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def as_dict(self) -> dict[str, Any]:
        """The step as it travels: its facts beside the four that every step has."""
        common = {"at": moment_text(self.at), "kind": self.kind, "id": self.id, "sentence": self.sentence}
        return common | {name: value for name, value in self.facts.items() if name not in common}
