"""A browser without scripts, for tests: follows forms with their hidden fields."""

import re
from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient

from tests.conftest import PASSWORD, Answer, answer_of

HTML = {"Accept": "text/html"}


class _Fields(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self.action, self.inside, self.fields = action, False, dict[str, str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.inside = values.get("action") == self.action
        elif self.inside and tag == "input" and values.get("name"):
            self.fields[str(values["name"])] = values.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False


def fields(page: str, action: str) -> dict[str, str]:
    """Return the fields of the form with that action, as they came."""
    parser = _Fields(action)
    parser.feed(page)
    return parser.fields


def get(client: FlaskClient, path: str, **options: Any) -> Answer:
    """Open a page."""
    return answer_of(client.get(path, headers=HTML, **options))


def submit(client: FlaskClient, path: str, values: dict[str, str], **headers: str) -> Answer:
    """Send a form."""
    return answer_of(client.post(path, data=values, headers=HTML | headers))


def sign_in_by_form(client: FlaskClient, email: str, next_path: str = "/approvals") -> Answer:
    """Fill in the sign-in page as it came."""
    page = get(client, f"/sign-in?next={next_path}").text
    return submit(client, "/sign-in", fields(page, "/sign-in") | {"email": email, "password": PASSWORD})


def words_of(page: str) -> str:
    """Return a page's text with its markup taken out and its white space made one."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).strip()
