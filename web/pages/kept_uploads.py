"""Files that a person looks at before they are imported: kept for a day at most, for that person alone."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from werkzeug.datastructures import FileStorage

from core.errors import Fault, Invalid
from core.files import whole
from core.runtime import Runtime

_TOKEN_BYTES = 16
_COPIED_BYTES = 1 << 20
NAME_LENGTH_MAX = 200


def keep(runtime: Runtime, file: FileStorage, *, staff_id: str) -> str:
    """Keep an upload; return the token it is found by again. reports.importing.jobs.tidy removes it after a day."""
    token = secrets.token_hex(_TOKEN_BYTES)

    def fill(path: Path) -> None:
        with path.open("wb") as target:
            while piece := file.stream.read(_COPIED_BYTES):
                target.write(piece)

    whole(_path(runtime, token, staff_id), fill)
    return token


@contextmanager
def opened(runtime: Runtime, token: str, *, staff_id: str) -> Iterator[IO[bytes]]:
    """Have the file open for as long as the context lasts; raise Invalid when it is not there any more."""
    try:
        file = _path(runtime, token, staff_id).open("rb")
    except (FileNotFoundError, ValueError):
        raise Invalid.of(Fault("file", "is kept no longer: choose it again")) from None
    with file:
        yield file


def _path(runtime: Runtime, token: str, staff_id: str) -> Path:
    if len(token) != 2 * _TOKEN_BYTES or not all(digit in "0123456789abcdef" for digit in token):
        message = "no token of ours"
        raise ValueError(message)
    return runtime.imports / f"looked-at-{staff_id}-{token}"
