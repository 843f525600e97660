"""The gunicorn door: `gunicorn wsgi:app`."""

import os

import config
from core import logs, runtime
from web import assembly
from web.app import create_app

logs.configure()
settings = config.load(os.environ)
runtime.install(assembly.build(settings))
app = create_app(settings)
