"""The gunicorn door: `gunicorn -k asgi wsgi:whole`, and for two services `wsgi:intake` beside `wsgi:app`.

`app` is the Flask application, with the postback door in front of it, for servers with threads and for `flask --app`.
`intake` takes postbacks alone, on an event loop. `whole` does both: postbacks on the loop, everything else in threads.
"""

# ruff: noqa: E402 - what is set before the rest is imported has to stand before it

import os

from core import collector

collector.rarely()

import config
from core import logs, runtime
from web import assembly, service
from web.app import DOOR, create_app

logs.configure()
settings = config.load(os.environ)
runtime.install(assembly.build(settings))
app = create_app(settings)
intake = service.intake(app.extensions[DOOR])
whole = service.whole(intake, app)
