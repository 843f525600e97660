"""An HTTP client of Clickledger: people and machines at the API, networks at the postback door."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter

from core.clock import system_clock

THREADS = 8
TIMEOUT_S = 60
PAGE_ITEMS = 500
TOO_MANY = 429
TRIES_MAX = 20

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")


class StoryBrokenError(Exception):
    """What did not happen as the story says, in a sentence."""


def connections() -> requests.Session:
    """Return a session that keeps a connection a thread, and heeds no proxy of the environment."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=THREADS))
    return session


@dataclass
class Client:
    """Someone at the API: a machine with its token or a person signed in; `name` is for what the demo says."""

    url: str
    name: str
    session: requests.Session = field(default_factory=connections, repr=False)

    @classmethod
    def with_token(cls, url: str, token: str) -> "Client":
        """Return a machine."""
        client = cls(url, "the machine")
        client.session.headers["Authorization"] = f"Bearer {token}"
        return client

    @classmethod
    def signed_in(cls, url: str, name: str, email: str, password: str) -> "Client":
        """Sign a person in: from here on the cookie and the CSRF token go with every act."""
        client = cls(url, name)
        answer = client.post("/session", {"email": email, "password": password})
        client.session.headers["X-CSRF-Token"] = answer["csrf_token"]
        return client

    def get(self, path: str, **query: str) -> Any:
        """GET JSON."""
        return self._answered(self._send("GET", path, params=query)).json()

    def download(self, path: str, **query: str) -> bytes:
        """GET a file."""
        return self._answered(self._send("GET", path, params=query)).content

    def post(self, path: str, body: object = None) -> Any:
        """POST JSON; return what comes back, None for nothing."""
        answer = self._answered(self._send("POST", path, json={} if body is None else body))
        return answer.json() if answer.content else None

    def patch(self, path: str, body: object) -> Any:
        """PATCH JSON."""
        return self._answered(self._send("PATCH", path, json=body)).json()

    def upload(self, path: str, name: str, content: bytes, fields: Mapping[str, str]) -> Any:
        """POST a file with its fields."""
        return self._answered(self._send("POST", path, files={"file": (name, content)}, data=fields)).json()

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return a list to its end."""
        return list(self._pages(path, {**query, "limit": str(PAGE_ITEMS)}))

    def refusal(self, path: str, body: object) -> str:
        """POST what must be refused with 403, and return the reason given."""
        answer = self._send("POST", path, json=body)
        if answer.status_code != requests.codes.forbidden:
            message = f"{self.name} should have been refused at {path}, but was answered {answer.status_code}"
            raise StoryBrokenError(message)
        return str(answer.json()["detail"])

    def visit(self, path: str) -> str:
        """Follow a link as a browser does, but not to where it leads: return the destination."""
        answer = self._answered(self._send("GET", path, allow_redirects=False))
        return answer.headers["Location"]

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        while True:
            page = self.get(path, **query)
            yield from page["items"]
            if page["next"] is None:
                return
            query["after"] = page["next"]

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, f"{self.url}{path}", timeout=TIMEOUT_S, **options)

    def _answered(self, answer: requests.Response) -> requests.Response:
        if answer.status_code >= requests.codes.bad_request:
            asked = f"{answer.request.method} {answer.request.path_url}"
            message = f"{self.name}: {asked} was answered {answer.status_code}: {answer.text[:500]}"
            raise StoryBrokenError(message)
        return answer


@dataclass
class Sender:
    """A network that fires postbacks at its source and signs them as it was shown."""

    url: str
    source_id: str
    scheme: str
    secret: str = field(repr=False)
    session: requests.Session = field(default_factory=connections, repr=False)

    def fire(
        self, told: Mapping[str, str], *, sent_at: int | None = None, tamper: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Send one postback and return the answer's code and status; `tamper` changes values after the signing."""
        seconds = str(int(system_clock().timestamp()) if sent_at is None else sent_at)
        send = self._post if self.scheme == "sw1" else self._get
        for _ in range(TRIES_MAX):
            answer = send(told, seconds, tamper or {})
            if answer.status_code != TOO_MANY:
                break
            # As networks do: what was too much now is sent again later.
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        return answer.status_code, str(answer.json().get("status"))

    def _get(self, told: Mapping[str, str], seconds: str, tamper: Mapping[str, str]) -> requests.Response:
        path = f"/postback/{self.source_id}"
        query = urlencode({**told, "ts": seconds})
        signature = self._mac(f"pb1\nGET\n{path}\n{query}").hex()
        sent = urlencode({**told, "ts": seconds, **tamper})
        return self.session.get(f"{self.url}{path}?{sent}&sig={signature}", timeout=TIMEOUT_S)

    def _post(self, told: Mapping[str, str], seconds: str, tamper: Mapping[str, str]) -> requests.Response:
        body = json.dumps(told, separators=(",", ":"))
        message_id = f"msg_{hashlib.sha256(f'{seconds}{body}'.encode()).hexdigest()[:27]}"
        signature = base64.b64encode(self._mac(f"{message_id}.{seconds}.{body}")).decode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": seconds,
            "webhook-signature": f"v1,{signature}",
        }
        sent = json.dumps({**told, **tamper}, separators=(",", ":"))
        return self.session.post(f"{self.url}/postback/{self.source_id}", data=sent, headers=headers, timeout=TIMEOUT_S)

    def _mac(self, signed: str) -> bytes:
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        return hmac.new(key, signed.encode(), hashlib.sha256).digest()


def at_once(act: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> list[ResultT]:
    """Do `act` for all items, THREADS at a time; the results stand in the items' order."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(act, items))


def until(found: Callable[[], ResultT | None], what: str, *, within_s: float = 60) -> ResultT:
    """Ask `found` until it finds something, and return that; the stages work on their own."""
    end = time.monotonic() + within_s
    while True:
        result = found()
        if result is not None:
            return result
        if time.monotonic() > end:
            message = f"waited {within_s:.0f} s in vain: {what}"
            raise StoryBrokenError(message)
        time.sleep(0.1)
