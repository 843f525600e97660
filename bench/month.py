"""A month of conversions and its network's report, seeded, as large as asked, with every difference in it known.

For a million conversions there are 1,005,000 lines: 1 % of the conversions are missing at the network, as many lines at
us, 1 % differ in amount, 3 % of the lines name the click alone, and 0.5 % come twice.
"""

import csv
import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from itertools import islice
from typing import Any, NamedTuple, TextIO

from bench import filling
from bench.scene import Scene

PERIOD = "2026-10"
CURRENCY = "EUR"
SEED = 20_261_001
_START = datetime(2026, 10, 1, tzinfo=UTC)
_LENGTH_S = 31 * 86_400
_CHUNK_ROWS = 50_000
_OFF_MINOR_MAX = 500


class Kind(IntEnum):
    """What is so about one conversion, or about one line that is no conversion of ours."""

    SAME = 0
    MISSING_AT_NETWORK = 1
    AMOUNT_DIFFERS = 2
    WITHOUT_ID = 3  # its line names the click alone, with the same amount
    DUPLICATE = 4  # its line stands twice in the report, letter by letter
    MISSING_AT_US = 5


PER_MILLE = {
    Kind.MISSING_AT_NETWORK: 10,
    Kind.AMOUNT_DIFFERS: 10,
    Kind.WITHOUT_ID: 30,
    Kind.DUPLICATE: 5,
    Kind.MISSING_AT_US: 10,
}
HEADER = ("Conversion", "Transaction ID", "Click", "Payout", "Currency", "Status", "Date")
MAPPING: dict[str, Any] = {
    "transaction_id": "Transaction ID",
    "click_id": "Click",
    "amount": "Payout",
    "currency": "Currency",
    "status": "Status",
    "occurred_on": {"column": "Date", "format": "%Y-%m-%d %H:%M:%S", "timezone": "UTC"},
}


class Case(NamedTuple):
    """One conversion with its lines. `ours_minor` is None without a conversion, `theirs_minor` without a line."""

    number: int  # from 1, in order of time
    kind: Kind
    transaction_id: str
    click_id: str
    ours_minor: int | None
    theirs_minor: int | None
    occurred_at: datetime

    @property
    def conversion_id(self) -> str:
        """The id of our conversion."""
        return f"cnv_01k{self.number:023}"


class Line(NamedTuple):
    """One line of the report."""

    number: int  # of the file's line: the header is the first
    transaction_id: str | None
    click_id: str
    amount_minor: int
    occurred_at: datetime


@dataclass(frozen=True)
class Truth:
    """What a reconciliation of the month has to find: counts."""

    conversions: int
    lines: int
    by_exact_id: int  # pairs, those of another amount among them
    by_click: int
    amounts_differ: int
    missing_at_network: int
    missing_at_us: int
    duplicate_at_network: int


def truth(conversions: int) -> Truth:
    """Return what is to be found in a month of `conversions`."""
    count = _counts(conversions)
    paired = count[Kind.SAME] + count[Kind.AMOUNT_DIFFERS] + count[Kind.DUPLICATE]
    return Truth(
        conversions=conversions,
        lines=paired + count[Kind.WITHOUT_ID] + count[Kind.DUPLICATE] + count[Kind.MISSING_AT_US],
        by_exact_id=paired,
        by_click=count[Kind.WITHOUT_ID],
        amounts_differ=count[Kind.AMOUNT_DIFFERS],
        missing_at_network=count[Kind.MISSING_AT_NETWORK],
        missing_at_us=count[Kind.MISSING_AT_US],
        duplicate_at_network=count[Kind.DUPLICATE],
    )


def cases(conversions: int, *, seed: int = SEED) -> Iterator[Case]:
    """Yield the month in order of time; the same size and seed give the same month."""
    chance = random.Random(seed)
    kinds = bytearray(b"".join(bytes([kind]) * count for kind, count in sorted(_counts(conversions).items())))
    chance.shuffle(kinds)
    step = timedelta(seconds=_LENGTH_S / (len(kinds) + 1))
    for number, kind in enumerate(map(Kind, kinds), 1):
        ours = chance.randint(100, 20_000)
        off = chance.choice((-1, 1)) * chance.randint(1, min(_OFF_MINOR_MAX, ours - 1))
        mark = f"{chance.getrandbits(64):016x}"
        yield Case(
            number,
            kind,
            f"TXN-{mark}-{number:07}",
            f"{mark[::-1]}{number:010}",
            None if kind is Kind.MISSING_AT_US else ours,
            _theirs(kind, ours, off),
            (_START + step * number).replace(microsecond=0),
        )


