"""Passkeys: a person's device signs a challenge of ours, after it has recognised the person (WebAuthn level 2).

One shows both factors at once. What proves it is the library `fido2`; what a challenge is good for, whose a credential
is and whether its counter went back is decided here.
"""

import hashlib
import ipaddress
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa
from cryptography.exceptions import UnsupportedAlgorithm
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from sqlalchemy.orm import Session

from access import challenges, recovery, second_factor
from access.models import Passkey, Staff
from core import audit
from core.actors import Actor, ActorKind
from core.audit import Act
from core.errors import Conflict, Fault, Invalid, NotFound
from core.runtime import Runtime

NAME_LENGTH_MAX = 60
# Of one person; more are no help to anybody.
COUNT_MAX = 10
ANSWER_LENGTH_MAX = 20_000
SIGN_IN = "sign-in"
_REQUIRED = UserVerificationRequirement.REQUIRED
# What the library raises for bytes, CBOR, JSON and keys that are not what they should be.
_BROKEN = (
    ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError, struct.error,
    UnsupportedAlgorithm,
)  # fmt: skip

ParsedT = TypeVar("ParsedT", AuthenticationResponse, RegistrationResponse)


class Why(StrEnum):
    """Why an answer of a browser is not taken."""

    UNREADABLE = "it is no answer of a passkey"
    OVER = "that took too long, or was sent before: try again"
    UNKNOWN = "this passkey is none of ours: it may have been removed"
    UNPROVEN = "the passkey did not prove itself for this site"
    CLONED = "the passkey's counter went back, as that of a copy would: remove it and add it anew"


@dataclass(frozen=True)
class Shown:
    """Whose passkey has just proven itself."""

    staff_id: str
    passkey_id: str


def is_possible(runtime: Runtime) -> bool:
    """Say whether browsers do passkeys here: our public address has a name, and https unless it is this machine."""
    address = urlsplit(runtime.public_url)
    host = address.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and (address.scheme == "https" or host == "localhost")
    return False


def for_session(act: str, token_sha256: str) -> str:
    """Return the purpose of a challenge that is good within one session alone."""
    return f"{act}:{token_sha256}"


def to_add(runtime: Runtime, session: Session, staff: Staff, purpose: str) -> str:
    """Return what the browser is asked, as JSON, when a person adds a passkey."""
    options, _ = _server(runtime).register_begin(
        PublicKeyCredentialUserEntity(name=staff.email, id=staff.id.encode(), display_name=staff.email),
        credentials=[_descriptor(each) for each in of(session, staff.id)],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=_REQUIRED,
        challenge=challenges.made(runtime, purpose),
    )
    return json.dumps(dict(options)["publicKey"])


def to_show(runtime: Runtime, purpose: str) -> str:
    """Return what the browser is asked, as JSON, when anybody signs in or shows a passkey again."""
    challenge = challenges.made(runtime, purpose)
    options, _ = _server(runtime).authenticate_begin(user_verification=_REQUIRED, challenge=challenge)
    return json.dumps(dict(options)["publicKey"])


def add(
    runtime: Runtime, session: Session, staff_id: str, name: str, answer: str, *, purpose: str, actor: Actor
) -> list[str]:
    """Keep a new passkey; return recovery codes where it is the first second factor, else none.

    Raises Invalid for an answer that is not taken and for a name that is none, Conflict for one too many.
    """
    faults = [] if 0 < len(name) <= NAME_LENGTH_MAX else [Fault("name", f"takes 1 to {NAME_LENGTH_MAX} characters")]
    found = _registered(runtime, session, answer, purpose)
    if faults or isinstance(found, Why):
        raise Invalid.of(*faults, *([Fault("credential", found.value)] if isinstance(found, Why) else []))
    if len(of(session, staff_id)) >= COUNT_MAX:
        message = f"there are {COUNT_MAX} already: remove one first"
        raise Conflict(message, slug="too-many-passkeys")
    is_first = not second_factor.is_on(session, staff_id)
    credential = _credential_of(found)
    session.add(
        Passkey(
            id=runtime.new_id("psk"),
            staff_id=staff_id,
            name=name,
            credential_sha256=_sha256(credential.credential_id),
            credential=bytes(credential),
            sign_count=found.counter,
            created_at=runtime.clock(),
        )
    )
    session.flush()
    audit.record(session, Act(actor, "added a passkey of", "staff", staff_id, runtime.clock(), after={"name": name}))
    return recovery.issue(runtime, session, staff_id) if is_first else []


