"""Pages of a sorted list: together they are the list, each row once, and no cursor breaks them."""

import base64
import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from core.http import ordering
from core.http.ordering import Order
from core.runtime import Runtime
from partners.models import Affiliate
from tests.builders import OCTOBER, Builder

# Equal ones, ones that only the id parts, other scripts, and what has a meaning in SQL, JSON or a URL.
NAMES = ["Zed", "zed", "", "Ärger", "日本", "o'Neil \"&", "a" * 100, "a" * 100, "%_\\", "\u202e+/="]
BY = {
    "id": (Affiliate.id,),
    "name": (sa.func.lower(Affiliate.name, type_=sa.String()), Affiliate.id),
    "name as it is": (Affiliate.name, Affiliate.id),
    "money": (Affiliate.currency, Affiliate.minimum_payout_minor, Affiliate.id),
    "time": (Affiliate.created_at, Affiliate.id),
    "maybe": (sa.func.coalesce(Affiliate.payee_name, ""), Affiliate.id),
    "subquery": (
        sa.select(sa.func.count()).where(Affiliate.name == "Zed").correlate(None).scalar_subquery(),
        Affiliate.id,
    ),
}  # fmt: skip


@pytest.fixture
def affiliates(runtime: Runtime) -> Runtime:
    with runtime.transaction() as session:
        build = Builder(runtime, session)
        for number, name in enumerate(NAMES):
            build.affiliate(
                name=name,
                currency=("EUR", "JPY", "USD")[number % 3],
                minimum_payout_minor=(500, 0, 2**40)[number % 3],
                created_at=OCTOBER + timedelta(microseconds=number % 4),
                payee_name=name[:70] or None,
            )
    return runtime


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("is_descending", [False, True])
def test_the_pages_are_the_list(affiliates: Runtime, by: str, is_descending: bool) -> None:  # noqa: FBT001
    order = Order(BY[by], is_descending)
    with affiliates.reading() as session:
        whole = list(session.scalars(ordering.in_order(sa.select(Affiliate.id), order)))
        walked = {limit: _walked(session, order, limit) for limit in (1, 3, 9, 10, 11)}

    assert len(set(whole)) == len(NAMES)
    assert list(walked.values()) == [whole] * len(walked)


def _walked(session: Session, order: Order, limit: int) -> list[str]:
    walked, after = [], None
    for _ in range(len(NAMES) + 1):
        found = ordering.page(session, sa.select(Affiliate), order, limit=limit, after=after)
        assert len(found.items) <= limit
        walked += [each.id for each in found.items]
        after = found.next
        if after is None:
            break
    return walked


def test_an_order_by_something_without_a_type_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"say with type_= what these are: lower\("):
        Order((sa.func.lower(Affiliate.name), Affiliate.id), is_descending=False)


def _packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.one_of(
        st.text(max_size=50),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4).map(_packed),
    )
)  # fmt: skip
@example(_packed(["2026-10-01T00:00:00+00:00", "aff_\0"]))
@example(_packed(["0001-01-01T00:00:00+14:00", "aff_1"]))
@example(_packed(["9999-12-31T23:59:59-14:00", "aff_1"]))
@example(_packed([2**63, "aff_1"]))
@example(_packed([2**31, "aff_1"]))
@example(_packed("[" * 3000))
@example("A" * 5000)
def test_what_is_no_cursor_of_ours_shows_the_beginning_or_a_place_in_it(affiliates: Runtime, cursor: str) -> None:
    with affiliates.reading() as session:
        for by in BY.values():
            found = ordering.page(session, sa.select(Affiliate), Order(by, is_descending=True), limit=3, after=cursor)
            assert len(found.items) <= 3


def test_a_cursor_of_another_order_shows_the_beginning(affiliates: Runtime) -> None:
    with affiliates.reading() as session:
        of_money = Order(BY["money"], is_descending=False)
        first = ordering.page(session, sa.select(Affiliate), of_money, limit=2, after=None)
        by_id = ordering.page(
            session, sa.select(Affiliate), Order(BY["id"], is_descending=False), limit=2, after=first.next
        )
        start = ordering.page(session, sa.select(Affiliate), Order(BY["id"], is_descending=False), limit=2, after=None)

    assert [each.id for each in by_id.items] == [each.id for each in start.items]
