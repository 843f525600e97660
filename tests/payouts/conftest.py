"""The books that payout tests begin with."""

from collections.abc import Callable

import pytest

from core.runtime import Runtime
from tests.conftest import Caller
from tests.payouts.books import Books, Payers


@pytest.fixture
def books(runtime: Runtime) -> Books:
    """One source, one campaign that pays as told, and one affiliate with an account."""
    books = Books(runtime)
    books.source()
    books.campaign()
    books.affiliate()
    return books


@pytest.fixture
def payers(books: Books, sign_in: Callable[..., Caller]) -> Payers:
    """Two people of finance, on those books."""
    return Payers(books, sign_in("finance"), sign_in("finance"))
