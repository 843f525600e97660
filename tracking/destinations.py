"""Fills in a campaign's destination: where a click goes."""

from collections.abc import Mapping
from re import Match
from urllib.parse import quote

from partners.placeholders import PLACEHOLDER


def filled(template: str, values: Mapping[str, str | None]) -> str:
    """Return `template` with each `{name}` replaced by its value, percent-encoded; one without a value by nothing.

    The template is without faults (partners/placeholders.py). All but letters, digits and `-._~` is encoded, so that
    no value can end its place and begin another parameter.
    """

    def value_of(match: Match[str]) -> str:
        return quote(values.get(match[1]) or "", safe="")

    return PLACEHOLDER.sub(value_of, template)
