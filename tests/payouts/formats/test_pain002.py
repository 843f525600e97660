"""What a bank says about a pain.001, of two versions, and what nobody may send us."""

import pytest

from payouts.formats import pain002
from payouts.formats.values import Outcome

HEAD = "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}'><CstmrPmtStsRpt>"
GROUP = "<OrgnlGrpInfAndSts><OrgnlMsgId>BAT1</OrgnlMsgId>{status}</OrgnlGrpInfAndSts>"
TAIL = "</CstmrPmtStsRpt></Document>"


def report(*transactions: str, group: str = "", payments: str = "", version: str = "03") -> bytes:
    inside = (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>BAT1</OrgnlPmtInfId>{payments}{''.join(transactions)}</OrgnlPmtInfAndSts>"
    )
    return (HEAD.format(version=version) + GROUP.format(status=group) + inside + TAIL).encode()


def transaction(end_to_end_id: str, status: str, reason: str = "") -> str:
    said = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn><AddtlInf>closed</AddtlInf></StsRsnInf>" if reason else ""
    told = f"<TxSts>{status}</TxSts>" if status else ""
    return f"<TxInfAndSts><OrgnlEndToEndId>{end_to_end_id}</OrgnlEndToEndId>{told}{said}</TxInfAndSts>"


@pytest.mark.parametrize("version", ["03", "10"])
def test_each_payment_has_its_own_answer(version: str) -> None:
    content = report(
        transaction("E1", "ACSC"), transaction("E2", "RJCT", "AC04"), transaction("E3", "PDNG"), version=version,
        group="<GrpSts>PART</GrpSts>",
    )  # fmt: skip

    read = pain002.read(content)

    assert (read.reference, read.about_all, read.faults) == ("BAT1", None, [])
    assert [(each.end_to_end_id, each.outcome, each.reason) for each in read.answers] == [
        ("E1", Outcome.SETTLED, None),
        ("E2", Outcome.FAILED, "AC04 closed"),
        ("E3", Outcome.PENDING, None),
    ]


def test_a_rejected_file_answers_all_of_its_payments() -> None:
    group = "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>"

    about_all = pain002.read(report(group=group)).about_all

    assert about_all is not None
    assert (about_all.outcome, about_all.reason) == (Outcome.FAILED, "FF01")


def test_a_payment_without_a_status_has_that_of_the_whole() -> None:
    read = pain002.read(report(transaction("E1", ""), payments="<PmtInfSts>ACCP</PmtInfSts>"))

    assert [each.outcome for each in read.answers] == [Outcome.PENDING]


def test_statuses_and_payments_that_make_no_sense_are_all_named() -> None:
    read = pain002.read(report(transaction("", "ACSC"), transaction("E2", "WHAT")))

    assert len(read.faults) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<a/>", "is no pain.002"),
        (b"not xml", "is no XML (line 1)"),
        (b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "has a document type, which no bank's file has"),
        (report(), "says nothing about any payment"),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, reason: str) -> None:
    assert [fault.reason for fault in pain002.read(content).faults] == [reason]
