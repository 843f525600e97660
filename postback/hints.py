"""Why a signature is bad: the usual mistakes, each tried in turn, told in a sentence that repeats no signature."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from urllib.parse import quote, quote_plus, unquote_plus

from postback import canonical
from postback.schemes.base import Mac, Presented, Request

_SIG_PAIR = re.compile(rb"(?:^|&)sig=([^&]*)")
_DIGITS = re.compile(r"[0-9A-Fa-f]{40,128}|[A-Za-z0-9+/]{27,88}={0,2}")


class Key(Protocol):
    """A secret that the source has or had. `text` is it as it was shown, `state` live, revoked or past its overlap."""

    @property
    def id(self) -> str:
        """The secret's id."""

    @property
    def key(self) -> bytes:
        """Its bytes."""

    @property
    def text(self) -> str | None:
        """Its text, None for a token: nobody keeps it."""

    @property
    def state(self) -> str:
        """Where it stands."""


def of(
    request: Request, scheme: str, presented: Presented, mac: Mac, *, keys: Sequence[Key], other_sources: Sequence[str]
) -> list[str]:
    """Return what is probably wrong with a signature that no live secret made; empty when nothing usual is.

    `presented` is what the source's own scheme finds in the request. Nothing here tells a right signature or a secret.
    """
    if presented.is_missing and not _SIG_PAIR.search(request.query):
        return ["there is no proof where the scheme looks for one"]
    found = list(_shape(request)) if scheme == "pb1" else []
    claimed = _claimed(request) | set(presented.signatures)
    for key_sentence, key in _keys(keys):
        for message_sentence, message in _messages(request, scheme, presented, other_sources):
            is_same = any(hmac.compare_digest(mac(message, key), each) for each in claimed)
            sentences = [sentence for sentence in (key_sentence, message_sentence) if sentence]
            if is_same and sentences:
                return [*found, *sentences]
            if is_same:
                return [*found, "the digest is right, but not written or placed as the scheme wants it"]
    return found


def _shape(request: Request) -> Iterator[str]:
    pairs = _SIG_PAIR.findall(request.query)
    if len(pairs) > 1:
        yield "`sig` comes more than once"
    if pairs and not re.search(rb"&sig=[^&]*$", request.query):
        yield "`sig` is not the last parameter; nothing stands behind it"
    if pairs and re.fullmatch(rb"[0-9A-Fa-f]{64}", pairs[-1]) and pairs[-1] != pairs[-1].lower():
        yield "`sig` is in upper-case digits; it takes lower-case ones"
    elif pairs and not re.fullmatch(rb"[0-9A-Fa-f]{64}", pairs[-1]):
        yield "`sig` is not 64 hexadecimal digits"


def _claimed(request: Request) -> set[bytes]:
    """Return the digests that a request may mean, whatever their encoding and place."""
    texts = [unquote_plus(value.decode("latin-1")) for value in _SIG_PAIR.findall(request.query)]
    texts += [found for header in request.headers.values() for found in _DIGITS.findall(header)]
    digests: set[bytes] = set()
    for text in texts:
        for decode in (bytes.fromhex, lambda said: base64.b64decode(said, validate=True)):
            try:
                digests.add(decode(text))
            except (binascii.Error, ValueError):
                continue
    return digests


def _keys(keys: Sequence[Key]) -> Iterator[tuple[str | None, bytes]]:
    for each in keys:
        state = None if each.state == "live" else f"it was made with the secret {each.id}, which is {each.state}"
        yield state, each.key
    for each in keys:
        if each.text is None:
            continue
        if each.text.encode() != each.key:
            yield (
                "the secret's text was used as the key; the key is its base64 decoded, without whsec_",
                each.text.encode(),
            )
            bare = each.text.removeprefix("whsec_")
            yield "the base64 text was used as the key; the key is the bytes that it says", bare.encode()
        elif each.text.startswith("whsec_"):
            try:
                decoded = base64.b64decode(each.text.removeprefix("whsec_"), validate=True)
            except (binascii.Error, ValueError):
                continue
            yield "the secret was decoded; the key of this scheme is the whole text as it was shown", decoded


def _messages(
    request: Request, scheme: str, presented: Presented, other_sources: Sequence[str]
) -> Iterator[tuple[str | None, bytes]]:
    yield None, presented.message
    if scheme != "pb1":
        body = request.body
        for sentence, changed in (
            ("the body was signed without the line break at its end", body.rstrip(b"\r\n")),
            ("the body was signed with a line break at its end, which was not sent", body + b"\n"),
        ):
            if body and changed != body and presented.message.endswith(body):
                yield sentence, presented.message[: -len(body)] + changed
        if presented.message != body:
            yield "the body alone was signed; this scheme signs more", body
        return
    query = re.sub(rb"(?:^|&)sig=[^&]*", b"", request.query).removeprefix(b"&")

    def message(payload: bytes, *, source_id: str = request.source_id, method: str = request.method) -> bytes:
        return canonical.pb1_message(method, source_id, payload)

    yield None, message(query)
    for source_id in other_sources:
        yield (
            f"it was made for another source, {source_id}: its id is part of what is signed",
            message(query, source_id=source_id),
        )
    yield "the decoded query was signed: sign the bytes as they are sent", message(_decoded(query))
    for encode in (quote_plus, quote):
        yield (
            "the query was encoded in another way when it was signed: a space is + or %20",
            message(_encoded(query, encode)),
        )
    yield "another method was signed", message(query, method="POST" if request.method == "GET" else "GET")
    yield "the method was signed in lower case", message(query, method=request.method.lower())
    yield "the query alone was signed; see docs/postback-signing.md for the lines before it", query
    yield "the whole address was signed in place of its path and query", request.url.encode() + b"?" + query
    yield "a line break was signed at the end", message(query) + b"\n"
    yield "a question mark was signed before the query", message(b"?" + query)


def _decoded(query: bytes) -> bytes:
    return unquote_plus(query.decode("latin-1"), encoding="utf-8", errors="surrogateescape").encode(
        "utf-8", "surrogateescape"
    )


def _encoded(query: bytes, encode: Callable[..., str]) -> bytes:
    pairs = (pair.partition(b"=") for pair in query.split(b"&"))
    return b"&".join(name + b"=" + encode(_decoded(value), safe="").encode() for name, _, value in pairs)
