"""What a scheme is: which bytes it covers, which proof a request shows for them, and how its parameters are read."""

import base64
import binascii
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from core.errors import Fault

# What `mac` returns, and `presented` shows, where a proof is no digest: a token that is right, a body that decrypts.
PROVEN = b"proven"

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Request:
    """A postback's request in bytes, nothing of it believed.

    `url` is the address as the world writes it, without the query: `https://clicks.example/postback/src_7Qm2vK9x`.
    `headers` holds those the scheme asked for, by their lower-case names; an absent one is absent. `path_token` is what
    stands behind the source in the path.
    """

    method: str
    source_id: str
    url: str
    query: bytes = b""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    path_token: bytes = b""

    def __repr__(self) -> str:
        # Its query may hold a token, and its path and headers.
        return f"Request({self.method}, {self.source_id!r})"

    def header(self, name: str) -> bytes:
        """Return a header's bytes as they came, b"" when it is absent."""
        return self.headers.get(name, "").encode("latin-1", "replace")


class Presented(NamedTuple):
    """What a request shows as proof: the bytes it claims to have signed and its well-formed signatures.

    `is_missing` tells a request without any signature from one whose signature cannot be read.
    """

    message: bytes
    signatures: tuple[bytes, ...] = ()
    is_missing: bool = False


class Parameters(NamedTuple):
    """A request's parameters as text by name, and what could not be read. `names` are all that the request holds."""

    values: Mapping[str, str] = _NOTHING
    names: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


class Told(NamedTuple):
    """What a proven request tells: its parameters and, under a scheme with a time, the text of its timestamp."""

    parameters: Parameters
    timestamp: str | None = None


# Both are called with a request whose method is one of the scheme's, and never raise.
Present = Callable[[Request], Presented]
# The key is the one that proved the request: ClickBank's body has to be decrypted again.
Read = Callable[[Request, bytes, Collection[str]], Told]
Mac = Callable[[bytes, bytes], bytes]
# Returns an unsigned request with the proof where its network puts it, made under the key.
Sign = Callable[[Request, bytes], Request]


def hmac_sha256(message: bytes, key: bytes) -> bytes:
    """Return the HMAC-SHA256 of `message`."""
    # Not hmac.digest: that lets go of the interpreter's lock for every message, and beside the writer's thread a
    # postback then waited 200 us to get it back.
    return hmac.new(key, message, "sha256").digest()


@dataclass(frozen=True)
class Static:
    """A secret that is sent in the clear: `names` of the parameters or headers it has its place in.

    `is_shown(value, key)` says whether a value is the secret, wherever it was found; it never raises.
    """

    is_shown: Callable[[bytes, bytes], bool]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scheme:
    """One way to prove a postback.

    `present` finds message and signatures, `mac(message, key)` is what a signature must equal, `read` takes the
    parameters out once the proof holds. `timestamp` is the network's name for the signed time, None where the scheme
    has none: then nothing is ever stale, and the permanent unique key alone stops a replay.
    `assurance` is A (everything signed), B (part of it), C (a static secret), D (address only) or E (nothing);
    `covered` names the signed parameters where that is not all of them. `static` tells where a request holds the
    secret itself, which no receipt may keep.
    Without `has_seams` the values are hashed with nothing between them, and a character can move to its neighbour.
    `sign` is what the network does, for the examples we show: never part of believing anything.
    """

    name: str
    methods: tuple[str, ...]
    present: Present
    read: Read
    sign: Sign
    mac: Mac = hmac_sha256
    headers: tuple[str, ...] = ()
    timestamp: str | None = None
    assurance: str = "A"
    covered: tuple[str, ...] | None = None
    static: Static | None = None
    has_seams: bool = True


def unhex(text: bytes, *, length: int) -> bytes | None:
    """Return the `length` bytes that hexadecimal digits of either case say, None for anything else."""
    try:
        digest = binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == length else None


def unbase64(text: bytes, *, length: int) -> bytes | None:
    """Return the `length` bytes that base64 says in its one canonical spelling, None for anything else."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # The last digit before the padding has bits that say nothing: only the one canonical spelling is taken.
    return digest if len(digest) == length and base64.b64encode(digest) == text else None
