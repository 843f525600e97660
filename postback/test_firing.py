"""A source's test fire: its own signed example, and three that must be refused, through the door's own checks.

Nothing is recorded. What cannot be tried without the token that was shown once is left to whoever has it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.orm import Session

from core.runtime import Runtime
from partners.models import Source
from partners.secrets import KeyFormat
from postback import checking, example
from postback.checking import Pasted
from postback.schemes.base import Request

# RFC 5737's addresses for documents: nobody fires from there.
STRANGER = "198.51.100.7"
_LATE = timedelta(days=2)


@dataclass(frozen=True)
class _Try:
    name: str
    request: Request
    peer: str | None
    is_good: bool


@dataclass(frozen=True)
class Shot:
    """One request that was tried: what it was, what became of it, and whether that is as it should be."""

    name: str
    verdict: str
    reason: str | None
    code: int
    is_right: bool


def fire(runtime: Runtime, session: Session, source: Source) -> list[Shot]:
    """Return what becomes of each; raise Conflict where no example can be made.

    Of a source with a static token nothing is fired: only its HMAC is kept.
    """
    if source.secrets and source.secrets[0].key_format == KeyFormat.TOKEN:
        return []
    return [_shot(runtime, session, source, each) for each in _requests(runtime, source)]


def _requests(runtime: Runtime, source: Source) -> Iterator[_Try]:
    good = example.signed_request(runtime, source)
    yield _Try("Signed as it should be", good, None, is_good=True)
    changed = "The same with one byte changed"
    if good.query:
        yield _Try(changed, replace(good, query=_changed(good.query)), None, is_good=False)
    elif good.body:
        yield _Try(changed, replace(good, body=_changed(good.body)), None, is_good=False)
    if source.allowlist:
        yield _Try(f"The same from {STRANGER}, an address that is not on the list", good, STRANGER, is_good=False)
    if source.stale == "reject":
        now = runtime.clock()
        late = example.signed_request(replace(runtime, clock=lambda: now - _LATE), source)
        yield _Try("Signed two days ago", late, None, is_good=False)


def _shot(runtime: Runtime, session: Session, source: Source, tried: _Try) -> Shot:
    request = tried.request
    url = request.url
    if request.path_token:
        url += f"/{request.path_token.decode('latin-1')}"
    if request.query:
        url += f"?{request.query.decode('latin-1')}"
    kind = {"json": "application/json", "form": "application/x-www-form-urlencoded"}.get(example.body_kind(source))
    headers = {**({"content-type": kind} if request.body and kind else {}), **request.headers}
    pasted = Pasted(request.method, url, request.body.decode(), headers, tried.peer)
    found = checking.check(runtime, session, source.id, pasted)
    answer = found["answer"]
    is_believed = found["verdict"] == "believed"
    return Shot(tried.name, found["verdict"], found["reason"], int(answer["code"]), is_believed is tried.is_good)


def _changed(content: bytes) -> bytes:
    """Return `content` with one digit or letter in its middle another one."""
    for place in range(len(content) // 2, len(content)):
        byte = content[place : place + 1]
        if byte.isalnum():
            return content[:place] + (b"1" if byte != b"1" else b"2") + content[place + 1 :]
    return content + b"1"
