"""The month that imports and matching are measured on: what is said to be in it is in it."""

import io
import itertools
from collections import Counter

import sqlalchemy as sa

from bench import month
from bench.month import Truth
from bench.scene import Scene
from core.runtime import Runtime
from reports import report_reading
from reports.csv_report import NetworkRow

ROWS = 1000
SCENE = Scene("src_1", "sec_1", (), "cmp_1", "aff_1", b"")


def test_the_report_of_a_month_is_read_whole_and_differs_from_ours_exactly_as_said() -> None:
    found = list(month.cases(ROWS))
    file = io.StringIO()

    count = month.write_report(file, found)

    rows = list(report_reading.read(io.BytesIO(file.getvalue().encode()), month.MAPPING))
    ours = {case.transaction_id: case.ours_minor for case in found if case.ours_minor is not None}
    by_click = {case.click_id: case.ours_minor for case in found if case.ours_minor is not None}
    theirs = Counter(row.transaction_id for row in rows if isinstance(row, NetworkRow))
    named = {row.transaction_id: row.amount_minor for row in rows if isinstance(row, NetworkRow) and row.transaction_id}
    clicks = [row for row in rows if isinstance(row, NetworkRow) and row.transaction_id is None]
    assert count == len(rows) == 1005
    assert Truth(
        conversions=len(ours),
        lines=len(rows),
        by_exact_id=len(ours.keys() & named.keys()),
        by_click=sum(by_click[str(row.click_id)] == row.amount_minor for row in clicks),
        amounts_differ=sum(ours[name] != named[name] for name in ours.keys() & named.keys()),
        missing_at_network=len(ours) - len(ours.keys() & named.keys()) - len(clicks),
        missing_at_us=len(named.keys() - ours.keys()),
        duplicate_at_network=sum(theirs[name] - 1 for name in named),
    ) == month.truth(ROWS)
    assert list(itertools.islice(month.cases(ROWS), 50)) == found[:50]
    assert list(month.cases(ROWS, seed=1)) != found


def test_a_month_is_stored_on_both_databases(runtime: Runtime) -> None:
    address = runtime.engine.url
    url = address.set(drivername=address.get_backend_name()).render_as_string(hide_password=False)

    statement_id = month.fill(url, SCENE, ROWS)

    joined = (
        "SELECT count(*) FROM conversions AS c JOIN network_lines AS l ON l.source_id = c.source_id"
        " AND l.transaction_id = c.transaction_id AND l.amount_minor = c.payout_minor"
        " AND substr(CAST(c.occurred_at AS text), 1, 10) = CAST(l.occurred_on AS text)"
        " AND l.statement_id = :statement_id AND l.period = :period"
    )
    with runtime.reading() as session:
        stored = session.execute(sa.text("SELECT count(*) FROM conversions")).scalar_one()
        same = session.execute(sa.text(joined), {"statement_id": statement_id, "period": month.PERIOD}).scalar_one()
    assert stored == 1000
    # Every line that has an id and our amount, the duplicates twice.
    assert same == 1000 - 10 - 10 - 30 + 5
