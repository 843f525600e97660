"""Who may confirm that a closed month is opened again: another person of finance, who did not close it if possible."""

from collections.abc import Collection
from enum import StrEnum


class NotYours(StrEnum):
    """Why a person may not confirm a reopening, in the order the rules run."""

    ASKED = "asked"
    CLOSED = "closed"


SENTENCES = {
    NotYours.ASKED: "whoever asked for it does not confirm it: another person of finance does",
    NotYours.CLOSED: "whoever closed the month does not confirm it while another person of finance can",
}


def refusal(*, confirms: str, asked: str, closed: str | None, finance: Collection[str]) -> NotYours | None:
    """Return why the person `confirms` may not confirm, None when he may.

    `finance` are the people who may sign in and have the role. Whoever closed the month looks at his own work, so he
    confirms only where nobody else is left: in a house with two people of finance one of them has closed it.
    """
    if confirms == asked:
        return NotYours.ASKED
    if confirms == closed and set(finance) - {asked, confirms}:
        return NotYours.CLOSED
    return None
