"""Which characters a format carries: what has a plain Latin form gets it, anything else is a fault and never a gap."""

import re
import unicodedata

# The Latin characters every bank of the SEPA scheme takes (EPC217-08).
SEPA = re.compile(r"[A-Za-z0-9/\-?:().,'+ ]")
# What a NACHA file may hold (Operating Rules, appendix on data specifications).
NACHA = re.compile(r"[A-Za-z0-9 .,/()&'\-#*$%@!?:]")
_OWN_FORMS = str.maketrans(
    {
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
        "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "n", "Ŋ": "N",
        "’": "'", "‘": "'", "`": "'", "´": "'", "“": " ", "”": " ", "„": " ", "–": "-", "—": "-",
    }
)  # fmt: skip


def latin(text: str, taken: re.Pattern[str]) -> str:
    """Return `text` in the characters of `taken`: letters lose their marks, other signs become a space."""
    return "".join(each if taken.fullmatch(each) else " " for each in _plain(text)).strip()


def lost(text: str, taken: re.Pattern[str]) -> list[str]:
    """Return the letters and digits of `text` that would be lost, each once, in order: a name must stay a name."""
    return sorted({each for each in _plain(text) if each.isalnum() and not taken.fullmatch(each)})


def reason(text: str, taken: re.Pattern[str], format_name: str) -> str | None:
    """Return why a name cannot stand in a file, None when it can."""
    if gone := lost(text, taken):
        return f"has letters that {format_name} cannot carry: {' '.join(gone[:10])}"
    return None if any(each.isalnum() for each in latin(text, taken)) else "needs a letter or digit"


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.translate(_OWN_FORMS))
    return "".join(each for each in decomposed if not unicodedata.combining(each))
