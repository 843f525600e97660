"""The way of most postbacks on SQLite: new, plain, and written by the event loop in one transaction for the batch.

As `quick_recording` does on PostgreSQL; what is not new, or whose source has moved on, is left to `recording`.
"""

import json
from collections.abc import Callable, Mapping, Sequence

from core import bulk
from core.async_sqlite import Statements
from core.database import table_of
from core.runtime import Runtime
from postback import quick_recording, recording, repeating
from postback.beliefs import Belief, Recorded
from postback.models import Conversion, ConversionEvent, Receipt
from postback.quick_recording import Click

_REVISIONS = "SELECT id, revision FROM sources WHERE id IN (SELECT value FROM json_each(?))"
_CLICKS = f"{quick_recording.CLICKS} IN (SELECT value FROM json_each(?))"  # noqa: S608 - our own text
# Each pair is [source, transaction].
_TAKEN_BACK = """
SELECT DISTINCT conversions.source_id, conversions.transaction_id FROM json_each(?) AS told
JOIN conversions ON conversions.source_id = json_extract(told.value, '$[0]')
AND conversions.transaction_id = json_extract(told.value, '$[1]')
WHERE conversions.state = 'reversed'
"""


async def record(
    runtime: Runtime,
    statements: Statements,
    beliefs: Sequence[Belief],
    revisions: Mapping[str, int],
    ring: Callable[[str], None],
) -> dict[int, Recorded]:
    """Record those `beliefs` whose key is new and whose source stands at its revision; return them by identity."""
    dialect = runtime.engine.dialect
    done = []
    async with statements.writing() as cursor:
        standing = dict(cursor.execute(_REVISIONS, [json.dumps([*revisions])]).fetchall())
        good = [
            belief
            for belief in beliefs
            if standing.get(belief.attempt.source_id) == revisions[belief.attempt.source_id]
        ]
        if pairs := repeating.may_be_taken_back(good):
            # What is held because its refund came first, `recording` says.
            taken_back = set(cursor.execute(_TAKEN_BACK, [json.dumps(pairs)]).fetchall())
            good = [belief for belief in good if repeating.transaction_of(belief) not in taken_back]
        found = cursor.execute(_CLICKS, [json.dumps(sorted({belief.claim.click_id for belief in good}))])
        clicks = {row[1]: Click.of_sqlite(row) for row in found}
        made = quick_recording.made_of(runtime, good, clicks)
        inserted: set[str] = set()
        if made:
            rows = [new.row for _, new in made]
            for statement, values in bulk.new_for_sqlite(
                table_of(Conversion), rows, dialect, key=("source_id", "dedupe_key")
            ):
                inserted.update(row[0] for row in cursor.execute(statement, values).fetchall())
        done = [(belief, new) for belief, new in made if new.row["id"] in inserted]
        if done:
            events = [recording.first_event(new) for _, new in done]
            kept = [quick_recording.receipt(belief, new) for belief, new in done]
            cursor.executemany(*bulk.for_sqlite(table_of(ConversionEvent), events, dialect))
            cursor.executemany(*bulk.for_sqlite(table_of(Receipt), kept, dialect))
    return quick_recording.told(done, ring)
