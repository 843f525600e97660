"""Single sign-on: to the provider and back; what the browser carries meanwhile is sealed and over in ten minutes."""

import hmac
import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta

import flask

from access import identities, oidc, people, second_factor
from access.oidc import Begun, Identity, Refused
from core.errors import NotFound
from core.http.doors import OPEN
from core.runtime import Runtime, SignOnProvider, installed
from web import session as sessions
from web.pages import frame, sealing
from web.pages.frame import page
from web.pages.session import led_on

log = logging.getLogger(__name__)

blueprint = flask.Blueprint("sign_on_pages", __name__)
COOKIE = _PURPOSE = "sign-on"
GOOD_FOR = timedelta(minutes=10)
PATH = "/sign-in/oidc"
# Codes and states are some dozens of characters; what is longer is somebody's play.
_PARAMETER_LENGTH_MAX = 4000


@page(blueprint, "GET", PATH, door=OPEN, transaction=False)
def begin() -> flask.Response | tuple[str, int]:
    """Lead to the provider."""
    runtime, next_path = installed(), frame.local_path(flask.request.args.get("next"))
    begun = oidc.begin(runtime, _provider(runtime))
    if isinstance(begun, Refused):
        log.warning("single sign-on: %s", begun.reason)
        return led_on(sessions.NotSignedIn("sign-on-away"), next_path)
    response = flask.make_response(flask.redirect(begun.url, 303))
    response.set_cookie(
        COOKIE, _sealed(runtime, begun, next_path), max_age=int(GOOD_FOR.total_seconds()), path=PATH, httponly=True,
        samesite="Lax", secure=runtime.public_url.startswith("https://"),
    )  # fmt: skip
    return response


@page(blueprint, "GET", f"{PATH}/callback", door=OPEN, transaction=False)
def callback() -> flask.Response:
    """Sign in whom the provider vouches for, if he is one of ours."""
    runtime = installed()
    response = flask.make_response(_answered(runtime, _provider(runtime)))
    response.delete_cookie(COOKIE, path=PATH)
    return response


def _answered(runtime: Runtime, provider: SignOnProvider) -> flask.Response | tuple[str, int]:
    kept = _opened(runtime, flask.request.cookies.get(COOKIE, ""))
    state, code = (flask.request.args.get(name, "")[:_PARAMETER_LENGTH_MAX] for name in ("state", "code"))
    if kept is None or not hmac.compare_digest(kept["state"].encode(), state.encode()):
        return led_on(sessions.NotSignedIn("over"), None)
    next_path = kept["next"]
    if not code:  # the person gave up there, or the provider would not
        return led_on(sessions.NotSignedIn("sign-on-refused"), next_path)
    found = oidc.finish(runtime, provider, code, nonce=kept["nonce"], verifier=kept["verifier"])
    if not isinstance(found, Identity):
        log.warning("single sign-on: %s", found.reason)
        return led_on(sessions.NotSignedIn("sign-on-refused"), next_path)
    return _signed_in(runtime, found, next_path)


def _signed_in(runtime: Runtime, found: Identity, next_path: str) -> flask.Response | tuple[str, int]:
    with runtime.transaction() as session:
        staff = identities.staff_of(runtime, session, found)
        if staff is None:
            return led_on(sessions.NotSignedIn("sign-on-nobody"), next_path)
        # It stands for the password. A second factor of ours is asked for all the same.
        if second_factor.is_on(session, staff.id):
            return led_on(sessions.NotSignedIn("code-needed", staff.id), next_path, staff.email)
        return led_on(people.open_session(session, staff, now=runtime.clock()), next_path)


def _provider(runtime: Runtime) -> SignOnProvider:
    if runtime.sign_on is None:
        message = "no single sign-on is set up here"
        raise NotFound(message)
    return runtime.sign_on


def _sealed(runtime: Runtime, begun: Begun, next_path: str) -> str:
    until = int((runtime.clock() + GOOD_FOR).timestamp())
    kept = {"state": begun.state, "nonce": begun.nonce, "verifier": begun.verifier, "next": next_path, "until": until}
    text = urlsafe_b64encode(json.dumps(kept).encode()).decode()
    return f"{sealing.seal(_PURPOSE, text)}.{text}"


def _opened(runtime: Runtime, cookie: str) -> dict[str, str] | None:
    mark, _, text = cookie.partition(".")
    if not text or not sealing.is_ours(_PURPOSE, text, mark):
        return None
    kept: dict[str, str] = json.loads(urlsafe_b64decode(text))
    return kept if int(kept["until"]) >= runtime.clock().timestamp() else None
