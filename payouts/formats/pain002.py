"""What a bank says about a pain.001: pain.002 (ISO 20022, EPC130-08), of any version, read as a stream of events."""

from xml.parsers import expat

from core.errors import Fault
from payouts.formats.values import Answer, Outcome, ResultFile

NAME = "pain.002"
REASON_LENGTH_MAX = 300
_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.002.001."
# ISO 20022, external code set of payment transaction statuses. What was accepted is not paid yet.
OUTCOMES = {
    "ACSC": Outcome.SETTLED,
    "ACCC": Outcome.SETTLED,
    "RJCT": Outcome.FAILED,
    "CANC": Outcome.FAILED,
    "ACTC": Outcome.PENDING,
    "ACCP": Outcome.PENDING,
    "ACSP": Outcome.PENDING,
    "ACWC": Outcome.PENDING,
    "ACWP": Outcome.PENDING,
    "ACFC": Outcome.PENDING,
    "PATC": Outcome.PENDING,
    "PDNG": Outcome.PENDING,
    "RCVD": Outcome.PENDING,
    "PART": Outcome.PENDING,
}
_TRANSACTION = "OrgnlPmtInfAndSts/TxInfAndSts"


class _Refused(Exception):
    pass


class _Reader:
    """Keeps the texts of one transaction, or of the whole, and nothing else."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.text: list[str] = []
        self.reference: str | None = None
        self.answers: list[Answer] = []
        self.faults: list[Fault] = []
        self.whole: dict[str, str] = {}
        self.transaction: dict[str, str] = {}
        self.place = ""
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.text.append
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _doctype(self, *_: object) -> None:
        message = "has a document type, which no bank's file has"
        raise _Refused(message)

    def _start(self, name: str, _attributes: object) -> None:
        namespace, _, local = name.rpartition(" ")
        if not self.path and not (local == "Document" and namespace.startswith(_NAMESPACE)):
            message = "is no pain.002"
            raise _Refused(message)
        self.path.append(local)
        self.text.clear()
        if self._where() == _TRANSACTION:
            self.transaction, self.place = {}, f"line {self.parser.CurrentLineNumber}"

    def _end(self, _name: str) -> None:
        where, text = self._where(), "".join(self.text).strip()
        self.path.pop()
        self.text.clear()
        if where == "OrgnlGrpInfAndSts/OrgnlMsgId":
            self.reference = text
        elif where == _TRANSACTION:
            self._answered()
        elif where.startswith(f"{_TRANSACTION}/"):
            self.transaction.setdefault(where.removeprefix(f"{_TRANSACTION}/"), text)
        elif where.startswith(("OrgnlGrpInfAndSts/", "OrgnlPmtInfAndSts/")):
            self.whole.setdefault(where.partition("/")[2], text)

    def _where(self) -> str:
        return "/".join(self.path[2:])  # below Document/CstmrPmtStsRpt

    def _answered(self) -> None:
        end_to_end_id, status = self.transaction.get("OrgnlEndToEndId", ""), self.transaction.get("TxSts", "")
        if not end_to_end_id:
            self.faults.append(Fault(self.place, "names no payment"))
        # Without a status of its own it has that of the whole.
        status = status or self.whole.get("PmtInfSts") or self.whole.get("GrpSts", "")
        if status not in OUTCOMES:
            self.faults.append(Fault(self.place, f"has the status {status[:10]!r}, which is none of pain.002"))
        elif end_to_end_id:
            self.answers.append(Answer(self.place, end_to_end_id, OUTCOMES[status], _reason(self.transaction)))


def read(content: bytes) -> ResultFile:
    """Return what the bank says of each payment; with a rejected whole, of every one."""
    reader = _Reader()
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        return ResultFile((), (Fault("file", f"is no XML (line {error.lineno})"),))
    except _Refused as error:
        return ResultFile((), (Fault("file", str(error)),))
    status = reader.whole.get("PmtInfSts") or reader.whole.get("GrpSts")
    about_all = None
    if status == "RJCT":
        about_all = Answer("file", "", Outcome.FAILED, _reason(reader.whole))
    elif not reader.answers and not reader.faults and status not in OUTCOMES:
        return ResultFile((), (Fault("file", "says nothing about any payment"),), reader.reference)
    return ResultFile(reader.answers, reader.faults, reader.reference, about_all)


def _reason(texts: dict[str, str]) -> str | None:
    parts = (texts.get("StsRsnInf/Rsn/Cd") or texts.get("StsRsnInf/Rsn/Prtry"), texts.get("StsRsnInf/AddtlInf"))
    return " ".join(part for part in parts if part)[:REASON_LENGTH_MAX] or None
