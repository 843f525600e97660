"""Reads what a request says before any schema does: what neither database could keep is a fault, never our error."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import flask
import marshmallow as ma
from webargs.core import is_json, missing
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import CombinedMultiDict

from core.errors import Fault, Invalid
from core.http.wire import INTEGER_MAX

_UNKNOWN: dict[str, str | None] = dict.fromkeys(("json", "query", "form", "files", "multipart"), ma.RAISE)


class Parser(FlaskParser):
    """Refuses unknown fields everywhere, and reads a multipart body's fields and files as one."""

    DEFAULT_UNKNOWN_BY_LOCATION = _UNKNOWN

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:  # noqa: ARG002 - webargs' own signature
        """Return the JSON body; raise Invalid with every fault for one that cannot be read or kept."""
        if not is_json(req.mimetype):
            return missing
        try:
            body = json.loads(req.get_data(cache=True), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            # A number of thousands of digits is a ValueError, too many brackets a RecursionError.
            raise Invalid.of(Fault("body", f"is no JSON we read: {_why(error)}")) from None
        _refuse(unkeepable(body, ""))
        return body

    def load_querystring(self, req: flask.Request, schema: ma.Schema) -> Any:
        """Return the query's parameters."""
        _refuse(fault for name, value in req.args.items(multi=True) for fault in unkeepable(value, name))
        return super().load_querystring(req, schema)

    def load_multipart(self, req: flask.Request, schema: ma.Schema) -> Any:
        """Return form fields and files in one mapping."""
        _refuse(fault for name, value in req.form.items(multi=True) for fault in unkeepable(value, name))
        return MultiDictProxy(CombinedMultiDict([req.form, req.files]), schema)


Parser.__location_map__ = {**FlaskParser.__location_map__, "multipart": "load_multipart"}


def unkeepable(value: object, path: str) -> Iterator[Fault]:
    """Yield a fault for each text with a NUL or a lone surrogate, and each integer no column holds."""
    if isinstance(value, str):
        # PostgreSQL refuses the first, its driver the second.
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield Fault(path or "body", "takes text without NUL and without lone surrogates")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from unkeepable(name, path)
            yield from unkeepable(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from unkeepable(inner, f"{path}.{position}".lstrip("."))
    elif isinstance(value, int) and abs(value) > INTEGER_MAX:
        yield Fault(path or "body", "is too large a number")


def _refuse(faults: Iterator[Fault]) -> None:
    found = list(faults)
    if found:
        raise Invalid.of(*found)


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is no JSON"
    raise ValueError(message)


def _why(error: Exception) -> str:
    return "it nests too deep" if isinstance(error, RecursionError) else str(error)
