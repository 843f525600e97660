"""Which scheme a source's row names, and what a preset sets on a new row."""

from collections.abc import Callable, Mapping
from typing import Any

from partners.models import Source
from partners.presets import Defaults
from partners.secrets import KeyFormat
from partners.source_rules import PRESET
from postback.content import TIMESTAMP
from postback.presets.catalogue import CATALOGUE, Preset, scheme_of
from postback.schemes import generic
from postback.schemes.base import Scheme

# Who makes the secret: the network, whose text is the key, or we, whose token it puts into its URL.
_KEY_FORMATS = {"text": KeyFormat.TEXT, "ours": KeyFormat.TOKEN}

_GENERIC: Mapping[str, Callable[[Mapping[str, Any]], Scheme]] = {
    "body1": lambda table: generic.body1(
        "body1", table["header"].lower(), table["encoding"], table["prefix"], table["body"]
    ),
    "token": lambda table: generic.token(
        "token", table["parameter"], table["body"], is_given=_KEY_FORMATS[table["secret"]] is KeyFormat.TEXT
    ),
}


def of(source: Source) -> Scheme:
    """Return the scheme of `source`, with its own options."""
    if source.scheme == PRESET:
        return of_preset(CATALOGUE[source.preset or ""])
    return generic.of(source.scheme, source.options, timestamp=source.parameters.get(TIMESTAMP, TIMESTAMP))


def of_preset(preset: Preset) -> Scheme:
    """Return the scheme of a preset."""
    return scheme_of(preset, _GENERIC)


def defaults() -> dict[str, Defaults]:
    """Return what each preset sets on a new source."""
    return {name: _defaults(preset) for name, preset in CATALOGUE.items()}


def _defaults(preset: Preset) -> Defaults:
    reversal = {
        "kind": preset.reversal.kind, "prefix": preset.reversal.prefix, "parameter": preset.reversal.parameter,
    }  # fmt: skip
    return Defaults(
        key_format=_KEY_FORMATS[preset.verifier["secret"]],
        allowlist=preset.addresses,
        parameters=preset.parameters,
        status_words=preset.status_words,
        amount_unit=preset.amount_unit,
        dedupe_by=preset.dedupe_by,
        duplicates=preset.duplicates,
        reversal={name: value for name, value in reversal.items() if value is not None},
        answers=preset.answer_style,
        is_static=preset.is_static,
    )
