"""Heads: each day's end of the audit chain and of the seals, signed, in a file outside the database.

Who owns the database can rewrite a chain from its first row on, hashes and all. A head says what its last hash was,
and is signed with a key that is not in the database: https://datatracker.ietf.org/doc/html/rfc8032 (Ed25519), so that
an auditor checks his copies with the public key alone.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.audit import GENESIS, AuditEntry
from core.encryption import Keyring
from core.runtime import Runtime
from postback.models import ReceiptSeal

PURPOSE = "audit heads"
_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.json", re.ASCII)
# Before what is signed: no signature of anything else can stand for a head's.
_CONTEXT = b"clickledger audit head 1\n"
_SIGNED = {
    "day": str, "previous_day": str | None, "seq": int, "hash": str, "seal_seq": int, "seal_hash": str,
    "taken_at": str, "public_key": str,
}  # fmt: skip


_Chain = AuditEntry | ReceiptSeal
_CHAINS: Mapping[type[_Chain], str] = {AuditEntry: "the audit chain", ReceiptSeal: "the chain of seals"}


@dataclass(frozen=True)
class Break:
    """The first head that does not hold, or that the database does not hold against, and how."""

    day: str
    reason: str


@dataclass(frozen=True)
class Head:
    """One head as its file has it."""

    content: dict[str, Any]
    signature: bytes

    @property
    def message(self) -> bytes:
        """What is signed."""
        text = json.dumps(self.content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return _CONTEXT + text.encode()


def write(runtime: Runtime) -> bool:
    """Write today's head unless there is one; say whether it was written.

    Two that do this at the same moment write one file, and what is there is never written over.
    """
    now = runtime.clock()
    path = runtime.audit_heads / f"{now.date().isoformat()}.json"
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    earlier = [day for day in _days(runtime.audit_heads) if day < path.stem]
    with runtime.reading() as session:
        seq, hash_ = _last(session, AuditEntry)
        seal_seq, seal_hash = _last(session, ReceiptSeal)
    content = {
        "day": path.stem,
        "previous_day": earlier[-1] if earlier else None,
        "seq": seq,
        "hash": hash_,
        "seal_seq": seal_seq,
        "seal_hash": seal_hash,
        "taken_at": now.isoformat(),
    }
    with _whole(path, _signed(content, runtime.keyring)) as temporary, suppress(FileExistsError):
        os.link(temporary, path)
        return True
    return False


def first_break(runtime: Runtime, session: Session) -> tuple[int, Break | None]:
    """Hold every head on file against the database; return how many hold and the first that does not.

    A head whose file is gone is missed by the one after it; whether the newest are gone, only copies elsewhere can say.
    """
    previous: str | None = None
    count = 0
    for day in _days(runtime.audit_heads):
        reason = _fault(runtime, session, day, previous)
        if reason is not None:
            return count, Break(day, reason)
        previous, count = day, count + 1
    return count, None


def sign_again(runtime: Runtime) -> int:
    """Sign every head that holds with the present key, in place; return how many. Others stay as they are.

    For a rotation of the key: a head that only the previous key has signed cannot be checked once that is forgotten.
    """
    count = 0
    for day in _days(runtime.audit_heads):
        path = runtime.audit_heads / f"{day}.json"
        head = _read(path)
        if head is not None and runtime.keyring.has_signed(head.signature, head.message, purpose=PURPOSE):
            content = {name: value for name, value in head.content.items() if name != "public_key"}
            with _whole(path, _signed(content, runtime.keyring)) as temporary:
                Path(temporary).replace(path)
            count += 1
    return count


def _fault(runtime: Runtime, session: Session, day: str, previous: str | None) -> str | None:
    """Return why the head of `day` does not hold, None when it does."""
    head = _read(runtime.audit_heads / f"{day}.json")
    if head is None:
        return "cannot be read"
    content = head.content
    if not runtime.keyring.has_signed(head.signature, head.message, purpose=PURPOSE):
        return "has a signature that is not ours"
    if content["day"] != day:
        return f"is the head of {content['day']} under another name"
    if content["previous_day"] != previous:
        return f"follows that of {content['previous_day']}, and on file is that of {previous} before it"
    return _rewritten(session, AuditEntry, content["seq"], content["hash"]) or _rewritten(
        session, ReceiptSeal, content["seal_seq"], content["seal_hash"]
    )


def _rewritten(session: Session, table: type[_Chain], seq: int, hash_: str) -> str | None:
    """Return how a chain is not the one that had `hash_` in row `seq`, None when it is."""
    chain = _CHAINS[table]
    now = GENESIS if seq == 0 else session.scalar(sa.select(table.hash).where(table.seq == seq))
    if now == hash_:
        return None
    if now is None:
        return f"{chain} was cut off: row {seq} is gone"
    return f"{chain} was rewritten at or before row {seq}: its hash was {hash_}, and is {now}"


def _last(session: Session, table: type[_Chain]) -> tuple[int, str]:
    last = session.execute(sa.select(table.seq, table.hash).order_by(table.seq.desc()).limit(1)).one_or_none()
    return (0, GENESIS) if last is None else (last[0], last[1])


def _signed(content: dict[str, Any], keyring: Keyring) -> str:
    content = {**content, "public_key": keyring.public_key(purpose=PURPOSE).hex()}
    signature = keyring.sign(Head(content, b"").message, purpose=PURPOSE)
    return json.dumps({**content, "signature": signature.hex()}, indent=2) + "\n"


def _read(path: Path) -> Head | None:
    """Return the head of a file, None when it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        signature = bytes.fromhex(content.pop("signature"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if set(content) != set(_SIGNED) or not all(isinstance(content[name], kind) for name, kind in _SIGNED.items()):
        return None
    return Head(content, signature)


@contextmanager
def _whole(path: Path, text: str) -> Iterator[str]:
    """Give the name of a file beside `path` that holds all of `text`, safe on the disk, and take it away afterwards."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # No secret: whoever keeps copies may read it.
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
        _keep_names(path.parent)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _keep_names(folder: Path) -> None:
    """Bring a folder's names to the disk: without it a file may be gone after a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _days(folder: Path) -> list[str]:
    """Return the days that have a head on file, oldest first."""
    found = []
    for each in folder.iterdir() if folder.is_dir() else ():
        if match := _NAME.fullmatch(each.name):
            with suppress(ValueError):
                found.append(date.fromisoformat(match[1]).isoformat())
    return sorted(found)
