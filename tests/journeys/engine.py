"""The whole engine as real processes on one database: gunicorn, an RQ worker, the ring, and a Valkey of its own."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests

from tests.conftest import KEY_ENCRYPTION_KEY, PASSWORD, SECRET_KEY
from tests.processes import ROOT, gunicorn, started
from tests.servers import start_valkey

PATIENCE_S = 60


@dataclass
class Person:
    """Someone signed in over HTTP, or a machine with its token."""

    url: str
    session: requests.Session
    staff_id: str = ""

    def call(self, method: str, path: str, *, expect: int = 200, **options: Any) -> Any:
        """Send a request, insist on its status, return the parsed body (or the bytes of a file)."""
        answer = self.session.request(method, f"{self.url}{path}", timeout=30, **options)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.content

    def get(self, path: str, *, expect: int = 200, **params: Any) -> Any:
        """GET."""
        return self.call("GET", path, expect=expect, params=params)

    def post(self, path: str, body: object = None, *, expect: int = 200) -> Any:
        """POST JSON."""
        return self.call("POST", path, expect=expect, json={} if body is None else body)

    def upload(self, path: str, name: str, content: str, fields: dict[str, str]) -> Any:
        """POST a file with fields."""
        return self.call("POST", path, expect=201, files={"file": (name, content.encode())}, data=fields)

    def items(self, path: str, **params: str) -> list[dict[str, Any]]:
        """GET a list to its end."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.call("GET", path, params={**params, **cursor})
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"after": page["next"]}


@dataclass
class Source:
    """A source as its network knows it: the address and the secret."""

    id: str
    url: str
    secret: str

    def signed_query(self, *, ts: int | None = None, **parameters: str) -> str:
        """Return the query a pb1 network fires."""
        query = urlencode({**parameters, "ts": str(ts if ts is not None else int(time.time()))})
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = f"pb1\nGET\n/postback/{self.id}\n{query}".encode()
        return f"{query}&sig={hmac.new(key, signed, hashlib.sha256).hexdigest()}"

    def fire(self, query: str) -> requests.Response:
        """Send a postback."""
        return requests.get(f"{self.url}/postback/{self.id}?{query}", timeout=30)


@dataclass
class Engine:
    """A running installation."""

    url: str
    folder: Path
    environment: dict[str, str]
    valkey: "subprocess.Popen[bytes]" = field(repr=False)

    def command(self, *words: str, stdin: str = "") -> Any:
        """Run `flask --app wsgi ...` as an operator does and return what it prints as JSON."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *words, "--json"]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **self.environment}, input=stdin, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def machine(self) -> Person:
        """Return a client with a fresh token of every scope."""
        token = self.command("token", "create", "journey", "--scope", "all-machine", "--days", "1")
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {token['token']}"
        return Person(self.url, session)

    def first_admin(self, email: str) -> Person:
        """Add the first person on the command line, and sign in over HTTP."""
        self.command("staff", "create", email, "--role", "admin", "--password-stdin", stdin=f"{PASSWORD}\n")
        return self._signed_in(email)

    def person(self, admin: Person, email: str, *roles: str) -> Person:
        """Add a person as an admin does in the console, and sign in over HTTP."""
        form = {"email": email, "password": PASSWORD, "roles[]": roles}
        answer = admin.session.post(f"{self.url}/people", data=form, allow_redirects=False, timeout=30)
        assert answer.status_code == 303, answer.text
        return self._signed_in(email)

    def _signed_in(self, email: str) -> Person:
        person = Person(self.url, requests.Session())
        answer = person.post("/session", {"email": email, "password": PASSWORD}, expect=201)
        person.staff_id = answer["staff_id"]
        person.session.headers["X-CSRF-Token"] = answer["csrf_token"]
        return person

    def end_valkey(self) -> None:
        """Kill Valkey."""
        self.valkey.kill()
        self.valkey.wait()

    def lose_redis(self) -> None:
        """Kill Valkey, throw away what it had, and start an empty one."""
        self.end_valkey()
        for path in (self.folder / "valkey").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.valkey = start_valkey(self.folder / "valkey")


@contextlib.contextmanager
def running(database_url: str, folder: Path) -> Iterator[Engine]:
    """Start everything on `database_url`, which is migrated; end it with the block."""
    (folder / "valkey").mkdir()
    environment = {
        "SECRET_KEY": SECRET_KEY,
        "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY,
        "DATABASE_URL": database_url,
        "REDIS_URL": f"unix://{folder}/valkey/valkey.sock",
        "VAR_DIR": str(folder),
        "COMPANY_NAME": "Harbour and Pine Retail",
        "COMPANY_IBAN": "DE75512108001245126199",
        "COMPANY_BIC": "SOGEDEFFXXX",
    }
    with contextlib.ExitStack() as stack:
        engine = Engine("", folder, environment, start_valkey(folder / "valkey"))
        stack.callback(engine.end_valkey)
        engine.url, _ = stack.enter_context(gunicorn(environment, folder))
        for job in ("work", "ring"):
            stack.enter_context(started([sys.executable, "worker.py", job], environment, folder / f"{job}.log"))
        yield engine


def until(found: Callable[[], Any], what: str) -> Any:
    """Ask `found` until it says something true, and return that."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: did not happen in {PATIENCE_S} s"
        time.sleep(0.1)
