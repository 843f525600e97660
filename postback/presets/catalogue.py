"""The presets: every file beside this module, read and checked once, with all its faults at once."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any

from postback.content import FIELDS
from postback.schemes.base import Scheme
from postback.schemes.vendors import VERIFIERS

# Kinds that need no code of a vendor: a signed body, and a static secret in a parameter.
GENERIC_KINDS = ("body1", "token")
TOKEN_PLACEHOLDER = "{token}"  # noqa: S105 - where the token goes, not a token

_NAME = re.compile(r"[a-z0-9_-]{1,30}")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "method": ("GET", "POST"),
    "body": ("query", "form", "json"),
    "amount_unit": ("major", "minor"),
    "dedupe_by": ("transaction_id", "transaction_event", "click_event"),
    "duplicates": ("ignore", "update_status", "update_amount", "update", "add_event"),
    "verifier.kind": (*GENERIC_KINDS, *VERIFIERS),
    "verifier.assurance": ("A", "B", "C", "D", "E"),
    "verifier.secret": ("text", "ours"),
    "reversal.kind": ("none", "status", "prefix", "negative", "reference"),
    "answers.style": ("json", "ok", "gif", "empty", "always_200"),
}
_STATUSES = ("approved", "pending", "rejected", "refunded", "charged_back", "ignored")
_TOP = {
    "name", "title", "docs", "is_confirmed", "note", "method", "body", "addresses", "amount_unit", "dedupe_by",
    "duplicates", "verifier", "parameters", "status_words", "reversal", "answers", "macros", "extra_macros",
}  # fmt: skip
_REVERSAL_NEEDS = {"prefix": "prefix", "reference": "parameter"}


@dataclass(frozen=True)
class Reversal:
    """How a network takes a conversion back. `prefix` stands before the id, `parameter` names the original's id."""

    kind: str
    prefix: str | None = None
    parameter: str | None = None


@dataclass(frozen=True)
class Preset:
    """One network. `parameters` maps our names to the network's, `covered` names what is signed, None for all.

    `macros` and `extra_macros` say what the network puts into a URL: by our names, and by the network's own where
    a verifier needs a parameter that means nothing to us.
    """

    name: str
    title: str
    docs: str | None
    is_confirmed: bool
    note: str
    method: str
    body: str
    addresses: tuple[str, ...]
    amount_unit: str
    dedupe_by: str
    duplicates: str
    verifier: Mapping[str, Any]
    parameters: Mapping[str, str]
    status_words: Mapping[str, str]
    reversal: Reversal
    answer_style: str
    macros: Mapping[str, str]
    extra_macros: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The verifier's kind."""
        return str(self.verifier["kind"])

    @property
    def assurance(self) -> str:
        """A to E, as in the design of schemes."""
        return str(self.verifier["assurance"])

    @property
    def is_static(self) -> bool:
        """Whether all its proof is a value that travels in clear, whoever made it: then an allowlist is needed."""
        return self.assurance == "C"

    @property
    def is_secret_ours(self) -> bool:
        """Whether the secret is made here; else the network makes it and shows it in its own dashboard."""
        return bool(self.verifier["secret"] == "ours")  # noqa: S105 - who makes it

    @property
    def covered(self) -> tuple[str, ...] | None:
        """The network's names of the signed parameters: None for all of them, () for none."""
        fields = self.verifier.get("covered_fields")
        return None if fields is None else tuple(fields)

    def url_template(self, postback_url: str) -> str:
        """Return what to enter at the network: the URL with its macros, `{token}` where a token of ours goes."""
        pairs = {self.parameters.get(ours, ours): macro for ours, macro in self.macros.items()}
        pairs |= self.extra_macros
        if self.kind == "token":
            pairs.setdefault(str(self.verifier["parameter"]), TOKEN_PLACEHOLDER)
        # As text: networks replace their macros before they call, whatever characters they are made of.
        query = "&".join(f"{name}={macro}" for name, macro in pairs.items())
        return f"{postback_url}?{query}" if query and self.method == "GET" else postback_url


def scheme_of(preset: Preset, generic: Mapping[str, Callable[[Mapping[str, Any]], Scheme]]) -> Scheme:
    """Return the scheme of `preset`; `generic` makes those of GENERIC_KINDS out of their `[verifier]` table."""
    make = VERIFIERS.get(preset.kind) or generic[preset.kind]
    made = make({**preset.verifier, "body": preset.body})
    return replace(
        made,
        name=f"preset:{preset.name}",
        methods=(preset.method,),
        assurance=preset.assurance,
        covered=preset.covered,
    )


