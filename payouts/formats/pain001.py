"""SEPA credit transfers: pain.001.001.03 and pain.001.001.09 (ISO 20022; EPC130-08, EPC115-06), written as a stream."""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from core import money
from core.errors import Fault
from payouts.formats import characters
from payouts.formats.values import BatchFile, Payee, PayeeKind, Payer, Payment

V03 = "pain.001.001.03"
V09 = "pain.001.001.09"
CURRENCIES = frozenset({"EUR"})
PAYEE_KINDS = frozenset({PayeeKind.IBAN})
AMOUNT_MINOR_MAX = 99_999_999_999  # 999,999,999.99 EUR, the scheme's own limit
NAME_LENGTH_MAX = 70
TEXT_LENGTH_MAX = 140
REFERENCE_LENGTH = 35
PAYMENTS_MAX = 10_000
_PAYMENTS_A_CHUNK = 500
_NOT_ALNUM = re.compile(r"[^A-Za-z0-9]", re.ASCII)


def reference(batch_id: str) -> str:
    """Return the message id of a batch's file, which a pain.002 names again: capitals and digits, at most 35."""
    return _NOT_ALNUM.sub("", batch_id).upper()[:REFERENCE_LENGTH]


def payer_faults(payer: Payer, path: str) -> list[Fault]:
    """Return what the file cannot carry of who pays; that the account is one is checked before."""
    faults = [] if payer.iban else [Fault(f"{path}.iban", "is needed")]
    return faults + _name_faults(payer.name, f"{path}.name")


def payment_faults(payment: Payment, currency: str, path: str) -> list[Fault]:
    """Return what the file cannot carry of one payment."""
    faults = []
    if currency not in CURRENCIES:
        faults.append(Fault(path, f"is in {currency}: SEPA pays in EUR alone"))
    if payment.payee.kind not in PAYEE_KINDS:
        faults.append(Fault(path, "goes to no IBAN, which SEPA needs"))
    if not 0 < payment.amount_minor <= AMOUNT_MINOR_MAX:
        faults.append(Fault(path, "takes 0.01 to 999,999,999.99 EUR"))
    return faults + _name_faults(payment.payee.name, f"{path}.name")


def write_03(file: BatchFile) -> Iterator[bytes]:
    """Yield the file as pain.001.001.03."""
    return _written(file, V03)


def write_09(file: BatchFile) -> Iterator[bytes]:
    """Yield the file as pain.001.001.09."""
    return _written(file, V09)


def _name_faults(name: str, path: str) -> list[Fault]:
    reason = characters.reason(name, characters.SEPA, "SEPA")
    return [Fault(path, reason)] if reason else []


def _written(file: BatchFile, schema: str) -> Iterator[bytes]:
    bic_tag = "BIC" if schema == V03 else "BICFI"
    yield _head(file, schema, bic_tag).encode()
    for start in range(0, len(file.payments), _PAYMENTS_A_CHUNK):
        chunk = file.payments[start : start + _PAYMENTS_A_CHUNK]
        yield "".join(_transfer(payment, file.currency, bic_tag) for payment in chunk).encode()
    yield b"</PmtInf></CstmrCdtTrfInitn></Document>\n"


def _head(file: BatchFile, schema: str, bic_tag: str) -> str:
    message_id, total = reference(file.id), money.to_text(file.total_minor, file.currency)
    name = _text(file.payer.name, NAME_LENGTH_MAX)
    day = file.execute_on.isoformat()
    counted = f"<NbOfTxs>{len(file.payments)}</NbOfTxs><CtrlSum>{total}</CtrlSum>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{schema}"><CstmrCdtTrfInitn>'
        f"<GrpHdr><MsgId>{message_id}</MsgId><CreDtTm>{file.made_at:%Y-%m-%dT%H:%M:%S}Z</CreDtTm>{counted}"
        f"<InitgPty><Nm>{name}</Nm></InitgPty></GrpHdr>"
        # Each transfer is booked by itself: one line of the statement settles one payout.
        f"<PmtInf><PmtInfId>{message_id}</PmtInfId><PmtMtd>TRF</PmtMtd><BtchBookg>false</BtchBookg>{counted}"
        "<PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl></PmtTpInf>"
        f"<ReqdExctnDt>{day if schema == V03 else f'<Dt>{day}</Dt>'}</ReqdExctnDt>"
        f"<Dbtr><Nm>{name}</Nm></Dbtr><DbtrAcct><Id><IBAN>{file.payer.iban}</IBAN></Id></DbtrAcct>"
        f"<DbtrAgt>{_bank(file.payer.bic, bic_tag)}</DbtrAgt><ChrgBr>SLEV</ChrgBr>"
    )


def _transfer(payment: Payment, currency: str, bic_tag: str) -> str:
    payee: Payee = payment.payee
    agent = f"<CdtrAgt>{_bank(payee.bic, bic_tag)}</CdtrAgt>" if payee.bic else ""
    return (
        f"<CdtTrfTxInf><PmtId><EndToEndId>{payment.end_to_end_id}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="{currency}">{money.to_text(payment.amount_minor, currency)}</InstdAmt></Amt>'
        f"{agent}<Cdtr><Nm>{_text(payee.name, NAME_LENGTH_MAX)}</Nm></Cdtr>"
        f"<CdtrAcct><Id><IBAN>{payee.account}</IBAN></Id></CdtrAcct>"
        f"<RmtInf><Ustrd>{_text(payment.text, TEXT_LENGTH_MAX)}</Ustrd></RmtInf></CdtTrfTxInf>"
    )


def _bank(bic: str | None, bic_tag: str) -> str:
    # Without a BIC the scheme wants these words (EPC115-06).
    inside = f"<{bic_tag}>{bic}</{bic_tag}>" if bic else "<Othr><Id>NOTPROVIDED</Id></Othr>"
    return f"<FinInstnId>{inside}</FinInstnId>"


def _text(text: str, length_max: int) -> str:
    return escape(characters.latin(text, characters.SEPA)[:length_max].strip())
