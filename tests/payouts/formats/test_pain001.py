"""pain.001 in both versions: valid under the schemas that sepaxml ships, and read back by its own rules."""

from decimal import Decimal
from pathlib import Path

import pytest
import sepaxml
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from core.errors import Invalid
from payouts import releasing
from payouts.formats import characters, pain001
from payouts.formats.values import PayeeKind, Payer
from tests.payouts.formats.files import OURS, batch_file, payment, whole

WRITERS = {pain001.V03: pain001.write_03, pain001.V09: pain001.write_09}


def schema(version: str) -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(Path(sepaxml.__file__).parent / "schemas" / f"{version}.xsd")


@pytest.mark.parametrize("version", WRITERS)
def test_the_file_is_valid_and_says_every_payment(version: str) -> None:
    payments = [
        payment("Café Zoë & Fils", 333, bic="COBADEFFXXX", reference="E2EA"),
        payment("O'Neil (Blog) @ Home", 99_999_999_999, reference="E2EB"),
        payment("Żółw Łódź ß", 1, reference="E2EC"),
    ]

    content = whole(WRITERS[version], batch_file(payments))

    schema(version).validate(content.decode())
    releasing.check_schema(content, version)
    tree = etree.fromstring(content)
    assert etree.QName(tree).namespace == f"urn:iso:std:iso:20022:tech:xsd:{version}"
    assert tree.xpath("//*[local-name()='CtrlSum']/text()") == ["1000000003.33"] * 2
    assert tree.xpath("//*[local-name()='Cdtr']/*[local-name()='Nm']/text()") == [
        "Cafe Zoe   Fils",
        "O'Neil (Blog)   Home",
        "Zolw Lodz ss",
    ]
    assert tree.xpath("//*[local-name()='EndToEndId']/text()") == ["E2EA", "E2EB", "E2EC"]
    assert tree.xpath("//*[local-name()='MsgId']/text()") == ["BAT01K9TEST"]


def test_the_same_payments_are_said_as_the_library_says_them() -> None:
    theirs = sepaxml.SepaTransfer(
        {"name": OURS.name, "IBAN": OURS.iban, "BIC": OURS.bic, "currency": "EUR", "batch": True}, schema=pain001.V03
    )
    file = batch_file([payment("Blog One GmbH", 1250, bic="COBADEFFXXX", reference="E2EA")])
    theirs.add_payment(
        {
            "name": "Blog One GmbH", "IBAN": "DE89370400440532013000", "BIC": "COBADEFFXXX", "amount": 1250,
            "execution_date": file.execute_on, "description": file.payments[0].text, "endtoend_id": "E2EA",
        }
    )  # fmt: skip

    def told(content: bytes) -> list[tuple[str, str]]:
        of_chance = {"MsgId", "CreDtTm", "PmtInfId", "BtchBookg"}
        leaves = (each for each in etree.fromstring(content).iter() if len(each) == 0)
        return [
            (etree.QName(each).localname, each.text or "") for each in leaves
            if etree.QName(each).localname not in of_chance
        ]  # fmt: skip

    assert told(whole(pain001.write_03, file)) == told(theirs.export(validate=True))


def test_what_a_file_cannot_carry_is_said_all_at_once() -> None:
    payee = payment("Ελληνικά 株式", 100_000_000_000)

    faults = pain001.payment_faults(payee, "USD", "pay_1")

    assert [fault.field for fault in faults] == ["pay_1", "pay_1", "pay_1.name"]
    assert "株" in faults[2].reason
    assert pain001.payment_faults(payment(kind=PayeeKind.EMAIL, account="a@b.example"), "EUR", "p")
    assert pain001.payment_faults(payment(amount_minor=0), "EUR", "p")
    assert pain001.payment_faults(payment("&&&"), "EUR", "p")[0].reason == "needs a letter or digit"
    assert [fault.field for fault in pain001.payer_faults(Payer("東京"), "debtor")] == ["debtor.iban", "debtor.name"]
    assert pain001.payment_faults(payment(), "EUR", "p") == []


def test_a_file_that_breaks_the_schema_is_refused_without_quoting_it() -> None:
    content = whole(pain001.write_03, batch_file([payment()])).replace(b"DE89370400440532013000", b"not an iban")

    with pytest.raises(Invalid) as refused:
        releasing.check_schema(content, pain001.V03)

    assert "pain.001.001.03" in refused.value.detail
    assert "not an iban" not in refused.value.detail


@given(name=st.text(min_size=1, max_size=90), amounts=st.lists(st.integers(1, 10**11 - 1), min_size=1, max_size=4))
def test_whatever_has_no_faults_is_valid_and_adds_up(name: str, amounts: list[int]) -> None:
    payments = [payment(name, amount, reference=f"E2E{number}") for number, amount in enumerate(amounts)]
    if any(pain001.payment_faults(each, "EUR", "p") for each in payments):
        assert characters.reason(name, characters.SEPA, "SEPA") is not None
        return

    for version, write in WRITERS.items():
        content = whole(write, batch_file(payments))
        releasing.check_schema(content, version)
        said = etree.fromstring(content).iter(f"{{urn:iso:std:iso:20022:tech:xsd:{version}}}InstdAmt")
        assert [Decimal(each.text or "") * 100 for each in said] == amounts
