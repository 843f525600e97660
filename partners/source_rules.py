"""What a source's settings may be, beyond what one field alone can say: each rule names every fault at once."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.errors import Fault
from partners import allowlist

PRESET = "preset"
TOKEN = "token"  # noqa: S105 - the name of a scheme
SCHEMES = ("pb1", "sw1", "stripe1", "body1", TOKEN)
DUPLICATES = ("ignore", "update_status", "update_amount", "update", "add_event")
MEANINGS = ("approved", "pending", "rejected", "refunded", "charged_back", "ignored")
REVERSALS = ("none", "status", "prefix", "negative", "reference")
ANSWERS = ("json", "ok", "gif", "empty", "always_200")
AMOUNT_UNITS = ("major", "minor")
WORDS_MAX = 100
WORD_LENGTH_MAX = 40
# What a postback can tell us, in our own words; a network may call each by another name.
PARAMETERS = (
    *("click_id", "transaction_id", "payout", "amount", "currency", "event", "status", "occurred_at", "ts"),
    *("sub1", "sub2", "sub3", "sub4", "sub5"),
)

# pb1 signs a query whose names are these alone (postback's canonical form); others may name things more freely.
_PB1_NAME = re.compile(r"(?!sig$)[a-z0-9_]{1,40}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,60}", re.ASCII)
_HEADER = re.compile(r"[a-z0-9-]{1,60}", re.ASCII)
_PREFIX = re.compile(r"[!-~]{0,20}", re.ASCII)
_ENCODINGS = ("hex", "base64")
_BODIES = ("json", "form")
_TOKEN_PLACES = ("query", "path")
# The options of each scheme, with what counts when one is left out; None must be given.
_OPTIONS: Mapping[str, Mapping[str, str | None]] = {
    "pb1": {},
    "sw1": {},
    "stripe1": {"header": "stripe-signature"},
    "body1": {"header": None, "encoding": "hex", "prefix": "", "body": "json"},
    TOKEN: {"in": "query", "parameter": "token", "body": "query"},
    PRESET: {},
}


def with_defaults(scheme: str, options: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a source with those that were left out; header names in lower case."""
    whole = {name: value for name, value in _OPTIONS[scheme].items() if value is not None} | dict(options)
    if whole.get("in") == "path":
        # A token behind the source in the path is in no parameter.
        whole = {name: value for name, value in whole.items() if name != "parameter"}
    if "header" in whole:
        whole["header"] = whole["header"].lower()
    return whole


def option_faults(scheme: str, options: Mapping[str, str]) -> list[Fault]:
    """Return everything wrong with the options of `scheme`."""
    known = _OPTIONS[scheme]
    found = [Fault(f"options.{name}", f"says nothing under {scheme}") for name in options if name not in known]
    whole = with_defaults(scheme, {name: value for name, value in options.items() if name in known})
    is_in_path = whole.get("in") == "path"
    if is_in_path and "parameter" in options:
        found.append(Fault("options.parameter", "says nothing about a token in the path"))
    needed = [name for name in known if not (is_in_path and name == "parameter")]
    found += [Fault(f"options.{name}", f"is needed under {scheme}") for name in needed if name not in whole]
    bodies = (*_BODIES, "query") if scheme == TOKEN else _BODIES
    checks: dict[str, Callable[[str], object]] = {
        "header": _HEADER.fullmatch,
        "encoding": _ENCODINGS.__contains__,
        "prefix": _PREFIX.fullmatch,
        "body": bodies.__contains__,
        "in": _TOKEN_PLACES.__contains__,
        "parameter": _NAME.fullmatch,
    }
    takes = {
        "header": "takes the name of a header",
        "encoding": "takes hex or base64",
        "prefix": "takes up to 20 printable characters",
        "body": "takes json or form",
        "in": "takes query or path",
        "parameter": "takes the name of a parameter",
    }
    found += [Fault(f"options.{name}", takes[name]) for name, value in whole.items() if not checks[name](value)]
    return found


def allowlist_faults(cidrs: Sequence[str], *, is_static: bool) -> list[Fault]:
    """Return everything wrong with an allowlist; where a static secret is all the proof there is, one is needed.

    `is_static` is one rule for whatever proves itself by a value in clear, ours or the network's own.
    """
    found = allowlist.faults(cidrs)
    if is_static and not cidrs:
        reason = (
            "is needed: a static secret can be copied by whoever sees it. 0.0.0.0/0 and ::/0 say that every address may"
        )
        found.append(Fault("allowlist", reason))
    return found


def parameter_faults(scheme: str, parameters: Mapping[str, str]) -> list[Fault]:
    """Return everything wrong with the network's names of our parameters."""
    found = []
    pattern = _PB1_NAME if scheme == "pb1" else _NAME
    for ours, theirs in parameters.items():
        if ours not in PARAMETERS:
            found.append(Fault(f"parameters.{ours}", f"is not one of ours; these are: {', '.join(PARAMETERS)}"))
        if not pattern.fullmatch(theirs):
            found.append(Fault(f"parameters.{ours}", f"{theirs!r} cannot be a parameter's name under {scheme}"))
    return found


def word_faults(words: Mapping[str, str]) -> list[Fault]:
    """Return everything wrong with what a network's status words mean."""
    if len(words) > WORDS_MAX:
        return [Fault("status_words", f"takes at most {WORDS_MAX} words")]
    found = []
    for word, meaning in words.items():
        if not (0 < len(word) <= WORD_LENGTH_MAX and word.isprintable()):
            found.append(Fault("status_words", f"takes words of 1 to {WORD_LENGTH_MAX} printable characters"))
        if meaning not in MEANINGS:
            found.append(Fault(f"status_words.{word}", f"means one of: {', '.join(MEANINGS)}"))
    return found


def reversal_faults(reversal: Mapping[str, Any]) -> list[Fault]:
    """Return everything wrong with how a source's reversals are known."""
    kind = reversal.get("kind")
    if kind not in REVERSALS:
        return [Fault("reversal.kind", f"takes one of: {', '.join(REVERSALS)}")]
    needed = {"prefix": "prefix", "reference": "parameter"}.get(kind)
    found = [
        Fault(f"reversal.{name}", f"says nothing beside {kind}") for name in reversal if name not in {"kind", needed}
    ]
    if needed is not None:
        value = reversal.get(needed)
        pattern = _PREFIX if needed == "prefix" else _NAME
        if not isinstance(value, str) or not value or not pattern.fullmatch(value):
            found.append(Fault(f"reversal.{needed}", f"is needed beside {kind}"))
    return found
