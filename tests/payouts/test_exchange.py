"""What an amount comes to in the base currency, and what files of rates say: without a database."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from core.money import Money
from payouts import exchange, fx_files
from payouts.fx_files import Quote

ECB = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
 xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject><gesmes:Sender><gesmes:name>European Central Bank</gesmes:name>
</gesmes:Sender><Cube>
<Cube time="2026-10-05"><Cube currency="USD" rate="1.0835"/><Cube currency="JPY" rate="162.45"/>
<Cube currency="EEK" rate="15.6466"/></Cube>
<Cube time="2026-10-02"><Cube currency="USD" rate="1.0801"/></Cube>
</Cube></gesmes:Envelope>"""


def test_an_amount_is_divided_by_the_quoted_rate_and_rounded_once_half_even() -> None:
    assert exchange.converted(Money(1000, "USD"), Decimal("1.0835"), "EUR") == Money(923, "EUR")
    assert exchange.converted(Money(1000, "JPY"), Decimal("162.45"), "EUR") == Money(616, "EUR")
    assert exchange.converted(Money(5, "USD"), Decimal(2), "EUR") == Money(2, "EUR")
    assert exchange.converted(Money(7, "USD"), Decimal(2), "EUR") == Money(4, "EUR")
    assert exchange.converted(Money(10**15, "KWD"), Decimal("0.00000001"), "EUR") is None


def test_a_rate_through_a_third_currency_keeps_its_digits() -> None:
    assert exchange.cross(currency=Decimal("1.0835"), base=Decimal(1)) == Decimal("1.0835")
    assert exchange.cross(currency=Decimal(1), base=Decimal("1.25")) == Decimal("0.8")
    assert exchange.cross(currency=Decimal("0.0001"), base=Decimal(17000)) == Decimal("0.000000005882352941")
    assert exchange.cross(currency=Decimal("0.00000001"), base=Decimal(999_999_999_999)) is None


@given(st.integers(-(10**12), 10**12), st.decimals("0.0001", 20000, places=6))
def test_what_is_taken_back_comes_to_the_same_with_the_other_sign(minor: int, rate: Decimal) -> None:
    there = exchange.converted(Money(minor, "USD"), rate, "EUR")
    back = exchange.converted(Money(-minor, "USD"), rate, "EUR")

    assert there is None or back == -there


def test_the_ecbs_file_of_many_days_is_read_and_what_is_no_currency_any_more_is_left_out() -> None:
    read = fx_files.ecb(ECB)

    assert read.quotes == (
        Quote("EUR", "USD", date(2026, 10, 5), Decimal("1.0835")),
        Quote("EUR", "JPY", date(2026, 10, 5), Decimal("162.45")),
        Quote("EUR", "USD", date(2026, 10, 2), Decimal("1.0801")),
    )
    assert read.unknown == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a/>",
        b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><a>&e;</a>",
        b"<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;'>]>" + ECB.partition(b"?>")[2],
        ECB.replace(b"1.0835", b"NaN"),
        ECB.replace(b"1.0835", b"0"),
        ECB.replace(b"1.0835", b"1e5"),
        ECB.replace(b"2026-10-05", b"2026-13-05"),
        ECB.replace(b'<Cube time="2026-10-05">', b"<Cube>"),
        ECB.replace(b'currency="JPY" rate="162.45"', b'currency="USD" rate="2"'),
    ],
)
def test_what_is_no_file_of_the_ecb_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid):
        fx_files.ecb(content)


def test_a_csv_file_says_pairs_of_a_day_and_every_fault_with_its_line() -> None:
    good = b"\xef\xbb\xbfdate,currency,rate,base\r\n2026-10-05,USD,1.0835,\r\n2026-10-05,GBP,0.8,USD\r\n"
    assert fx_files.plain(good, base="EUR").quotes == (
        Quote("EUR", "USD", date(2026, 10, 5), Decimal("1.0835")),
        Quote("USD", "GBP", date(2026, 10, 5), Decimal("0.8")),
    )

    bad = b"date,currency,rate\n5.10.2026,USD,1\n2026-10-05,EUR,1\n2026-10-05,USD,-1\n2026-10-05,ZZZ,1\n2026-10-05\n"
    with pytest.raises(Invalid) as refused:
        fx_files.plain(bad, base="EUR")

    assert [fault.field for fault in refused.value.faults] == ["line 2", "line 3", "line 4", "line 5", "line 6"]
    for content in (b"", b"day,rate\n", b"date,currency,rate\n", b"\xff", b"date,currency,rate,colour\n"):
        with pytest.raises(Invalid):
            fx_files.plain(content, base="EUR")
