# `make` alone lists the commands. Only make and Python 3.11 or newer are presumed; all else is set up under .venv/.

PYTHON3 ?= python3
VENV := .venv
PYTHON := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime-is-set-up
DEVELOPMENT := $(VENV)/.development-is-set-up
LOCK := $(PYTHON) -m uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 pyproject.toml

# A process starts in half the time when our own modules are compiled already, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo run test check screenshots lock migrate bench
.DEFAULT_GOAL := help

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME)  ## play the whole story on sample data, then leave the console open; EXIT=1 ends there and judges it
	@exec $(PYTHON) -m web.demo

run: $(RUNTIME)  ## serve on HOST and PORT (127.0.0.1:8000) with the data under VAR_DIR (var); .env.example lists all settings
	@exec $(PYTHON) -m web.launch run

test: $(DEVELOPMENT)  ## run every test; REQUIRE_ALL=1 fails when a server or browser they need is missing
	@exec $(PYTHON) -m pytest -n 3 --dist worksteal

check: $(DEVELOPMENT)  ## format, lint, types, floors and sizes
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(PYTHON) -m pytest -q tests/test_tidy.py

screenshots: $(DEVELOPMENT)  ## pictures of the console with the demo's data, to docs/screenshots/
	@exec $(PYTHON) -m tests.web.screenshots

lock: $(DEVELOPMENT)  ## renew the lock files from pyproject.toml
	$(LOCK) --upgrade -o deploy/requirements.lock
	$(LOCK) --upgrade --extra dev -c deploy/requirements.lock -o deploy/requirements-dev.lock

migrate: $(RUNTIME)  ## bring the database to the newest revision
	@exec $(PYTHON) -m web.launch migrate

bench: $(DEVELOPMENT)  ## measure intake beside other frameworks, about 35 minutes; ARGS="--seconds 2 --only NAME,NAME" for less
	@exec $(PYTHON) -m bench.intake $(ARGS)

$(PYTHON):
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'Python 3.11 or newer is needed, and `$(PYTHON3)` is none; name another: make PYTHON3=/path/to/python3.11 ...' >&2; exit 1; }
	@echo 'setting up $(VENV) (once)'
	@$(PYTHON3) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo 'Python could not make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }

# pip says nothing unless it fails. A stamp older than its lock installs again, so a pulled change of the lock is followed.
$(RUNTIME): deploy/requirements.lock | $(PYTHON)
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(DEVELOPMENT): deploy/requirements-dev.lock | $(PYTHON)
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@
