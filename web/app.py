"""The application factory: rooms, doors, problems, documents, health."""

import flask
from flask_migrate import Migrate
from flask_smorest import Api
from werkzeug.middleware.proxy_fix import ProxyFix

import approvals.routes
import approvals.rules_routes
import ledger.routes
import partners.routes
import payouts.account_routes
import payouts.category_routes
import payouts.fx_routes
import payouts.routes
import payouts.write_off_routes
import postback.routes
import reports.advertiser_routes
import reports.bank_routes
import reports.delivery.routes
import reports.exports.routes
import reports.importing.routes
import reports.match_act_routes
import reports.match_routes
import reports.period_routes
import reports.remittance_routes
import reports.resolving.routes
import reports.routes
import tracking.routes
from config import Settings
from core.runtime import installed
from postback.door import Door
from web import audit, commands, documents, guard, health, problems, proxies, requests, session, stage_runs
from web.pages import console

# More than the largest import of the spine; the postback door has its own, far smaller bound.
BODY_BYTES_MAX = 64 * 1024 * 1024

# Under which name an application keeps its postback door.
DOOR = "clickledger_postback_door"

OPENAPI = {
    "API_TITLE": "Clickledger",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.0.3",
    "OPENAPI_URL_PREFIX": None,
    "PROPAGATE_EXCEPTIONS": False,
    "API_SPEC_OPTIONS": {
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": guard.COOKIE},
            }
        }
    },
}


class _Api(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """flask-smorest's documents without its error bodies: web/problems.py answers all errors."""

    ERROR_SCHEMA = problems.ProblemSchema

    def _register_error_handlers(self) -> None:
        """Leave errors alone."""


def create_app(settings: Settings) -> flask.Flask:
    """Return the application for `settings`; the process's runtime is installed beforehand."""
    app = rooms()
    open_postback_door(app, settings)
    return app


def open_postback_door(app: flask.Flask, settings: Settings) -> None:
    """Put a postback door before the rooms, and what `settings` want before that; in the place of an earlier one."""
    door = Door(installed, hops=settings.trusted_proxy_hops, processes=settings.web_processes)
    app.extensions[DOOR] = door
    inner = flask.Flask.wsgi_app.__get__(app)
    app.wsgi_app = door.in_front_of(inner)  # type: ignore[method-assign, assignment]
    if settings.trusted_proxy_hops:
        hops = settings.trusted_proxy_hops
        # The sender's address is ours to find: with an open quote in the header, ProxyFix takes him for our proxy.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            proxies.in_front_of(app.wsgi_app, hops=hops), x_for=0, x_proto=hops, x_host=hops
        )


def rooms() -> flask.Flask:
    """Return the application but for its postback door. It is the same for all settings, and takes long to make."""
    app = flask.Flask("web")
    app.config.update(OPENAPI, MAX_CONTENT_LENGTH=BODY_BYTES_MAX)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the provider's own switch, not on its base class
    Migrate(app, directory=str(commands.MIGRATIONS))
    requests.register(app)
    guard.register(app)
    problems.register(app)
    api = _Api(app)
    for blueprint in (
        session.blueprint,
        partners.routes.blueprint,
        tracking.routes.blueprint,
        postback.routes.blueprint,
        ledger.routes.blueprint,
        approvals.routes.blueprint,
        approvals.rules_routes.blueprint,
        payouts.routes.blueprint,
        payouts.account_routes.blueprint,
        payouts.category_routes.blueprint,
        payouts.fx_routes.blueprint,
        payouts.write_off_routes.blueprint,
        reports.routes.blueprint,
        reports.remittance_routes.blueprint,
        reports.advertiser_routes.blueprint,
        reports.match_routes.blueprint,
        reports.match_act_routes.blueprint,
        reports.resolving.routes.blueprint,
        reports.period_routes.blueprint,
        reports.delivery.routes.blueprint,
        reports.exports.routes.blueprint,
        reports.importing.routes.blueprint,
        reports.bank_routes.blueprint,
        stage_runs.blueprint,
        audit.blueprint,
    ):
        api.register_blueprint(blueprint)
    documents.register(app, api)
    health.register(app)
    console.register(app)
    commands.register(app)
    return app
