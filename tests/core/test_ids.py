"""Ids sort by time and tell nothing else."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.ids import id_maker, is_token, moment_of, token

MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2500, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


@given(MOMENTS, MOMENTS)
def test_ids_of_different_milliseconds_sort_as_their_moments_do(one: datetime, other: datetime) -> None:
    first, second = int(one.timestamp() * 1000), int(other.timestamp() * 1000)

    if first != second:
        assert (token(one) < token(other)) is (first < second)


def test_a_millisecond_later_an_id_sorts_later() -> None:
    assert all(token(NOW) < token(NOW + timedelta(milliseconds=1)) for _ in range(100))


def test_ids_of_one_moment_share_their_time_and_differ_in_eighty_bits() -> None:
    made = [token(NOW) for _ in range(1000)]

    assert len(set(made)) == 1000
    assert len({each[:9] for each in made}) == 1
    assert len({each[-1] for each in made}) == 32
    assert all(is_token(each) for each in made)


@given(MOMENTS)
def test_a_token_tells_the_millisecond_it_was_made_in(moment: datetime) -> None:
    assert timedelta(0) <= moment - moment_of(token(moment)) < timedelta(milliseconds=1, microseconds=1)


def test_an_id_names_its_noun() -> None:
    prefix, _, rest = id_maker(lambda: NOW)("cnv").partition("_")

    assert prefix == "cnv"
    assert is_token(rest)


def test_what_only_looks_like_a_token_is_none() -> None:
    made = token(NOW)

    assert not is_token(made.upper())
    assert not is_token(made[:-1])
    assert not is_token(made + "\n")
    assert not is_token("u" + made[1:])