def lines(found: Iterable[Case]) -> Iterator[Line]:
    """Yield the report's lines of `found`, in its order."""
    number = 1
    for case in found:
        if case.theirs_minor is None:
            continue
        transaction_id = None if case.kind is Kind.WITHOUT_ID else case.transaction_id
        for _ in range(2 if case.kind is Kind.DUPLICATE else 1):
            number += 1
            yield Line(number, transaction_id, case.click_id, case.theirs_minor, case.occurred_at)


def write_report(file: TextIO, found: Iterable[Case]) -> int:
    """Write the report as CSV that MAPPING reads; return how many lines it has without the header."""
    writer, count = csv.writer(file), 0
    writer.writerow(HEADER)
    for line in lines(found):
        count += 1
        amount = f"{line.amount_minor // 100}.{line.amount_minor % 100:02}"
        when = f"{line.occurred_at:%Y-%m-%d %H:%M:%S}"
        writer.writerow((line.number, line.transaction_id, line.click_id, amount, CURRENCY, "approved", when))
    return count


def fill(url: str, scene: Scene, conversions: int, *, seed: int = SEED) -> str:
    """Store the month's conversions and the report's lines in a fresh database; return the statement's id.

    The conversions are `recorded`, of the scene's source, campaign and affiliate, and have no stored clicks.
    """
    statement_id = f"stm_01k{0:023}"
    with filling.opened(url) as connection:
        _store(connection, "conversions", _CONVERSION, (_conversion(case, scene) for case in _ours(conversions, seed)))
        _store(connection, "statements", _STATEMENT, [_statement(scene, statement_id, truth(conversions).lines)])
        theirs = lines(cases(conversions, seed=seed))
        _store(connection, "network_lines", _LINE, (_network_line(line, scene, statement_id) for line in theirs))
        connection.execute("ANALYZE")
    return statement_id


def _counts(conversions: int) -> Counter[Kind]:
    counts = Counter({kind: conversions * share // 1000 for kind, share in PER_MILLE.items()})
    counts[Kind.SAME] = conversions - sum(count for kind, count in counts.items() if kind is not Kind.MISSING_AT_US)
    return counts


def _theirs(kind: Kind, ours: int, off: int) -> int | None:
    if kind is Kind.MISSING_AT_NETWORK:
        return None
    return ours + off if kind is Kind.AMOUNT_DIFFERS else ours


def _ours(conversions: int, seed: int) -> Iterator[Case]:
    return (case for case in cases(conversions, seed=seed) if case.ours_minor is not None)


_CONVERSION = (
    "id", "source_id", "dedupe_key", "content_sha256", "receipt_id", "transaction_id", "claimed_click_id",
    "campaign_id", "affiliate_id", "event", "payout_minor", "currency", "occurred_at", "recorded_at", "subs",
    "assurance", "state",
)  # fmt: skip
_STATEMENT = (
    "id", "kind", "source_id", "period", "format", "file_name", "file_sha256", "lines", "new", "repeated", "rejected",
    "imported_at", "imported_by",
)  # fmt: skip
_LINE = (
    "id", "statement_id", "source_id", "line_key", "line_number", "transaction_id", "claimed_click_id", "amount_minor",
    "currency", "status_word", "occurred_on", "period",
)  # fmt: skip


def _conversion(case: Case, scene: Scene) -> tuple[Any, ...]:
    moment = f"{case.occurred_at:%Y-%m-%d %H:%M:%S}.000000"
    return (
        case.conversion_id, scene.source_id, case.transaction_id, _sha256(case.transaction_id),
        f"rcp_01k{case.number:023}", case.transaction_id, case.click_id, scene.campaign_id, scene.affiliate_id, "sale",
        case.ours_minor, CURRENCY, moment, moment, "{}", "A", "recorded",
    )  # fmt: skip


def _statement(scene: Scene, statement_id: str, count: int) -> tuple[Any, ...]:
    moment = "2026-11-01 06:00:00.000000"
    return (
        statement_id, "network", scene.source_id, PERIOD, "csv", "october.csv", _sha256("october"), count, count, 0,
        "[]", moment, "bench",
    )  # fmt: skip


def _network_line(line: Line, scene: Scene, statement_id: str) -> tuple[Any, ...]:
    return (
        f"nln_01k{line.number:023}", statement_id, scene.source_id, _sha256(str(line.number)), line.number,
        line.transaction_id, line.click_id, line.amount_minor, CURRENCY, "approved",
        f"{line.occurred_at:%Y-%m-%d}", PERIOD,
    )  # fmt: skip


def _store(connection: Any, table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> None:
    if not hasattr(connection, "executemany"):
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    rest = iter(rows)
    while chunk := list(islice(rest, _CHUNK_ROWS)):
        connection.execute("BEGIN")
        connection.executemany(statement, chunk)
        connection.execute("COMMIT")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
