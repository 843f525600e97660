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
    runtime = installed()
    now = runtime.clock()
    if asked.form is not None and asked.form.pieces is None:

        def fill(path: Path) -> None:
            with runtime.reading() as session:
                producing.write(session, asked, path, now=now, is_awaited=True)

        return _of_file(fill, asked.mimetype, asked.file_name)

    def streamed() -> Iterator[bytes]:
        # Its own transaction: it lives as long as the answer is written, long after the view has returned.
        with runtime.reading() as session:
            yield from producing.pieces(session, asked, now=now)

    return attached(flask.Response(streamed(), mimetype=asked.mimetype), asked.file_name)


def read_table(made: Callable[[Session], Table], name: str, form: Format) -> flask.Response:
    """Answer with a table called `name`, read in a transaction of its own; raise Invalid as `report` does."""
    runtime, file_name = installed(), f"{name}.{form.suffix}"
    if form.pieces is None:

        def fill(path: Path) -> None:
            with runtime.reading() as session:
                found = made(session)
                form.write(replace(found, rows=producing.awaited(found.rows, form)), path)

        return _of_file(fill, form.mimetype, file_name)
    pieces = form.pieces

    def streamed() -> Iterator[bytes]:
        with runtime.reading() as session:
            yield from pieces(made(session))

    return attached(flask.Response(streamed(), mimetype=form.mimetype), file_name)


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
