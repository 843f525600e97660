"""The one way out to other people's servers: bounded in time and size, without redirects, and without surprises."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 15
ANSWER_BYTES_MAX = 64 * 1024
_FOUND = 200
_OK = range(200, 300)
# Standard Webhooks: the one answer that asks to stop. Any other refusal may be a mistake that somebody puts right.
_GONE = 410


@dataclass(frozen=True)
class Answered:
    """The other server took it."""

    status: int


@dataclass(frozen=True)
class NotTaken:
    """It did not, for a `reason` without any of what was sent; `is_worth_repeating`: later may be better."""

    reason: str
    is_worth_repeating: bool


@dataclass(frozen=True)
class Got:
    """What the other server gave, whole."""

    content: bytes


def get(url: str, *, bytes_max: int) -> Got | NotTaken:
    """GET `url`, an address the operator has chosen; an answer longer than `bytes_max`, or a redirect, is none."""
    return _got("GET", url, bytes_max)


def submit(url: str, form: Mapping[str, str], headers: Mapping[str, str], *, bytes_max: int) -> Got | NotTaken:
    """POST `form` to `url`, an address the operator has chosen, and return what it gives as `get` does."""
    return _got("POST", url, bytes_max, data=dict(form), headers=dict(headers))


def _got(method: str, url: str, bytes_max: int, **sent: Any) -> Got | NotTaken:
    try:
        with _session() as session, session.request(
            method, url, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S), allow_redirects=False, stream=True, **sent
        ) as answer:  # fmt: skip
            if answer.status_code != _FOUND:
                return NotTaken(f"answered {answer.status_code}", is_worth_repeating=True)
            content = b""
            for part in answer.iter_content(ANSWER_BYTES_MAX):
                content += part
                if len(content) > bytes_max:
                    return NotTaken(f"answered more than {bytes_max} bytes", is_worth_repeating=False)
    except requests.RequestException as error:
        return NotTaken(type(error).__name__, is_worth_repeating=True)
    return Got(content)


def _session() -> requests.Session:  # noqa: TID251 - this is core.outbound
    session = requests.Session()  # noqa: TID251 - this is core.outbound
    # The operator's environment must not send it through a proxy, nor add what stands in ~/.netrc.
    session.trust_env = False
    return session


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answered | NotTaken:
    """POST `body` to `url`, an address the operator has chosen, and read no more of the answer than its status.

    A redirect is no answer: it would carry a signed body to a place that nobody has chosen.
    """
    try:
        with _session() as session, session.post(
            url,
            data=body,
            headers=dict(headers),
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            allow_redirects=False,
            stream=True,
        ) as answer:  # fmt: skip
            answer.raw.read(ANSWER_BYTES_MAX)
            status = answer.status_code
    except requests.RequestException as error:
        # Only the class: the text names the address, and with it perhaps a token.
        return NotTaken(type(error).__name__, is_worth_repeating=True)
    if status in _OK:
        return Answered(status)
    return NotTaken(f"answered {status}", is_worth_repeating=status != _GONE)
