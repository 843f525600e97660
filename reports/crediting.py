"""Which credit pays which remittance: the passes, as one decision over plain values."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from reports.matching import Pass
from reports.remitting import Credit, Named, Owed, Paid, charge_limit

# How far from its due day a credit of the right amount is suggested; without one, how long after its month began.
SUGGESTED_BEFORE = timedelta(days=7)
SUGGESTED_AFTER = timedelta(days=45)
SUGGESTED_WITHIN = timedelta(days=150)
_SCORE_MAX, _SCORE_MIN, _SCORE_OF_SUM = 95, 40, 60


def allocate(
    owed: Sequence[Owed],
    credits_: Sequence[Credit],
    named: Iterable[Named],
    *,
    rejected: Collection[tuple[str, str]] = (),
    charge_max: Decimal,
) -> list[list[Paid]]:
    """Return groups of payments that were decided together, confirmed ones in the order of the passes.

    Earlier passes win: the reference in its own field, the reference in the text, a source known by its alias with
    one amount, then with the sum of several remittances. A confirmed credit is given away whole: its parts sum to it.
    Amount and day alone, and sums without an alias, are suggested when nothing else fits either side. A pair
    of (remittance, credit) in `rejected` is never made. The order of the arguments changes nothing.
    """
    table = _Table(owed, credits_, set(rejected), charge_max)
    by_pass: dict[Pass, dict[str, set[str]]] = {Pass.EXACT_ID: defaultdict(set), Pass.REFERENCE: defaultdict(set)}
    for each in named:
        by_pass[each.by][each.credit_id].add(each.remittance_id)
    for by, named_by in by_pass.items():
        _by_name(table, by, named_by)
    _by_alias(table)
    _by_sum(table)
    return table.groups + _suggestions(table)


class _Table:
    """What is left of both sides while the passes go over it."""

    def __init__(
        self, owed: Sequence[Owed], credits_: Sequence[Credit], rejected: set[tuple[str, str]], charge_max: Decimal
    ) -> None:
        self.owed = {each.id: each for each in sorted(owed, key=lambda each: (each.period, each.id))}
        self.left = {each.id: each.left_minor for each in self.owed.values()}
        self.free = {each.id: each for each in sorted(credits_, key=lambda each: (each.booked_on, each.id))}
        self.groups: list[list[Paid]] = []
        self.charge_max = charge_max
        self._rejected = rejected

    def open_for(self, credit: Credit, ids: Iterable[str]) -> list[Owed]:
        """Return those of `ids` that the credit may pay: owed still, in its currency, and not said to be another's."""
        return [
            self.owed[id_]
            for id_ in sorted(set(ids) & self.owed.keys(), key=lambda id_: (self.owed[id_].period, id_))
            if self.left[id_] > 0
            and self.owed[id_].currency == credit.currency
            and (id_, credit.id) not in self._rejected
        ]

    def limit(self, amount_minor: int, currency: str) -> int:
        """Return how much of an amount may be missing as a charge."""
        return charge_limit(amount_minor, currency, self.charge_max)

    def take(self, credit: Credit, whom: Sequence[Owed], by: Pass) -> bool:
        """Give the whole credit to `whom`; say whether it went.

        To one it goes whatever the amount. Several share it when it comes to what they are owed, or lacks no more than
        a charge, which then lacks on the largest.
        """
        lefts = {each.id: self.left[each.id] for each in whom}
        shares = dict(lefts)
        missing = sum(lefts.values()) - credit.amount_minor
        largest = max(lefts, key=lambda id_: (lefts[id_], id_))
        if len(whom) > 1 and not 0 <= missing <= min(
            self.limit(sum(lefts.values()), credit.currency), lefts[largest] - 1
        ):
            return False
        shares[largest] -= missing
        self.groups.append([Paid(id_, credit.id, shares[id_], lefts[id_], by) for id_ in lefts])
        for id_ in lefts:
            self.left[id_] -= shares[id_]
        del self.free[credit.id]
        return True


def _by_name(table: _Table, by: Pass, named_by: Mapping[str, set[str]]) -> None:
    # The credits that come to exactly what is owed go first: of two that name one remittance, the other is the mistake.
    for is_exact in (True, False):
        for credit in [credit for id_, credit in table.free.items() if id_ in named_by]:
            whom = table.open_for(credit, named_by[credit.id])
            total = sum(table.left[each.id] for each in whom)
            if whom and (not is_exact or total == credit.amount_minor):
                table.take(credit, whom, by)


def _by_alias(table: _Table) -> None:
    of_source = _of_source(table)
    for allows_charge in (False, True):
        hits = {}
        for credit in table.free.values():
            if credit.source_id is None:
                continue
            hits[credit.id] = [
                each
                for each in table.open_for(credit, of_source[credit.source_id])
                if 0
                <= table.left[each.id] - credit.amount_minor
                <= (table.limit(table.left[each.id], credit.currency) if allows_charge else 0)
            ]
        for credit_id, whom in _only_ones(hits):
            table.take(table.free[credit_id], [whom], Pass.COMPOSITE)


