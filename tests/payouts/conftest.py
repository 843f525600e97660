"""The books that payout tests begin with."""

import pytest

from core.runtime import Runtime
from tests.payouts.books import Books


@pytest.fixture
def books(runtime: Runtime) -> Books:
    """One source, one campaign that pays as told, and one affiliate with an account."""
    books = Books(runtime)
    books.source()
    books.campaign()
    books.affiliate()
    return books
