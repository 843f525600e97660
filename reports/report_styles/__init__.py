"""Mappings of well-known networks' reports, one YAML file each: data, so that a person can read and correct them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from reports import mapping_text


@dataclass(frozen=True)
class Style:
    """How one network writes its report. Where `is_confirmed` is false, `note` says what its names rest on."""

    name: str
    title: str
    docs: str
    is_confirmed: bool
    note: str
    mapping: Mapping[str, Any]


@cache
def catalogue() -> Mapping[str, Style]:
    """Return every style by its name."""
    found = {}
    for file in sorted(resources.files(__name__).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".yaml"):
            name = file.name.removesuffix(".yaml")
            found[name] = Style(name=name, **mapping_text.read(file.read_text(encoding="utf-8")))
    return found
