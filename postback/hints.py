"""Why a signature is not the one it should be: the mistakes that people make, each tried in turn."""

import base64
import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote_to_bytes

from postback.schemes.base import Mac, Presented, Request, Scheme
from postback.verification import SigningKey, signer

_SIG = re.compile(rb"(?:^|&)sig=[^&]*")


def of(request: Request, scheme: Scheme, keys: Sequence[SigningKey], ended: Sequence[SigningKey]) -> list[str]:
    """Return what would make the proof right, as sentences; empty when none of the known mistakes explains it.

    `ended` are secrets of the source that sign no more. Nothing here tells a right signature or a secret.
    """
    presented = scheme.present(request)
    found = []
    if presented.is_missing:
        return [f"there is no proof: {_where(scheme)}"]
    if not presented.signatures:
        if scheme.name == "pb1" and len(_SIG.findall(request.query)) != 1:
            return ["`sig` stands once"]
        if scheme.name == "pb1" and not _SIG.search(request.query.rsplit(b"&", 1)[-1]):
            return ["`sig` is the last parameter, and nothing stands behind it"]
        return [f"the proof cannot be read: {_where(scheme)}"]
    if signer(presented, ended, scheme.mac) is not None:
        found.append("it is signed with a secret of this source that was revoked or has ended")
    if signer(presented, [_Key(_as_text(key.key)) for key in keys], scheme.mac) is not None:
        found.append("the text whsec_.. was used as the key: the key is the bytes that the base64 behind it says")
    if scheme.name == "pb1":
        found += _pb1(request, presented, keys, scheme.mac)
    return found


class _Key:
    """A key under trial."""

    def __init__(self, key: bytes) -> None:
        self.id = "trial"
        self.key = key


def _pb1(request: Request, presented: Presented, keys: Sequence[SigningKey], mac: Mac) -> list[str]:
    payload = _SIG.sub(b"", request.query)
    head = b"pb1\n%b\n/postback/%b\n" % (request.method.encode(), request.source_id.encode())
    trials: tuple[tuple[str, Callable[[], bytes]], ...] = (
        ("the query alone was signed: pb1, method and path stand before it, a line each", lambda: payload),
        ("the decoded query was signed: sign the bytes as they are sent", lambda: head + unquote_to_bytes(payload)),
        ("a space is written %20 in one place and + in the other", lambda: head + payload.replace(b"%20", b"+")),
        ("a space is written + in one place and %20 in the other", lambda: head + payload.replace(b"+", b"%20")),
        ("POST was signed where GET is sent", lambda: head.replace(b"\nGET\n", b"\nPOST\n") + payload),
        ("a newline stands behind the query", lambda: head + payload + b"\n"),
    )
    return [
        says
        for says, message in trials
        if message() != presented.message and signer(Presented(message(), presented.signatures), keys, mac) is not None
    ]


def _as_text(key: bytes) -> bytes:
    return b"whsec_" + base64.b64encode(key)


def _where(scheme: Scheme) -> str:
    if scheme.headers:
        return f"it stands in {', '.join(scheme.headers)}"
    return (
        "it stands in the last parameter, `sig`, as 64 lower-case digits" if scheme.name == "pb1" else "see its scheme"
    )
