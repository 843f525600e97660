"""METHODS: every way to pay on one screen: its formats, its currencies, whom it can pay, how its answers are read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from core.errors import Fault
from payouts.formats import generic, nacha, pain001, pain002, paypal, wise
from payouts.formats.values import BatchFile, PayeeKind, Payer, Payment, ResultFile


@dataclass(frozen=True)
class Method:
    """A way to pay. `writers` are its formats by name, the first one is taken unasked; `readers` those of results."""

    name: str
    writers: Mapping[str, Callable[[BatchFile], Iterator[bytes]]]
    readers: Mapping[str, Callable[[bytes], ResultFile]]
    payment_faults: Callable[[Payment, str, str], list[Fault]]
    payer_faults: Callable[[Payer, str], list[Fault]]
    currencies: frozenset[str]
    payee_kinds: frozenset[PayeeKind]
    payments_max: int
    reference_length: int  # of the end-to-end ids its files carry
    media_type: str
    suffix: str
    total_faults: Callable[[BatchFile], list[Fault]] = lambda _file: []

    @property
    def pays_from_an_account(self) -> bool:
        """Say whether its file names the account that pays."""
        return self.name in {"sepa", "nacha"}

    @property
    def usual_format(self) -> str:
        """The format that is written when nobody asks for another."""
        return next(iter(self.writers))


_OWN_RESULTS = {generic.NAME: generic.read}
_TABLE = (
    Method(
        "sepa",
        {pain001.V03: pain001.write_03, pain001.V09: pain001.write_09},
        {pain002.NAME: pain002.read, **_OWN_RESULTS},
        pain001.payment_faults, pain001.payer_faults, pain001.CURRENCIES, pain001.PAYEE_KINDS,
        pain001.PAYMENTS_MAX, pain001.REFERENCE_LENGTH, "application/xml", "xml",
    ),
    Method(
        "nacha", {nacha.NAME: nacha.write}, _OWN_RESULTS,
        nacha.payment_faults, nacha.payer_faults, nacha.CURRENCIES, nacha.PAYEE_KINDS,
        nacha.PAYMENTS_MAX, nacha.REFERENCE_LENGTH, "text/plain", "ach", nacha.total_faults,
    ),
    Method(
        "paypal", {paypal.NAME: paypal.write}, {paypal.NAME: paypal.read, **_OWN_RESULTS},
        paypal.payment_faults, paypal.payer_faults, paypal.CURRENCIES, paypal.PAYEE_KINDS,
        paypal.PAYMENTS_MAX, paypal.REFERENCE_LENGTH, "text/csv", "csv",
    ),
    Method(
        "wise", {wise.NAME: wise.write}, {wise.NAME: wise.read, **_OWN_RESULTS},
        wise.payment_faults, wise.payer_faults, wise.CURRENCIES, wise.PAYEE_KINDS,
        wise.PAYMENTS_MAX, wise.REFERENCE_LENGTH, "text/csv", "csv",
    ),
    Method(
        "csv", {generic.NAME: generic.write}, _OWN_RESULTS,
        generic.payment_faults, generic.payer_faults, generic.CURRENCIES, generic.PAYEE_KINDS,
        generic.PAYMENTS_MAX, generic.REFERENCE_LENGTH, "text/csv", "csv",
    ),
)  # fmt: skip
METHODS: Mapping[str, Method] = {method.name: method for method in _TABLE}
RESULT_FORMATS = tuple(dict.fromkeys(name for method in _TABLE for name in method.readers))
FILE_FORMATS = tuple(dict.fromkeys(name for method in _TABLE for name in method.writers))
