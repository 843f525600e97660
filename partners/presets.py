"""What a preset sets on a new source. Which presets there are and how they verify is postback's; here stand the names.

Partners lies under postback and may not ask it, so whoever builds a process installs them here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from partners.secrets import KeyFormat


@dataclass(frozen=True)
class Defaults:
    """The settings of a network's sources; each may be given otherwise, and is then the source's own.

    Not so `is_static`, that all of the network's proof is a value sent in clear.
    """

    key_format: KeyFormat
    allowlist: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    status_words: Mapping[str, str] = field(default_factory=dict)
    amount_unit: str = "major"
    dedupe_by: str = "transaction_event"
    duplicates: str = "ignore"
    reversal: Mapping[str, str] = field(default_factory=lambda: {"kind": "none"})
    answers: str = "json"
    is_static: bool = False


_installed: dict[str, Defaults] = {}


def install(defaults: Mapping[str, Defaults]) -> None:
    """Make these the presets that a source may name."""
    _installed.clear()
    _installed.update(defaults)


def get(name: str) -> Defaults | None:
    """Return what the preset `name` sets, None when there is no such preset."""
    return _installed.get(name)


def names() -> list[str]:
    """Return the names of all presets."""
    return sorted(_installed)
