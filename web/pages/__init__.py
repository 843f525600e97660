"""The console: server-rendered pages over the same use-cases as the API."""

import flask


def register(app: flask.Flask) -> None:
    """Add the pages to `app`."""
