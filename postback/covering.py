"""Which of our own fields a source's proof covers: what category rules and approval policies may ask."""

from collections.abc import Collection, Mapping
from functools import lru_cache

from postback.content import FIELDS

# In place of all names: most sources sign everything, and each conversion of theirs would repeat it.
EVERYTHING = "*"
_JOINT = " "


def written(covered: Collection[str] | None, names: Mapping[str, str], *, has_seams: bool) -> str:
    """Return the covered ones of our fields as a conversion keeps them; `names` are the network's names by ours.

    `covered` are the network's names, None for all. Without seams between the values none of them is sure by itself: a
    character of one may be moved into its neighbour under the same hash.
    """
    if covered is None:
        return EVERYTHING
    return _JOINT.join(ours for ours, theirs in names.items() if has_seams and theirs in covered)


@lru_cache(maxsize=256)
def fields(text: str) -> frozenset[str]:
    """Return the fields of ours that `text`, as a conversion keeps it, says."""
    return frozenset(FIELDS) if text == EVERYTHING else frozenset(text.split(_JOINT) if text else ())