def shown(runtime: Runtime, session: Session, answer: str, *, purpose: str, staff_id: str | None = None) -> Shown | Why:
    """Take the answer of a browser for `purpose`, once; of `staff_id` alone where one is given."""
    response = _answered(runtime, answer, AuthenticationResponse, purpose)
    if isinstance(response, Why):
        return response
    challenge = response.response.client_data.challenge
    passkey = session.scalar(sa.select(Passkey).where(Passkey.credential_sha256 == _sha256(response.raw_id)))
    handle = response.response.user_handle
    if passkey is None or staff_id not in {None, passkey.staff_id} or handle not in {None, passkey.staff_id.encode()}:
        return Why.UNKNOWN
    state = {"challenge": websafe_encode(challenge), "user_verification": _REQUIRED}
    try:
        _server(runtime).authenticate_complete(state, [AttestedCredentialData(passkey.credential)], response)
    except _BROKEN:
        return Why.UNPROVEN
    return _taken(runtime, session, passkey, response, challenge)


def of(session: Session, staff_id: str) -> list[Passkey]:
    """Return a person's passkeys, the oldest first."""
    return list(session.scalars(sa.select(Passkey).where(Passkey.staff_id == staff_id).order_by(Passkey.id)))


def remove(runtime: Runtime, session: Session, staff_id: str, passkey_id: str, *, actor: Actor) -> None:
    """Forget one; raise NotFound when the person has none of that id."""
    found = session.get(Passkey, passkey_id)
    if found is None or found.staff_id != staff_id:
        message = "there is no such passkey"
        raise NotFound(message)
    session.delete(found)
    session.flush()
    second_factor.settle(session, staff_id)
    before = {"name": found.name}
    audit.record(session, Act(actor, "removed a passkey of", "staff", staff_id, runtime.clock(), before=before))


def _taken(
    runtime: Runtime, session: Session, passkey: Passkey, response: AuthenticationResponse, challenge: bytes
) -> Shown | Why:
    now, counter = runtime.clock(), response.response.authenticator_data.counter
    if not challenges.take(session, challenge, now=now):
        return Why.OVER
    # A device that counts never says the same number twice; one that does not says 0 for ever.
    is_next = sa.or_(Passkey.sign_count < counter, sa.and_(Passkey.sign_count == 0, sa.literal(counter) == 0))
    moved = sa.update(Passkey).where(Passkey.id == passkey.id, is_next).values(sign_count=counter, last_used_at=now)
    if session.connection().execute(moved).rowcount == 1:
        return Shown(passkey.staff_id, passkey.id)
    actor = Actor(ActorKind.STAFF, passkey.staff_id)
    after = {"name": passkey.name, "counted": passkey.sign_count, "said": counter}
    audit.record(session, Act(actor, "was refused a passkey of", "staff", passkey.staff_id, now, after=after))
    return Why.CLONED


def _registered(runtime: Runtime, session: Session, answer: str, purpose: str) -> AuthenticatorData | Why:
    response = _answered(runtime, answer, RegistrationResponse, purpose)
    if isinstance(response, Why):
        return response
    challenge = response.response.client_data.challenge
    state = {"challenge": websafe_encode(challenge), "user_verification": _REQUIRED}
    try:
        found = _server(runtime).register_complete(state, response)
    except _BROKEN:
        return Why.UNPROVEN
    known = sa.select(Passkey.id).where(Passkey.credential_sha256 == _sha256(_credential_of(found).credential_id))
    if session.scalar(known) is not None:
        return Why.UNPROVEN
    return found if challenges.take(session, challenge, now=runtime.clock()) else Why.OVER


def _answered(runtime: Runtime, answer: str, kind: type[ParsedT], purpose: str) -> ParsedT | Why:
    """Return the answer as it is read, to a challenge of ours that is good for `purpose`; nothing is proven yet."""
    if len(answer) > ANSWER_LENGTH_MAX:
        return Why.UNREADABLE
    try:
        said = json.loads(answer)
        response = kind.from_dict(said) if isinstance(said, Mapping) else None
    except _BROKEN:
        return Why.UNREADABLE
    if response is None:
        return Why.UNREADABLE
    return response if challenges.is_good(runtime, purpose, response.response.client_data.challenge) else Why.OVER


def _credential_of(found: AuthenticatorData) -> AttestedCredentialData:
    if found.credential_data is None:
        message = "a registration without a credential was taken"
        raise TypeError(message)
    return found.credential_data


def _server(runtime: Runtime) -> Fido2Server:
    address = urlsplit(runtime.public_url)
    origin = f"{address.scheme}://{address.netloc}"
    party = PublicKeyCredentialRpEntity(name="Clickledger", id=address.hostname or "")
    # Ours alone: the library would let every subdomain in.
    return Fido2Server(
        party, attestation=AttestationConveyancePreference.NONE, verify_origin=lambda said: said == origin
    )


def _descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    credential = AttestedCredentialData(passkey.credential)
    return PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=credential.credential_id)


def _sha256(credential_id: bytes) -> str:
    return hashlib.sha256(credential_id).hexdigest()
