"""Which places of a campaign's destination a click fills in, and where they may stand."""

import re
from urllib.parse import SplitResult, urlsplit

from core.errors import Fault

SUBS = ("sub1", "sub2", "sub3", "sub4", "sub5")
PLACEHOLDERS = ("click_id", "affiliate_id", *SUBS)
PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")

URL_LENGTH_MAX = 2000
_ALLOWED = re.compile(r"[!-~]+")  # printable ASCII without the space: all that may stand in a Location header
_NEVER = frozenset('"<>\\^`|')  # browsers and proxies read these differently


def faults(url: str, field: str = "destination_url") -> list[Fault]:
    """Return everything wrong with a destination such as `https://shop.example/?cid={click_id}`."""
    if not _ALLOWED.fullmatch(url) or _NEVER & set(url) or len(url) > URL_LENGTH_MAX:
        return [Fault(field, f"takes at most {URL_LENGTH_MAX} ASCII characters of a URL; encode others as %HH")]
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for one that is no number
    except ValueError as error:
        return [Fault(field, f"is no URL: {error}")]
    found = []
    if parts.scheme not in {"http", "https"}:
        found.append(Fault(field, "begins with http:// or https://"))
    if not parts.hostname:
        found.append(Fault(field, "names no host"))
    if "@" in parts.netloc:
        found.append(Fault(field, "carries a user name or password"))
    return found + _placeholder_faults(url, parts, field)


def _placeholder_faults(url: str, parts: SplitResult, field: str) -> list[Fault]:
    names = PLACEHOLDER.findall(url)
    found = [
        Fault(field, f"has the unknown placeholder {{{name}}}; these are known: {', '.join(PLACEHOLDERS)}")
        for name in sorted(set(names) - set(PLACEHOLDERS))
    ]
    if {"{", "}"} & set(PLACEHOLDER.sub("", url)):
        found.append(Fault(field, "has a brace that belongs to no placeholder"))
    # A visitor chooses the subs: in the host they would send our redirect anywhere, and `..` in the path past it.
    if PLACEHOLDER.search(parts.netloc):
        found.append(Fault(field, "has a placeholder in its host"))
    if set(SUBS) & set(PLACEHOLDER.findall(parts.path)):
        found.append(Fault(field, "has a sub in its path; subs stand behind the question mark"))
    return found
