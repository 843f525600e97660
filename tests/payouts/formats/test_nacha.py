"""NACHA by hand and by an independent reader: every field in its column, sums and hashes as the rules say."""

import achkit
from hypothesis import given
from hypothesis import strategies as st

from payouts.formats import nacha
from payouts.formats.values import PayeeKind, Payer, UsAccount
from tests.payouts.formats.files import US_PAYER, batch_file, payment, us, whole

PEOPLE = [
    us("Jane Doe", 124_050, "P00000000000001"),
    us("Jörg Müller-Lüdenscheidt the Elder", 1, "P00000000000002", UsAccount("091000019", "0-077", "savings")),
]
COMPANY = us("ACME LLC", 9_999_999_999, "P00000000000003", UsAccount("021000021", "99", "checking", "company"))

# Worked by hand. Hash: 01140153 + 09100001 = 10240154 for the people, 02100002 for the company, 12340156 in all;
# credits: 1,240.51 and 99,999,999.99, 100,001,240.50 in all; nine records and one of nines make a block.
EXPECTED = [
    "101 09100001912345678902611020930A094101Example Bank of the NorClickledger Inc                ",
    "5220Clickledger Inc                     1234567890PPDAFFILIATE 261102261103   1091000010000001",
    "62201140153312345678         0000124050P00000000000001Jane Doe                0091000010000001",
    "6320910000190-077            0000000001P00000000000002Jorg Muller-Ludenschei  0091000010000002",
    "822000000200102401540000000000000000001240511234567890                         091000010000001",
    "5220Clickledger Inc                     1234567890CCDAFFILIATE 261102261103   1091000010000002",
    "62202100002199               9999999999P00000000000003ACME LLC                0091000010000003",
    "822000000100021000020000000000000099999999991234567890                         091000010000002",
    "9000002000001000000030012340156000000000000010000124050                                       ",
    "9" * 94,
]  # fmt: skip


def test_the_file_is_the_one_worked_out_by_hand() -> None:
    content = whole(nacha.write, batch_file([*PEOPLE, COMPANY], US_PAYER, "USD"))

    lines = content.decode("ascii").split("\r\n")
    assert lines.pop() == ""
    assert {len(line) for line in lines} == {94}
    assert lines == EXPECTED


def test_an_independent_reader_finds_it_right_and_reads_the_same() -> None:
    content = whole(nacha.write, batch_file([*PEOPLE, COMPANY], US_PAYER, "USD")).decode()

    verdict = achkit.validate(content)
    read = achkit.parse(content)

    assert verdict["errors"] == []
    entries = [entry for batch in read["batches"] for entry in batch["entries"]]
    assert [entry["amount_cents"] for entry in entries] == [124_050, 1, 9_999_999_999]


def test_what_a_file_cannot_carry_is_said_all_at_once() -> None:
    wrong = us("Ελληνικά", 10_000_000_000, "P1", UsAccount("091000018", "12 34", "current", "cat"))

    faults = nacha.payment_faults(wrong, "EUR", "pay_1")

    assert [fault.field for fault in faults] == [
        "pay_1", "pay_1.routing_number", "pay_1.account_number", "pay_1.account_type", "pay_1.holder",
        "pay_1", "pay_1.name",
    ]  # fmt: skip
    assert nacha.payment_faults(payment(kind=PayeeKind.IBAN), "USD", "p")
    assert nacha.payment_faults(COMPANY, "USD", "p") == []
    assert [fault.field for fault in nacha.payer_faults(Payer("Us", company_id="12345678901"), "debtor")] == [
        "debtor.routing_number", "debtor.company_id", "debtor.bank_name",
    ]  # fmt: skip
    many = batch_file([COMPANY] * 101, US_PAYER, "USD")
    assert [fault.field for fault in nacha.total_faults(many)] == ["sum"]
    assert nacha.total_faults(batch_file([COMPANY] * 100, US_PAYER, "USD")) == []


@given(st.lists(st.tuples(st.integers(1, 10**9), st.sampled_from(["person", "company"])), min_size=1, max_size=30))
def test_any_file_fills_its_blocks_and_satisfies_the_reader(payments: list[tuple[int, str]]) -> None:
    said = [
        us(f"Payee {number}", amount, f"P{number:014}", UsAccount("021000021", "1", "checking", holder))
        for number, (amount, holder) in enumerate(payments)
    ]

    content = whole(nacha.write, batch_file(said, US_PAYER, "USD")).decode()

    assert content.count("\r\n") % 10 == 0
    assert achkit.validate(content)["errors"] == []
