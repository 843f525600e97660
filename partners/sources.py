"""Sources: the networks that fire postbacks, and everything their requests may not choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import lock
from core.errors import Conflict, Fault, Invalid
from core.rows import locked
from core.runtime import Runtime
from partners import presets, secrets, source_rules
from partners.changes import Change, differences
from partners.models import Source
from partners.secrets import KeyFormat, NewSecret
from partners.source_rules import PRESET, TOKEN

STALE = ("hold", "reject")
PAYOUT_MEANS = ("owed_to_affiliate", "owed_to_us")
DEDUPE_BY = ("transaction_event", "transaction_id", "click_event")
STATES = ("active", "paused", "removed")

_KEY_FORMATS = {"stripe1": KeyFormat.TEXT, TOKEN: KeyFormat.TOKEN}
# Columns that the audit log shows as they are.
_FACTS = (
    "name", "scheme", "preset", "options", "allowlist", "stale", "default_currency", "payout_means", "dedupe_by",
    "parameters", "status_words", "amount_unit", "duplicates", "reversal", "answers", "is_test", "rate_per_second",
    "rate_burst", "state",
)  # fmt: skip


@dataclass(frozen=True)
class RateLimit:
    """A token bucket: how fast it fills, and how much it holds."""

    per_second: int = 200
    burst: int = 1000


@dataclass(frozen=True)
class NewSource:
    """What a source is made of. Scheme, payout_means and dedupe_by never change.

    `secret` is one that the network gave; without it one is made. `key_format` is the scheme's own unless a preset
    says otherwise. `is_static` says that all of a preset's proof is a secret sent as it is.
    """

    name: str
    scheme: str
    preset: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    allowlist: Sequence[str] = ()
    stale: str = "hold"
    default_currency: str | None = None
    payout_means: str = "owed_to_affiliate"
    dedupe_by: str = "transaction_event"
    parameters: Mapping[str, str] = field(default_factory=dict)
    status_words: Mapping[str, str] = field(default_factory=dict)
    amount_unit: str = "major"
    duplicates: str = "ignore"
    reversal: Mapping[str, str] = field(default_factory=lambda: {"kind": "none"})
    answers: str = "json"
    is_test: bool = False
    rate_limit: RateLimit = field(default_factory=RateLimit)
    secret: str | None = None
    key_format: KeyFormat | None = None
    is_static: bool = False

    def __repr__(self) -> str:
        return f"NewSource({self.name!r})"


def asked_for(values: Mapping[str, Any]) -> NewSource:
    """Return the source that `values`, fields of NewSource as they were sent, ask for.

    `preset:NAME` as the scheme brings the preset's settings, where none were sent; parameters are joined.
    Raise Invalid when there is no such preset.
    """
    given = dict(values)
    scheme, _, name = given["scheme"].partition(":")
    if scheme not in {*source_rules.SCHEMES, PRESET}:
        raise Invalid.of(Fault("scheme", f"takes one of {', '.join(source_rules.SCHEMES)}, or preset:NAME"))
    if scheme != PRESET:
        return NewSource(**given)
    defaults = presets.get(name)
    if defaults is None:
        reason = f"there is no preset {name!r}; these there are: {', '.join(presets.names())}"
        raise Invalid.of(Fault("scheme", reason))
    whole = {each.name: getattr(defaults, each.name) for each in fields(defaults)} | given
    whole["parameters"] = {**defaults.parameters, **given.get("parameters", {})}
    return NewSource(**(whole | {"scheme": PRESET, "preset": name}))


def create(runtime: Runtime, session: Session, new: NewSource, *, actor: Actor) -> tuple[Source, NewSecret]:
    """Add a source with its first secret; raise Invalid with every fault, Conflict when the name is taken."""
    key_format = new.key_format or _KEY_FORMATS.get(new.scheme) or _body1_format(new)
    _refuse(
        [
            *source_rules.option_faults(new.scheme, new.options),
            *source_rules.allowlist_faults(new.allowlist, is_static=new.scheme == TOKEN or new.is_static),
            *source_rules.parameter_faults(new.scheme, new.parameters),
            *source_rules.word_faults(new.status_words),
            *source_rules.reversal_faults(new.reversal),
            *secrets.faults(key_format, new.secret),
        ]
    )
    _take_name(session, new.name)
    now = runtime.clock()
    if key_format is KeyFormat.TEXT and new.scheme == PRESET and new.secret is None:
        _refuse([Fault("secret", "is needed: this network makes it, and shows it in its own dashboard")])
    source = Source(
        id=runtime.new_id("src"),
        options=source_rules.with_defaults(new.scheme, new.options),
        allowlist=list(new.allowlist),
        rate_per_second=new.rate_limit.per_second,
        rate_burst=new.rate_limit.burst,
        state="active",
        created_at=now,
        version=1,
        **{name: _plain(getattr(new, name)) for name in _PLAIN},
    )
    session.add(source)
    secret = secrets.create(runtime, session, source, key_format, new.secret)
    after = {**_facts(source), "source_secret": secret.id}
    audit.record(session, Act(actor, "created", "source", source.id, now, after=after))
    return source, secret


_PLAIN = (
    "name", "scheme", "preset", "stale", "default_currency", "payout_means", "dedupe_by", "parameters", "status_words",
    "amount_unit", "duplicates", "reversal", "answers", "is_test",
)  # fmt: skip


def change(runtime: Runtime, session: Session, source_id: str, wanted: Change, *, actor: Actor) -> Source:
    """Change what may change of a source: everything but scheme, payout_means and dedupe_by.

    Raise Conflict when it has moved on from the version, or the new name is taken; Invalid with every fault.
    """
    source = locked(session, Source, source_id, version=wanted.version)
    values = dict(wanted.values)
    # Looked at when it is changed alone: a source must never be too open to be paused.
    is_static = "allowlist" in values and _is_static(source)
    _refuse(
        [
            *source_rules.option_faults(source.scheme, values.get("options", source.options)),
            *source_rules.allowlist_faults(values.get("allowlist", source.allowlist), is_static=is_static),
            *source_rules.parameter_faults(source.scheme, values.get("parameters", {})),
            *source_rules.word_faults(values.get("status_words", {})),
            *source_rules.reversal_faults(values.get("reversal", source.reversal)),
        ]
    )
    if values.get("name", source.name) != source.name:
        _take_name(session, values["name"])
    before = _facts(source)
    limit: RateLimit | None = values.pop("rate_limit", None)
    if limit is not None:
        source.rate_per_second, source.rate_burst = limit.per_second, limit.burst
    if "options" in values:
        values["options"] = source_rules.with_defaults(source.scheme, values["options"])
    for name, value in values.items():
        setattr(source, name, value)
    source.version += 1
    source.revision += 1
    old, new = differences(before, _facts(source))
    audit.record(session, Act(actor, "changed", "source", source.id, runtime.clock(), before=old, after=new))
    return source


def postback_url(runtime: Runtime, source_id: str) -> str:
    """Return the address to which the network fires."""
    return f"{runtime.public_url}/postback/{source_id}"


def scheme_name(source: Source) -> str:
    """Return the scheme as the API writes it: `pb1`, or `preset:digistore24`."""
    return f"{PRESET}:{source.preset}" if source.scheme == PRESET else source.scheme


def _is_static(source: Source) -> bool:
    if source.scheme != PRESET:
        return source.scheme == TOKEN
    defaults = presets.get(source.preset or "")
    return defaults is not None and defaults.is_static


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _body1_format(new: NewSource) -> KeyFormat:
    # Whoever signs a body in a header of his own brings his secret's text; one that we make is whsec_.
    return KeyFormat.TEXT if new.scheme == "body1" and new.secret is not None else KeyFormat.WHSEC


def _take_name(session: Session, name: str) -> None:
    # One at a time: two transactions that both look and find the name free would end in a constraint's error.
    lock(session, "source names")
    if session.scalar(sa.select(Source.id).where(Source.name == name)):
        message = f"there is a source named {name!r} already"
        raise Conflict(message, slug="name-taken")


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise Invalid.of(*faults)


def _facts(source: Source) -> dict[str, Any]:
    return {name: getattr(source, name) for name in _FACTS}
