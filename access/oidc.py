"""Single sign-on by OpenID Connect: authorization code with PKCE, at one provider that the settings name.

The provider says who somebody is, once for the password; what they may do stands here alone, and nobody is added by
signing in. `authlib` reads and judges the ID token; which of our people it names is decided in access/identities.py.
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from core import outbound
from core.outbound import Got
from core.runtime import Runtime, SignOnProvider

ANSWER_BYTES_MAX = 256 * 1024
# A provider changes its addresses and keys seldom; a key that is not known yet is asked for at once, but not often.
KEPT_FOR = timedelta(hours=1)
ASKED_AGAIN_AFTER = timedelta(minutes=1)
# Of a provider's clock and ours.
LEEWAY_S = 60
# Signatures alone: a shared secret would let whoever knows the client's make tokens.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Begun:
    """Where the browser goes, and what it keeps until it comes back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Identity:
    """Whom the provider vouches for: `subject` never changes there, `email` may, and is verified or None."""

    issuer: str
    subject: str
    email: str | None


@dataclass(frozen=True)
class Refused:
    """Why nobody is known now, as a sentence for the log without anything of what was sent."""

    reason: str


# What providers have said, by address: believed without asking for as long as KEPT_FOR.
_KEPT: dict[str, tuple[datetime, Mapping[str, Any]]] = {}


def redirect_uri(runtime: Runtime) -> str:
    """Return the address that the provider must know as ours."""
    return f"{runtime.public_url}/sign-in/oidc/callback"


def begin(runtime: Runtime, provider: SignOnProvider) -> Begun | Refused:
    """Return where the browser goes to sign in there."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415 - few sign in so, all would load it
    from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415

    found = _configuration(runtime, provider)
    if isinstance(found, Refused):
        return found
    state, nonce, verifier = (secrets.token_urlsafe(_TOKEN_BYTES) for _ in range(3))
    url = prepare_grant_uri(
        found["authorization_endpoint"], provider.client_id, "code", redirect_uri(runtime), "openid email", state,
        nonce=nonce, code_challenge=create_s256_code_challenge(verifier),  # type: ignore[no-untyped-call]
        code_challenge_method="S256",
    )  # fmt: skip
    return Begun(str(url), state, nonce, verifier)


def finish(runtime: Runtime, provider: SignOnProvider, code: str, *, nonce: str, verifier: str) -> Identity | Refused:
    """Return whom the provider vouches for by `code`."""
    found = _configuration(runtime, provider)
    if isinstance(found, Refused):
        return found
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(runtime),
        "code_verifier": verifier,
    }
    headers = {}
    if "client_secret_basic" in found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]):
        # RFC 6749, 2.3.1: both are form-encoded before they are joined.
        joined = f"{quote(provider.client_id, safe='')}:{quote(provider.client_secret, safe='')}"
        headers["Authorization"] = f"Basic {b64encode(joined.encode()).decode()}"
    else:
        form |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
    got = outbound.submit(found["token_endpoint"], form, headers, bytes_max=ANSWER_BYTES_MAX)
    if not isinstance(got, Got):
        return Refused(f"the provider's token endpoint {got.reason}")
    try:
        token = json.loads(got.content)
        id_token, access_token = str(token["id_token"]), token.get("access_token")
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refused("the provider's token endpoint gave no ID token")
    return _judged(runtime, provider, found["jwks_uri"], id_token, access_token, nonce)


def _judged(  # noqa: PLR0917 - what an ID token is judged by
    runtime: Runtime, provider: SignOnProvider, keys_url: str, id_token: str, access_token: str | None, nonce: str
) -> Identity | Refused:
    from authlib.oidc.core import CodeIDToken  # noqa: PLC0415
    from joserfc import jwt  # noqa: PLC0415
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import KeySet  # noqa: PLC0415

    broken = (JoseError, ValueError, TypeError, KeyError, AttributeError)
    token, why = None, Refused("the ID token has no signature of the provider's")
    for kept_for in (KEPT_FOR, ASKED_AGAIN_AFTER):  # its key may be newer than what we keep
        keys = _asked(runtime, keys_url, kept_for=kept_for)
        if isinstance(keys, Refused):
            return keys
        try:
            token = jwt.decode(id_token, KeySet.import_key_set(dict(keys)), algorithms=list(ALGORITHMS))  # type: ignore[arg-type]
            break
        except broken as error:
            why = Refused(f"the ID token is not taken: {type(error).__name__}")
    if token is None:
        return why
    try:
        claims = CodeIDToken(
            token.claims, token.header,
            {"iss": {"essential": True, "value": provider.issuer},
             "aud": {"essential": True, "value": provider.client_id}},
            {"nonce": nonce, "client_id": provider.client_id, "access_token": access_token},
        )  # fmt: skip
        claims.validate(now=int(runtime.clock().timestamp()), leeway=LEEWAY_S)
    except broken as error:
        return Refused(f"the ID token is not taken: {type(error).__name__}")
    email = claims.get("email") if claims.get("email_verified") is True else None
    return Identity(provider.issuer, str(claims["sub"]), str(email).strip().lower() if email else None)


def _configuration(runtime: Runtime, provider: SignOnProvider) -> Mapping[str, Any] | Refused:
    url = f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration"
    found = _asked(runtime, url, kept_for=KEPT_FOR)
    if isinstance(found, Refused):
        return found
    needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if found.get("issuer") != provider.issuer or not all(isinstance(found.get(name), str) for name in needed):
        return Refused("the provider's configuration is not that of the issuer, or lacks addresses")
    return found


def _asked(runtime: Runtime, url: str, *, kept_for: timedelta) -> Mapping[str, Any] | Refused:
    now = runtime.clock()
    kept = _KEPT.get(url)
    if kept is not None and timedelta(0) <= now - kept[0] < kept_for:
        return kept[1]
    got = outbound.get(url, bytes_max=ANSWER_BYTES_MAX)
    if not isinstance(got, Got):
        return Refused(f"the provider {got.reason}")
    try:
        found = json.loads(got.content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return Refused("the provider answered something that is no JSON object")
    _KEPT[url] = (now, found)
    return found
