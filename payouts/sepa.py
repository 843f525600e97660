"""SEPA credit transfers: accounts checked, and the pain.001.001.03 file a bank takes (ISO 20022, EPC130-08)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path

import sepaxml
from lxml import etree

from core import bank_accounts
from core.errors import Fault, Invalid

SCHEMA = "pain.001.001.03"
CURRENCY = "EUR"
AMOUNT_MINOR_MAX = 99_999_999_999  # 999,999,999.99 EUR, the scheme's own limit
_NAMESPACE = f"urn:iso:std:iso:20022:tech:xsd:{SCHEMA}"
# The Latin characters every bank of the scheme takes (EPC217-08); sepaxml turns others into Latin, not into these.
_NOT_TAKEN = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_TEXTS = ("Nm", "Ustrd")


@dataclass(frozen=True)
class Account:
    """Whose account it is and which. No repr: an account number belongs in no log."""

    name: str
    iban: str
    bic: str | None = None

    def __repr__(self) -> str:
        return "Account(..)"


@dataclass(frozen=True)
class Transfer:
    """One payment; `end_to_end_id` (35 characters at most) comes back on the bank's statement."""

    creditor: Account
    amount_minor: int
    end_to_end_id: str
    text: str


@dataclass(frozen=True)
class Order:
    """All that one file says."""

    id: str
    debtor: Account
    transfers: Sequence[Transfer]
    made_at: datetime
    execute_on: date


def account_faults(account: Account, path: str) -> list[Fault]:
    """Return what is wrong with an account: sepaxml would write a wrong checksum without a word."""
    found = bank_accounts.faults(account.iban, account.bic, path)
    if not any(character.isalnum() for character in account.name):
        found.append(Fault(f"{path}.name", "needs a letter or digit"))
    return found


def amount_faults(amount_minor: int, path: str) -> list[Fault]:
    """Return what is wrong with an amount of a transfer, in cents."""
    if 0 < amount_minor <= AMOUNT_MINOR_MAX:
        return []
    return [Fault(path, "takes 0.01 to 999,999,999.99 EUR")]


def pain_001(order: Order) -> bytes:
    """Return the file for `order`, valid under the schema; raise Invalid when it is not, with the schema's reason."""
    debtor = order.debtor
    config = {"name": debtor.name, "IBAN": debtor.iban, "currency": CURRENCY, "batch": True}
    transfer_file = sepaxml.SepaTransfer(config | ({"BIC": debtor.bic} if debtor.bic else {}), schema=SCHEMA)
    for transfer in order.transfers:
        creditor = transfer.creditor
        payment = {
            "name": creditor.name,
            "IBAN": creditor.iban,
            "amount": transfer.amount_minor,
            "execution_date": order.execute_on,
            "description": transfer.text,
            "endtoend_id": transfer.end_to_end_id,
        }
        transfer_file.add_payment(payment | ({"BIC": creditor.bic} if creditor.bic else {}))
    root = etree.fromstring(transfer_file.export(validate=False), _parser())
    _settle_on(root, order)
    schema = _schema()
    if not schema.validate(root):
        # Where, and not what: the schema's own words quote names and accounts.
        places = sorted({f"line {entry.line}: {entry.type_name}" for entry in schema.error_log})  # type: ignore[attr-defined]  # lxml-stubs
        message = f"the payment file does not keep to {SCHEMA}: {', '.join(places)}"
        raise Invalid(message)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _settle_on(root: etree._Element, order: Order) -> None:
    """Replace what sepaxml made up by chance and by the machine's clock, and say what it cannot."""
    reference = re.sub(r"[^A-Za-z0-9]", "", order.id).upper()[:35]
    _only(root, "GrpHdr/MsgId").text = reference
    _only(root, "GrpHdr/CreDtTm").text = f"{order.made_at:%Y-%m-%dT%H:%M:%S}Z"
    _only(root, "PmtInf/PmtInfId").text = reference
    # Each transfer is booked by itself: one line of the statement settles one payout.
    _only(root, "PmtInf/BtchBookg").text = "false"
    agent = _only(root, "PmtInf/DbtrAgt/FinInstnId")
    if len(agent) == 0:
        # Without a BIC the scheme wants these words (EPC115-06).
        other = etree.SubElement(agent, f"{{{_NAMESPACE}}}Othr")
        etree.SubElement(other, f"{{{_NAMESPACE}}}Id").text = "NOTPROVIDED"
    for name in _TEXTS:
        for element in root.iter(f"{{{_NAMESPACE}}}{name}"):
            element.text = _NOT_TAKEN.sub(" ", element.text or "").strip()


def _only(root: etree._Element, path: str) -> etree._Element:
    steps = "/".join(f"{{{_NAMESPACE}}}{step}" for step in path.split("/"))
    [found] = root.findall(f"{{{_NAMESPACE}}}CstmrCdtTrfInitn/{steps}")
    return found


@cache
def _schema() -> etree.XMLSchema:
    path = Path(sepaxml.__file__).parent / "schemas" / f"{SCHEMA}.xsd"
    return etree.XMLSchema(etree.parse(str(path), _parser()))


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True)
