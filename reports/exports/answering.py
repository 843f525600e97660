"""Reports as answers of HTTP: sent while they are read, or written to a file that goes once it is sent."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import flask
from sqlalchemy.orm import Session

from core.runtime import installed
from reports.exports import producing
from reports.exports.formats import FORMATS, Format
from reports.exports.producing import Wanted
from reports.exports.tables import Table

_CHUNK_BYTES = 1 << 18


def report(asked: Wanted) -> flask.Response:
    """Answer with a report; raise Invalid for more rows than its form bears while somebody waits."""
    now = installed().clock()
    if asked.form is not None and asked.form.pieces is None:
        return _read_to_file(
            lambda session, path: producing.write(session, asked, path, now=now, is_awaited=True),
            asked.mimetype,
            asked.file_name,
        )
    return _read_to_stream(lambda session: producing.pieces(session, asked, now=now), asked.mimetype, asked.file_name)


def read_table(made: Callable[[Session], Table], name: str, form: Format) -> flask.Response:
    """Answer with a table called `name`, read in a transaction of its own; raise Invalid as `report` does."""
    file_name, pieces = f"{name}.{form.suffix}", form.pieces
    if pieces is not None:
        return _read_to_stream(lambda session: pieces(made(session)), form.mimetype, file_name)

    def fill(session: Session, path: Path) -> None:
        found = made(session)
        form.write(replace(found, rows=producing.awaited(found.rows, form)), path)

    return _read_to_file(fill, form.mimetype, file_name)


def table(found: Table, form: str) -> flask.Response:
    """Answer with a table in one of FORMATS, written within the caller's transaction."""
    chosen = FORMATS[form]
    return _of_file(lambda path: chosen.write(found, path), chosen.mimetype, f"{found.name}.{chosen.suffix}")


def attached(response: flask.Response, file_name: str) -> flask.Response:
    """Return `response` as a download of that name."""
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    # Of this moment and this person: no cache in between keeps it.
    response.headers["Cache-Control"] = "no-store"
    return response


def of_open_file(file: BinaryIO, mimetype: str, file_name: str) -> flask.Response:
    """Answer with what an open file holds, and close it."""

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    response = flask.Response(chunks(), mimetype=mimetype)
    response.call_on_close(file.close)
    response.content_length = os.fstat(file.fileno()).st_size
    return attached(response, file_name)


def _of_file(fill: Callable[[Path], object], mimetype: str, file_name: str) -> flask.Response:
    with tempfile.TemporaryDirectory(prefix="clickledger-") as folder:
        path = Path(folder) / "report"
        fill(path)
        # Open, it outlives its name: nothing is left to remove when the answer breaks off.
        file = path.open("rb")
    return of_open_file(file, mimetype, file_name)


def _read_to_file(fill: Callable[[Session, Path], object], mimetype: str, file_name: str) -> flask.Response:
    def read(path: Path) -> None:
        with installed().reading() as session:
            fill(session, path)

    return _of_file(read, mimetype, file_name)


def _read_to_stream(pieces: Callable[[Session], Iterator[bytes]], mimetype: str, file_name: str) -> flask.Response:
    runtime = installed()

    def streamed() -> Iterator[bytes]:
        # Its own transaction: it lives as long as the answer is written, long after the view has returned.
        with runtime.reading() as session:
            yield from pieces(session)

    return attached(flask.Response(streamed(), mimetype=mimetype), file_name)
