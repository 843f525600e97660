"""PayPal, Wise and our own CSV: what they take, what they cannot carry, and the answers they give."""

import csv
import io
from datetime import date

import pytest

from core.errors import Fault
from payouts.formats import generic, paypal, wise
from payouts.formats.values import Answer, Outcome, PayeeKind, Payer, UsAccount
from tests.payouts.formats.files import batch_file, payment, us, whole

ADA = payment("Ada", 1250, kind=PayeeKind.EMAIL, account="ada@shop.example", reference="E2E1")


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def test_paypal_gets_a_row_a_payment_without_a_header() -> None:
    yen = payment("Bo", 500, kind=PayeeKind.EMAIL, account="bo@shop.example", reference="E2E2")

    assert rows(whole(paypal.write, batch_file([ADA]))) == [
        ["ada@shop.example", "12.50", "EUR", "E2E1", "Affiliate payout 2026-10 E2E1", "PAYPAL"]
    ]
    assert rows(whole(paypal.write, batch_file([yen], currency="JPY")))[0][1] == "500"
    assert paypal.amount_text(120_000, "HUF") == "1200"
    assert paypal.payer_faults(Payer("x"), "debtor") == []


def test_paypal_says_what_it_cannot_carry_all_at_once() -> None:
    wrong = payment(amount_minor=-1, kind=PayeeKind.EMAIL, account="=cmd@x")

    assert [fault.field for fault in paypal.payment_faults(wrong, "AED", "p")] == ["p", "p", "p.email"]
    assert paypal.payment_faults(ADA, "HUF", "p") == [Fault("p", "has decimals, and PayPal pays HUF without")]
    assert paypal.payment_faults(payment(), "EUR", "p") == [Fault("p", "goes to no e-mail address, which PayPal needs")]
    assert paypal.payment_faults(ADA, "EUR", "p") == []


def test_wise_gets_the_columns_of_each_kind_of_account() -> None:
    said = [payment("Blog One", reference="P1"), ADA]
    dollars = [us("Jane Doe", 5, "P3", UsAccount("021000021", "42", "savings"))]

    header, first, second = rows(whole(wise.write, batch_file(said)))
    _header, third = rows(whole(wise.write, batch_file(dollars, currency="USD")))

    assert dict(zip(header, first, strict=True)) == {
        "name": "Blog One", "recipientEmail": "", "paymentReference": "P1", "amountCurrency": "target",
        "amount": "12.50", "sourceCurrency": "EUR", "targetCurrency": "EUR", "IBAN": "DE89370400440532013000",
        "abartn": "", "accountNumber": "", "accountType": "",
    }  # fmt: skip
    assert (second[1], second[7]) == ("ada@shop.example", "")
    assert third[4:] == ["0.05", "USD", "USD", "", "021000021", "42", "SAVINGS"]


def test_wise_says_what_it_cannot_carry_all_at_once() -> None:
    formula = payment("=HYPERLINK()", 0, kind=PayeeKind.OTHER, account="somewhere")
    american = us("Jane", 1, "P1", UsAccount("021000022", "42"))

    assert [fault.field for fault in wise.payment_faults(formula, "KPW", "p")] == ["p", "p", "p.name", "p"]
    assert [fault.field for fault in wise.payment_faults(american, "EUR", "p")] == ["p.routing_number", "p"]
    assert wise.payment_faults(ADA, "EUR", "p") == []


def test_our_own_csv_takes_every_kind_and_no_formula() -> None:
    odd = payment("-1+1", 1, kind=PayeeKind.OTHER, account="Kasse\n2")
    good = payment("Zoë 東京", 7, kind=PayeeKind.OTHER, account="cash desk 2", reference="E2E9")

    assert rows(whole(generic.write, batch_file([good], currency="KWD"))) == [
        list(generic.HEADER),
        ["E2E9", "Zoë 東京", "other", "cash desk 2", "", "0.007", "KWD", "Affiliate payout 2026-10 E2E9"],
    ]
    assert [fault.field for fault in generic.payment_faults(odd, "ZZZ", "p")] == ["p", "p.name", "p.account"]


def test_paypals_results_are_read_by_their_columns_names() -> None:
    content = (
        "\ufeffTransaction ID;Customer ID;Amount;Currency;Status;Error\r\n"
        "T1;E2E1;12,50;EUR;Success;\r\n"
        "T2;E2E2;3.33;EUR;Unclaimed;\r\n"
        "T3;E2E3;-1.00;EUR;RETURNED;not taken\r\n"
    ).encode()

    read = paypal.read(content)

    assert read.faults == []
    assert read.answers == [
        Answer("line 2", "E2E1", Outcome.SETTLED, None, 1250, "EUR", None),
        Answer("line 3", "E2E2", Outcome.PENDING, None, 333, "EUR", None),
        Answer("line 4", "E2E3", Outcome.RETURNED, "not taken", 100, "EUR", None),
    ]


def test_wises_list_of_transfers_is_read() -> None:
    content = (
        b"ID,Status,Finished on,Target amount (after fees),Target currency,Reference\n"
        b"TRANSFER-1,COMPLETED,2026-11-04 10:11:12,12.50,EUR,P1\n"
        b"TRANSFER-2,unknown,,12.50,EUR,P2\n"
    )

    assert [(each.outcome, each.happened_on) for each in wise.read(content).answers] == [
        (Outcome.SETTLED, date(2026, 11, 4)),
        (Outcome.UNKNOWN, None),
    ]


def test_every_bad_row_of_a_result_file_is_named() -> None:
    content = (
        b"end_to_end_id,status,amount,currency,settled_on\n"
        b",settled,1.00,EUR,2026-11-04\n"
        b"E2E1,gone,1.00,EUR,yesterday\n"
        b"E2E2,settled,1.005,EUR,2026-11-04\n"
        b"E2E3,settled,1.00,EUR,2026-11-04\n"
    )

    read = generic.read(content)

    assert [fault.field for fault in read.faults] == ["line 2", "line 3", "line 3", "line 4"]
    assert [answer.end_to_end_id for answer in read.answers] == ["E2E3"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "lacks the columns end_to_end_id, status"),
        (b"status\nsettled\n", "lacks the columns end_to_end_id"),
        (b"\xff\xfe", "is not in UTF-8"),
        (b"end_to_end_id,status\n", "has no rows"),
    ],
)
def test_what_is_no_table_is_said_once(content: bytes, reason: str) -> None:
    read = generic.read(content)

    assert (read.answers, [fault.reason for fault in read.faults]) in [((), [reason]), ([], [reason])]