class CatalogueError(Exception):
    """Files that are no presets; the message names everything wrong with all of them."""


def load(texts: Mapping[str, str]) -> Mapping[str, Preset]:
    """Return the presets that `texts` say, by name; each key is a file's stem.

    Raise CatalogueError with every fault of every file.
    """
    presets: dict[str, Preset] = {}
    faults: list[str] = []
    for stem, said in sorted(texts.items()):
        try:
            table = tomllib.loads(said)
        except tomllib.TOMLDecodeError as error:
            faults.append(f"{stem}: is not TOML: {error}")
            continue
        found = [f"{stem}: {fault}" for fault in _faults(stem, table)]
        faults += found
        if not found:
            presets[stem] = _preset(table)
    if faults:
        raise CatalogueError("\n".join(faults))
    return MappingProxyType(presets)


def _faults(stem: str, table: Mapping[str, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(stem) or table.get("name") != stem:
        yield "name is not the file's stem of lower-case letters, digits, _ and -"
    yield from (f"{key} is not a key" for key in sorted(table.keys() - _TOP))
    for key in ("title", "note"):
        if not isinstance(table.get(key), str):
            yield f"{key} takes a text"
    if not isinstance(table.get("is_confirmed"), bool):
        yield "is_confirmed takes true or false"
    elif not table["is_confirmed"] and not str(table.get("note", "")).startswith("unconfirmed: "):
        yield "note begins with `unconfirmed: ` where the preset is"
    if table.get("is_confirmed") and not table.get("docs"):
        yield "docs names the page that confirms it"
    for key, choices in _CHOICES.items():
        section, _, inner = key.rpartition(".")
        value = (_table(table, section) if section else table).get(inner)
        if value not in choices:
            yield f"{key} is one of {', '.join(choices)}"
    yield from _map_faults(table)
    yield from _verifier_faults(table)


def _map_faults(table: Mapping[str, Any]) -> Iterator[str]:
    for section in ("parameters", "macros", "status_words", "extra_macros"):
        values = _table(table, section)
        if not all(isinstance(value, str) and value for value in values.values()):
            yield f"{section} takes texts"
        if section in {"parameters", "macros"}:
            yield from (f"{section}.{name} is none of our names" for name in sorted(values.keys() - set(FIELDS)))
    words = _table(table, "status_words")
    yield from (
        f"status_words.{word} is one of {', '.join(_STATUSES)}" for word in words if words[word] not in _STATUSES
    )
    if words and "status" not in {*_table(table, "parameters"), *_table(table, "macros")}:
        yield "status_words need a parameter for the status"
    if table.get("method") == "POST" and (_table(table, "macros") or _table(table, "extra_macros")):
        yield "macros are for GET"
    for address in table.get("addresses", ()):
        try:
            ip_network(address)
        except ValueError:
            yield f"addresses: {address} is no CIDR"


def _verifier_faults(table: Mapping[str, Any]) -> Iterator[str]:
    verifier, reversal = _table(table, "verifier"), _table(table, "reversal")
    match verifier.get("kind"):
        case "body1":
            needed = {"header", "encoding", "prefix"}
        case "token":
            needed = {"parameter"}
        case _:
            needed = set()
    yield from (f"verifier.{key} takes a text" for key in sorted(needed) if not isinstance(verifier.get(key), str))
    need = _REVERSAL_NEEDS.get(str(reversal.get("kind")))
    if need and not isinstance(reversal.get(need), str):
        yield f"reversal.{need} takes a text"


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = table.get(name, {})
    return found if isinstance(found, dict) else {}


def _preset(table: Mapping[str, Any]) -> Preset:
    def mapped(name: str) -> Mapping[str, Any]:
        return MappingProxyType(dict(_table(table, name)))

    return Preset(
        name=table["name"],
        title=table["title"],
        docs=table.get("docs"),
        is_confirmed=table["is_confirmed"],
        note=table["note"],
        method=table["method"],
        body=table["body"],
        addresses=tuple(table.get("addresses", ())),
        amount_unit=table["amount_unit"],
        dedupe_by=table["dedupe_by"],
        duplicates=table["duplicates"],
        verifier=mapped("verifier"),
        parameters=mapped("parameters"),
        status_words=mapped("status_words"),
        reversal=Reversal(**_table(table, "reversal")),
        answer_style=table["answers"]["style"],
        macros=mapped("macros"),
        extra_macros=mapped("extra_macros"),
    )


CATALOGUE: Mapping[str, Preset] = load(
    {path.stem: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.toml")}
)
