"""What an act has done, said once on the page after it: words of ours, sealed, in a cookie of a minute."""

from urllib.parse import quote, unquote

import flask

from web.pages import sealing

COOKIE = "said"
_PURPOSE = "said"
_LENGTH_MAX = 300
_KEPT_S = 60


def put(response: flask.Response, said: str) -> flask.Response:
    """Return `response`, after which `said` is shown once."""
    if said:
        text = quote(said[:_LENGTH_MAX])
        secure = flask.request.is_secure
        response.set_cookie(
            COOKIE,
            f"{sealing.seal(_PURPOSE, text)}.{text}",
            max_age=_KEPT_S,
            httponly=True,
            samesite="Lax",
            secure=secure,
        )
    return response


def taken() -> str | None:
    """Return what the act before has to say. The seal keeps other sites from putting their own words here."""
    mark, _, text = flask.request.cookies.get(COOKIE, "").partition(".")
    if not text or not sealing.is_ours(_PURPOSE, text, mark):
        return None
    flask.g.is_said = True
    return unquote(text)


def forget(response: flask.Response) -> None:
    """Have the browser forget what was shown."""
    if flask.g.get("is_said"):
        response.delete_cookie(COOKIE)
