"""Sources: the networks that fire postbacks, and everything their requests may not choose."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from partners import allowlist, secrets
from partners.changes import Change, differences
from partners.models import Source
from partners.secrets import NewSecret

SCHEMES = ("pb1", "sw1")
STALE = ("hold", "reject")
PAYOUT_MEANS = ("owed_to_affiliate", "owed_to_us")
DEDUPE_BY = ("transaction_event", "transaction_id", "click_event")
STATES = ("active", "paused", "removed")
# What a postback can tell us, in our own words; a network may call each by another name.
PARAMETERS = (
    *("click_id", "transaction_id", "payout", "amount", "currency", "event", "status", "occurred_at", "ts"),
    *("sub1", "sub2", "sub3", "sub4", "sub5"),
)

# pb1 signs a query whose names are these alone (postback's canonical form); JSON may name its members more freely.
_THEIR_NAMES = {
    "pb1": re.compile(r"(?!sig$)[a-z0-9_]{1,40}", re.ASCII),
    "sw1": re.compile(r"[A-Za-z0-9_.-]{1,40}", re.ASCII),
}


@dataclass(frozen=True)
class RateLimit:
    """A token bucket: how fast it fills, and how much it holds."""

    per_second: int = 200
    burst: int = 1000


@dataclass(frozen=True)
class NewSource:
    """What a source is made of. Scheme, payout_means and dedupe_by never change."""

    name: str
    scheme: str
    allowlist: Sequence[str] = ()
    stale: str = "hold"
    default_currency: str | None = None
    payout_means: str = "owed_to_affiliate"
    dedupe_by: str = "transaction_event"
    parameters: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit = field(default_factory=RateLimit)


def create(runtime: Runtime, session: Session, new: NewSource, *, actor: Actor) -> tuple[Source, NewSecret]:
    """Add a source with its first secret; raise Invalid with every fault, Conflict when the name is taken."""
    _refuse(allowlist.faults(new.allowlist) + _parameter_faults(new.scheme, new.parameters))
    _take_name(session, new.name)
    now = runtime.clock()
    source = Source(
        id=runtime.new_id("src"),
        name=new.name,
        scheme=new.scheme,
        allowlist=list(new.allowlist),
        stale=new.stale,
        default_currency=new.default_currency,
        payout_means=new.payout_means,
        dedupe_by=new.dedupe_by,
        parameters=dict(new.parameters),
        rate_per_second=new.rate_limit.per_second,
        rate_burst=new.rate_limit.burst,
        state="active",
        created_at=now,
        version=1,
    )
    session.add(source)
    secret = secrets.create(runtime, session, source)
    after = {**_facts(source), "source_secret": secret.id}
    audit.record(session, Act(actor, "created", "source", source.id, now, after=after))
    return source, secret


def change(runtime: Runtime, session: Session, source_id: str, wanted: Change, *, actor: Actor) -> Source:
    """Change name, allowlist, stale, default_currency, rate_limit, state or parameters of a source.

    Raise Conflict when it has moved on from the version, or the new name is taken; Invalid with every fault.
    """
    source = locked(session, Source, source_id, version=wanted.version)
    values = dict(wanted.values)
    _refuse(
        allowlist.faults(values.get("allowlist", ())) + _parameter_faults(source.scheme, values.get("parameters", {}))
    )
    if values.get("name", source.name) != source.name:
        _take_name(session, values["name"])
    before = _facts(source)
    limit: RateLimit | None = values.pop("rate_limit", None)
    if limit is not None:
        source.rate_per_second, source.rate_burst = limit.per_second, limit.burst
    for name, value in values.items():
        setattr(source, name, value)
    source.version += 1
    old, new = differences(before, _facts(source))
    audit.record(session, Act(actor, "changed", "source", source.id, runtime.clock(), before=old, after=new))
    return source


def postback_url(runtime: Runtime, source_id: str) -> str:
    """Return the address to which the network fires."""
    return f"{runtime.public_url}/postback/{source_id}"


def _take_name(session: Session, name: str) -> None:
    # One at a time: two transactions that both look and find the name free would end in a constraint's error.
    lock(session, "source names")
    if session.scalar(sa.select(Source.id).where(Source.name == name)):
        message = f"there is a source named {name!r} already"
        raise Conflict(message, slug="name-taken")


def _parameter_faults(scheme: str, parameters: Mapping[str, str]) -> list[Fault]:
    found = []
    for ours, theirs in parameters.items():
        if ours not in PARAMETERS:
            found.append(Fault(f"parameters.{ours}", f"is not one of ours; these are: {', '.join(PARAMETERS)}"))
        if not _THEIR_NAMES[scheme].fullmatch(theirs):
            found.append(Fault(f"parameters.{ours}", f"{theirs!r} cannot be a parameter's name under {scheme}"))
    return found


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise Invalid.of(*faults)


def _facts(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "scheme": source.scheme,
        "allowlist": source.allowlist,
        "stale": source.stale,
        "default_currency": source.default_currency,
        "payout_means": source.payout_means,
        "dedupe_by": source.dedupe_by,
        "parameters": source.parameters,
        "rate_per_second": source.rate_per_second,
        "rate_burst": source.rate_burst,
        "state": source.state,
    }
