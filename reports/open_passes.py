"""The passes that confirm, over the items that are still open, whatever the leg. Each is set-based SQL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core import bulk
from core.database import Id, streamed
from reports import aliases
from reports.aliases import MeaningKind
from reports.match_models import MatchAlias
from reports.match_rules import Rule
from reports.matching import Leg, Pass
from reports.passes import OPEN_OURS, OPEN_THEIRS, edge_id, is_rejected, take

_CHUNK_ROWS = 5000
_NAMES = sa.String(20)

# What theirs is called by the texts on its line, made comparable.
_ALIASED = sa.Table(
    "reconciliation_aliased",
    sa.MetaData(),
    sa.Column("their_id", Id, primary_key=True),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("meaning", sa.String(255), nullable=False),
    prefixes=["TEMPORARY"],
)


def exact_id(session: Session, leg: Leg, _rule: Rule) -> None:
    """Pair what has one id: equal amounts first, then other amounts, then other currencies, which are no match."""
    same = ["scope", "reference", "currency", "amount_minor"]
    for key, matched_by in ((same, Pass.EXACT_ID), (same[:3], Pass.EXACT_ID), (same[:2], None)):
        take(session, _numbered_pairs(leg, key, key, matched_by))


def composite(session: Session, leg: Leg, rule: Rule) -> None:
    """Pair what claims one click with one amount: of one day and word, else where only one of each does so."""
    same = ["scope", "click_id", "currency", "amount_minor"]
    for word in ("event", "status"):
        take(session, _numbered_pairs(leg, [*same, "day", word], [*same, "day", "status"], Pass.COMPOSITE))
    is_near = (OPEN_THEIRS.c.day - OPEN_OURS.c.day).between(-rule.days_before, rule.days_after)
    meets = sa.and_(*(OPEN_OURS.c[name] == OPEN_THEIRS.c[name] for name in same), is_near)
    take(session, _unique_pairs(leg, meets, Pass.COMPOSITE))


def reference(session: Session, leg: Leg, _rule: Rule) -> None:
    """Pair what an alias on their line stands for: of one transaction id, or of one name, currency and amount."""
    known = _active_aliases(session, leg)
    if not known:
        return
    _ALIASED.create(session.connection())
    for chunk in _chunks(_aliased(session, leg, known)):
        bulk.insert(session, _ALIASED, chunk)
    is_aliased = sa.and_(_ALIASED.c.their_id == OPEN_THEIRS.c.id, _ALIASED.c.meaning == OPEN_OURS.c.means)
    same = sa.and_(OPEN_OURS.c.scope == OPEN_THEIRS.c.scope, OPEN_OURS.c.currency == OPEN_THEIRS.c.currency)
    by_id = sa.exists().where(is_aliased, _ALIASED.c.kind == MeaningKind.TRANSACTION).correlate(OPEN_OURS, OPEN_THEIRS)
    take(session, _unique_pairs(leg, sa.and_(same, by_id), Pass.REFERENCE))
    by_name = sa.exists().where(is_aliased, _ALIASED.c.kind != MeaningKind.TRANSACTION)
    pays = sa.and_(same, OPEN_OURS.c.amount_minor == OPEN_THEIRS.c.amount_minor)
    take(session, _unique_pairs(leg, sa.and_(pays, by_name.correlate(OPEN_OURS, OPEN_THEIRS)), Pass.REFERENCE))
    _ALIASED.drop(session.connection())


def group(session: Session, leg: Leg, _rule: Rule) -> None:
    """Pair many with one by the key that they declare, where the sums are equal; one side has one item."""
    ours, theirs = _summed(OPEN_OURS), _summed(OPEN_THEIRS)
    key = ("scope", "group_key", "currency")
    together = (
        sa.select(
            *(ours.c[name] for name in key),
            ((ours.c.number == 1) & (theirs.c.number == 1)).label("is_whole"),
            (ours.c.number == 1).label("is_one_ours"),
        )
        .join_from(ours, theirs, sa.and_(*(ours.c[name] == theirs.c[name] for name in key)))
        .where(ours.c.total == theirs.c.total, ours.c.untold == 0, sa.or_(ours.c.number == 1, theirs.c.number == 1))
        .subquery()
    )
    edge = edge_id(OPEN_OURS.c.id, OPEN_THEIRS.c.id)
    of_group = [together.c[name] for name in key]
    # The one item of its side gives every edge what the other item has.
    amount = sa.case((together.c.is_one_ours, OPEN_THEIRS.c.amount_minor), else_=OPEN_OURS.c.amount_minor)
    rejected = sa.case((is_rejected(leg, OPEN_OURS.c.id, OPEN_THEIRS.c.id), 1), else_=0)
    edges = (
        sa.select(
            OPEN_OURS.c.id.label("our_id"), OPEN_THEIRS.c.id.label("their_id"),
            amount.label("amount_minor"), OPEN_OURS.c.currency, together.c.is_whole,
            sa.func.min(edge).over(partition_by=of_group).label("group_id"),
            sa.func.sum(rejected).over(partition_by=of_group).label("rejected"),
        )
        .join_from(together, OPEN_OURS, sa.and_(*(OPEN_OURS.c[name] == together.c[name] for name in key)))
        .join(OPEN_THEIRS, sa.and_(*(OPEN_THEIRS.c[name] == together.c[name] for name in key)))
        .subquery()
    )  # fmt: skip
    chosen = sa.select(
        edges.c.our_id, edges.c.their_id, sa.literal(Pass.GROUP.value, _NAMES),
        edges.c.amount_minor, edges.c.currency, edges.c.amount_minor.label("theirs_minor"),
        edges.c.currency.label("theirs_currency"), edges.c.group_id, edges.c.is_whole,
    ).where(edges.c.rejected == 0)  # fmt: skip
    take(session, chosen)


Confirming = Callable[[Session, Leg, Rule], None]
PASSES: Mapping[Pass, Confirming] = {
    Pass.EXACT_ID: exact_id,
    Pass.COMPOSITE: composite,
    Pass.REFERENCE: reference,
    Pass.GROUP: group,
}


def _numbered_pairs(
    leg: Leg, ours_key: Sequence[str], theirs_key: Sequence[str], matched_by: Pass | None
) -> sa.Select[*tuple[Any, ...]]:
    """Return the pairs of one key, the first with the first: numbered within it by amount and id, not by arrival."""
    ours, theirs = _with_number(OPEN_OURS, ours_key), _with_number(OPEN_THEIRS, theirs_key)
    names = zip([*ours_key, "number"], [*theirs_key, "number"], strict=True)
    return _pair(ours, theirs, sa.and_(*(ours.c[mine] == theirs.c[other] for mine, other in names)), matched_by).where(
        ~is_rejected(leg, ours.c.id, theirs.c.id)
    )


def _unique_pairs(leg: Leg, meets: sa.ColumnElement[bool], matched_by: Pass) -> sa.Select[*tuple[Any, ...]]:
    """Return the pairs that meet and whose items meet no other."""
    hits = (
        sa.select(
            OPEN_OURS.c.id.label("our_id"), OPEN_THEIRS.c.id.label("their_id"),
            OPEN_OURS.c.amount_minor.label("ours_minor"), OPEN_OURS.c.currency.label("ours_currency"),
            OPEN_THEIRS.c.amount_minor.label("theirs_minor"), OPEN_THEIRS.c.currency.label("theirs_currency"),
            sa.func.count().over(partition_by=OPEN_OURS.c.id).label("of_ours"),
            sa.func.count().over(partition_by=OPEN_THEIRS.c.id).label("of_theirs"),
        )
        .join_from(OPEN_OURS, OPEN_THEIRS, meets)
        .where(~is_rejected(leg, OPEN_OURS.c.id, OPEN_THEIRS.c.id))
        .subquery()
    )  # fmt: skip
    return sa.select(
        hits.c.our_id, hits.c.their_id, sa.literal(matched_by.value, _NAMES),
        hits.c.ours_minor, hits.c.ours_currency, hits.c.theirs_minor, hits.c.theirs_currency,
    ).where(hits.c.of_ours == 1, hits.c.of_theirs == 1)  # fmt: skip


def _pair(
    ours: sa.FromClause, theirs: sa.FromClause, together: sa.ColumnElement[bool], matched_by: Pass | None
) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(
        ours.c.id, theirs.c.id, sa.literal(matched_by and matched_by.value, _NAMES),
        ours.c.amount_minor, ours.c.currency, theirs.c.amount_minor, theirs.c.currency,
    ).join_from(ours, theirs, together)  # fmt: skip


def _with_number(items: sa.Table, key: Sequence[str]) -> sa.Subquery:
    # NULL amounts first, said in so many words: the two databases disagree on where they sort.
    order = [items.c.currency, sa.case((items.c.amount_minor.is_(None), 0), else_=1), items.c.amount_minor, items.c.id]
    number = sa.func.row_number().over(partition_by=[items.c[name] for name in key], order_by=order)
    names = {"id", "currency", "amount_minor", *key}
    is_whole = [items.c[name].is_not(None) for name in key if name != "amount_minor"]
    return sa.select(*(items.c[name] for name in sorted(names)), number.label("number")).where(*is_whole).subquery()


def _summed(items: sa.Table) -> sa.Subquery:
    key = [items.c.scope, items.c.group_key, items.c.currency]
    untold = sa.func.sum(sa.case((items.c.amount_minor.is_(None), 1), else_=0))
    return (
        sa.select(
            *key,
            sa.func.count().label("number"),
            sa.cast(sa.func.sum(items.c.amount_minor), sa.BigInteger).label("total"),
            untold.label("untold"),
        )
        .where(items.c.group_key.is_not(None))
        .group_by(*key)
        .subquery()
    )


def _active_aliases(session: Session, leg: Leg) -> dict[tuple[str, str], tuple[str, str]]:
    columns = (MatchAlias.scope, MatchAlias.alias, MatchAlias.meaning_kind, MatchAlias.meaning)
    rows = session.execute(sa.select(*columns).where(MatchAlias.leg == leg, MatchAlias.state == "active"))
    return {(row.scope, row.alias): (row.meaning_kind, row.meaning) for row in rows}


def _aliased(session: Session, leg: Leg, known: Mapping[tuple[str, str], tuple[str, str]]) -> Iterator[dict[str, str]]:
    columns = (OPEN_THEIRS.c[name] for name in ("id", "alias_scope", "reference", "named", "text"))
    for row in streamed(session, sa.select(*columns)):
        if leg is Leg.NETWORK:
            alias = aliases.normalised_id(row.reference or "")
        else:
            alias = aliases.of_bank_line(row.named, row.text or "")
        found = known.get((row.alias_scope or "", alias)) or known.get(("", alias))
        if alias and found:
            yield {"their_id": row.id, "kind": found[0], "meaning": found[1]}


def _chunks(rows: Iterator[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    chunk: list[dict[str, str]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
