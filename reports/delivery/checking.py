"""What a schedule may ask for, and every fault of one that asks for something else."""

import re
from collections.abc import Mapping, Sequence

from core.errors import Fault

RECIPIENTS_MAX = 20
FOLDER_LENGTH_MAX = 100
# What HTML's input of type email takes: nothing in it can end a header or begin another.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,189}", re.ASCII)
# No part begins with a dot: neither up and away, nor hidden.
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,3}", re.ASCII)


def faults(
    *,
    reports: Sequence[str],
    formats: Sequence[str],
    recipients: Sequence[str],
    folder: str | None,
    offered: Mapping[str, Sequence[str]],
) -> list[Fault]:
    """Return every fault of what a schedule asks for; `offered` are the reports there are, with their formats."""
    found = []
    if unknown := sorted(set(reports) - set(offered)):
        found.append(Fault("reports", f"{', '.join(unknown)}: there are {', '.join(offered)}"))
    known = sorted({form for forms in offered.values() for form in forms})
    if unknown := sorted(set(formats) - set(known)):
        found.append(Fault("formats", f"{', '.join(unknown)}: there are {', '.join(known)}"))
    found += [
        Fault("formats", f"{name} comes as {', '.join(offered[name])}")
        for name in reports
        if name in offered and not set(formats) & set(offered[name])
    ]
    for name, values in (("reports", reports), ("formats", formats)):
        if not values:
            found.append(Fault(name, "at least one is needed"))
        if len(set(values)) < len(values):
            found.append(Fault(name, "names one twice"))
    wrong = [str(number) for number, address in enumerate(recipients, 1) if not _ADDRESS.fullmatch(address)]
    if wrong:
        found.append(Fault("recipients", f"number {', '.join(wrong)} is not an e-mail address"))
    if len({address.lower() for address in recipients}) < len(recipients):
        found.append(Fault("recipients", "names one twice"))
    if len(recipients) > RECIPIENTS_MAX:
        found.append(Fault("recipients", f"{RECIPIENTS_MAX} at most"))
    if folder is not None and (len(folder) > FOLDER_LENGTH_MAX or not _FOLDER.fullmatch(folder)):
        found.append(
            Fault("folder", "takes up to four names of letters, digits, dots, _ and -, none beginning with a dot")
        )
    return found


def files(
    reports: Sequence[str], formats: Sequence[str], offered: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """Return which files a schedule makes: each report in those of its formats that were asked for, in order."""
    return [(name, form) for name in reports for form in formats if form in offered[name]]
