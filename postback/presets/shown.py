"""A preset as the API shows it, with what a source of it still needs."""

from typing import Any

from postback.presets.catalogue import Preset
from postback.schemes.vendors import SIGNED_ADDRESSES


def shown(preset: Preset, postback_url: str) -> dict[str, Any]:
    """Return `preset` as plain JSON; `postback_url` stands for the address that a source will have."""
    return {
        "name": preset.name,
        "scheme": f"preset:{preset.name}",
        "title": preset.title,
        "docs": preset.docs,
        "is_confirmed": preset.is_confirmed,
        "note": preset.note,
        "method": preset.method,
        "assurance": preset.assurance,
        "covered_fields": None if preset.covered is None else list(preset.covered),
        "secret_from": "us" if preset.is_secret_ours else "network",
        "addresses": list(preset.addresses),
        "parameters": dict(preset.parameters),
        "status_words": dict(preset.status_words),
        "amount_unit": preset.amount_unit,
        "dedupe_by": preset.dedupe_by,
        "duplicates": preset.duplicates,
        "reversal": preset.reversal.kind,
        "answers": preset.answer_style,
        "url_template": preset.url_template(postback_url),
        "needs": [{"setting": setting, "why": why} for setting, why in needs(preset)],
    }


def needs(preset: Preset) -> list[tuple[str, str]]:
    """Return what a source of `preset` is refused without, or believes nothing useful: the setting, and why.

    A static secret takes an allowlist, which the network's published addresses fill where there are any.
    """
    told = preset.parameters.keys()
    wanted = [
        ("secret", "the network makes it and shows it in its own dashboard", not preset.is_secret_ours),
        (
            "allowlist",
            "its proof is sent in clear, and its addresses are not published",
            preset.is_static and not preset.addresses,
        ),
        ("default_currency", "the network sends no currency", "currency" not in told),
        ("parameters.click_id", "where the network puts the click id is not known", "click_id" not in told),
        ("url_template", _without_macros(preset), preset.kind == "token" and bool(_unknown_macros(preset))),
        (
            "PUBLIC_URL",
            "the network signs the address it calls: this setting is what is entered there, to the letter",
            preset.kind in SIGNED_ADDRESSES,
        ),
    ]
    return [(setting, why) for setting, why, is_needed in wanted if is_needed]


def _unknown_macros(preset: Preset) -> list[str]:
    return sorted(theirs for ours, theirs in preset.parameters.items() if ours not in preset.macros)


def _without_macros(preset: Preset) -> str:
    names = ", ".join(_unknown_macros(preset))
    return f"the network's macros are not known: put its own into the URL for {names}"
