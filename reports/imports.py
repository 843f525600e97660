"""What all imports share: a file as it came, its statement, its lines loaded once, and the account of what was done."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import IO, Any

from sqlalchemy.orm import Session

from core import audit
from core.actors import Actor
from core.audit import Act
from core.database import Base, insert_new
from core.runtime import Runtime
from reports.models import Statement

CHUNK_ROWS = 1000
_READ_BYTES = 1 << 20
FILE_NAME_LENGTH_MAX = 200


@dataclass(frozen=True)
class Upload:
    """A file as it came, open and never held in memory whole, and who brought it.

    `file` reads bytes and can seek. Whoever opened it closes it, after everything that reads it.
    """

    name: str
    file: IO[bytes]
    actor: Actor

    def from_start(self) -> IO[bytes]:
        """Return `file`, standing at its first byte."""
        self.file.seek(0)
        return self.file

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of its bytes, in hexadecimal, read a piece at a time; `file` is left where it stood."""
        stood = self.file.tell()
        digest = hashlib.sha256()
        self.file.seek(0)
        while piece := self.file.read(_READ_BYTES):
            digest.update(piece)
        self.file.seek(stood)
        return digest.hexdigest()


@dataclass(frozen=True)
class Imported:
    """What an import did. `lines` = `new` + `repeated`, and `restated` of these say something else than they did.

    `statement_ids` has more than one id for a file of several.
    """

    id: str
    statement_ids: list[str]
    lines: int
    new: int
    repeated: int
    restated: int
    rejected: list[dict[str, Any]]


def statement(runtime: Runtime, upload: Upload, **columns: Any) -> Statement:
    """Return the statement that `upload` is, with `columns`; what its lines come to is told by `finished`."""
    return Statement(
        id=runtime.new_id("stm"),
        file_name=upload.name[:FILE_NAME_LENGTH_MAX],
        file_sha256=upload.sha256,
        lines=0,
        new=0,
        repeated=0,
        rejected=[],
        imported_at=runtime.clock(),
        imported_by=upload.actor.id,
        **columns,
    )


def load(
    session: Session, table: type[Base], values: Iterable[dict[str, Any]], *, key: tuple[str, ...]
) -> tuple[int, int]:
    """Insert what is new, a chunk at a time; return how many lines came and how many of them were new."""
    came = new = 0
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK_ROWS)):
        came += len(chunk)
        new += len(insert_new(session, table, chunk, key=key))
    return came, new


def finished(
    runtime: Runtime,
    session: Session,
    done: list[tuple[Statement, tuple[int, int], list[dict[str, Any]]]],
    upload: Upload,
    *,
    restated: int = 0,
) -> Imported:
    """Write down of each statement how many lines came, how many were new, and which were rejected."""
    for statement, (came, new), rejected in done:
        statement.lines, statement.new, statement.repeated = came, new, came - new
        statement.rejected = rejected
        after = {"file_sha256": statement.file_sha256, "lines": came, "new": new, "rejected": len(rejected)}
        if restated:
            after["restated"] = restated
        audit.record(session, Act(upload.actor, "imported", "statement", statement.id, runtime.clock(), after=after))
    statements = [statement for statement, _, _ in done]
    return Imported(
        id=statements[0].id,
        statement_ids=[statement.id for statement in statements],
        lines=sum(statement.lines for statement in statements),
        new=sum(statement.new for statement in statements),
        repeated=sum(statement.repeated for statement in statements),
        restated=restated,
        rejected=[bad for _, _, rejected in done for bad in rejected],
    )