def _by_sum(table: _Table) -> None:
    for credit, whom in _sums(table, is_known=True):
        if all(table.left[each.id] > 0 for each in whom):
            table.take(credit, whom, Pass.GROUP)


def _suggestions(table: _Table) -> list[list[Paid]]:
    found = []
    sums = sorted((left, id_) for id_, left in table.left.items() if left > 0)
    hits = {
        credit.id: [
            each for each in table.open_for(credit, _near(table, sums, credit)) if _is_in_window(each, credit.booked_on)
        ]
        for credit in table.free.values()
    }
    suggested = set()
    for credit_id, whom in _only_ones(hits):
        credit, left = table.free[credit_id], table.left[whom.id]
        suggested |= {credit_id, whom.id}
        score = _score(whom, credit, is_exact=left == credit.amount_minor)
        found.append([Paid(whom.id, credit_id, credit.amount_minor, left, Pass.AMOUNT_DATE, score)])
    for credit, group in _sums(table, is_known=False):
        if credit.id in suggested or any(each.id in suggested for each in group):
            continue
        found.append(
            [
                Paid(each.id, credit.id, table.left[each.id], table.left[each.id], Pass.GROUP, _SCORE_OF_SUM)
                for each in group
            ]
        )
    return found


def _near(table: _Table, sums: Sequence[tuple[int, str]], credit: Credit) -> list[str]:
    """Return whose amount is the credit's, or more by no more than a charge."""
    # What a charge may be of an amount, it may not be of a smaller one: twice the limit bounds the search.
    most = credit.amount_minor + 2 * table.limit(2 * credit.amount_minor, credit.currency) + 1
    between = sums[bisect_left(sums, (credit.amount_minor, "")) : bisect_right(sums, (most, "\uffff"))]
    return [id_ for left, id_ in between if left - credit.amount_minor <= table.limit(left, credit.currency)]


def _sums(table: _Table, *, is_known: bool) -> list[tuple[Credit, list[Owed]]]:
    """Return the credits that come to the sum of several remittances of one source, each with these.

    Remittances are summed by source, by source and month, and by source and due day. Only what is so in one way alone:
    one set of remittances, and one credit for it. `is_known`: by an alias the credit is from that source.
    """
    sets: defaultdict[tuple[int, str], set[tuple[str, ...]]] = defaultdict(set)
    groups: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for id_, each in table.owed.items():
        if table.left[id_] > 0:
            key = (each.source_id, each.currency)
            for more in ((), ("period", each.period), ("due", str(each.due_on))):
                groups[(*key, *more)].append(id_)
    for (_, currency, *_), ids in groups.items():
        if len(ids) > 1:
            sets[sum(table.left[id_] for id_ in ids), currency].add(tuple(ids))
    hits: dict[str, list[tuple[str, ...]]] = {}
    for credit in table.free.values():
        hits[credit.id] = [
            ids
            for ids in sorted(sets.get((credit.amount_minor, credit.currency), ()))
            if len(table.open_for(credit, ids)) == len(ids)
            and (not is_known or credit.source_id == table.owed[ids[0]].source_id)
        ]
    used = Counter(ids for found in hits.values() for ids in found)
    return [
        (table.free[credit_id], [table.owed[id_] for id_ in found[0]])
        for credit_id, found in hits.items()
        if len(found) == 1 and used[found[0]] == 1
    ]


def _only_ones(hits: Mapping[str, Sequence[Owed]]) -> Iterator[tuple[str, Owed]]:
    """Yield the pairs where the credit has one remittance and the remittance one credit."""
    times: defaultdict[str, int] = defaultdict(int)
    for whom in hits.values():
        for each in whom:
            times[each.id] += 1
    for credit_id, whom in hits.items():
        if len(whom) == 1 and times[whom[0].id] == 1:
            yield credit_id, whom[0]


def _of_source(table: _Table) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for id_, each in table.owed.items():
        found[each.source_id].append(id_)
    return found


def _is_in_window(owed: Owed, on: date) -> bool:
    if owed.due_on is not None:
        return owed.due_on - SUGGESTED_BEFORE <= on <= owed.due_on + SUGGESTED_AFTER
    begins = date.fromisoformat(f"{owed.period}-01")
    return begins <= on <= begins + SUGGESTED_WITHIN


def _score(owed: Owed, credit: Credit, *, is_exact: bool) -> int:
    days = abs((credit.booked_on - owed.due_on).days) if owed.due_on else 30
    return max(_SCORE_MIN, _SCORE_MAX - days - (0 if is_exact else 10))
