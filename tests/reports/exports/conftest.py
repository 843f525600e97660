"""Two months with something of everything: paid, owed, taken back, matched, different, decided."""

from collections.abc import Callable

import pytest

from core.runtime import Runtime
from partners.models import Source
from payouts import jobs
from payouts.models import Payout
from postback.models import Conversion
from tests.builders import Builder
from tests.conftest import Caller
from tests.payouts.books import Books, Payers
from tests.reports.conftest import Reconcile


@pytest.fixture
def payers(runtime: Runtime, sign_in: Callable[..., Caller]) -> Payers:
    """Two people of finance, and books with one affiliate whose name is a formula."""
    books = Books(runtime)
    books.source()
    books.campaign()
    books.affiliate(name="=Blog One")
    return Payers(books, sign_in("finance"), sign_in("finance"))


@pytest.fixture
def month(payers: Payers, reconcile: Reconcile) -> str:
    """Return the id of the one payout: 12.50 EUR accrued in October, sent and settled in November.

    Of aff_1, 9.00 EUR of October were taken back in November, and 700 JPY are owed. The network's report of October has
    the 9.00 as 8.00, and a line of 5.00 that is not ours.
    """
    books = payers.books
    [payout_id] = payers.approved(1250)
    payers.said(payers.sent("sepa"), "settled")
    books.conversion("cnv_owed", payout_minor=900)
    books.conversion("cnv_yen", payout_minor=700, currency="JPY")
    jobs.accrue()
    with books.runtime.transaction() as session:
        build = Builder(books.runtime, session)
        report = build.report(session.get_one(Source, "src_1"))
        build.network_line(report, "cnv_owed", 800)
        build.network_line(report, "not ours", 500)
        build.approval(session.get_one(Payout, payout_id), payers.gatherer.staff_id)
    reconcile("network", "src_1")
    books.change(Conversion, "cnv_owed", state="reversed", is_accrual_due=True)
    jobs.accrue()
    return payout_id
