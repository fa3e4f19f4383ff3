# `make` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run test bench screenshots docs licences lint format install binaries wheels system-packages lock clean

# The first Python on the PATH that is new enough; `make PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$python; break; fi; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Named for what is in the lock file, so that a changed lock installs again and a fresh checkout of the same one does not.
RUN_STAMP := $(VENV)/.run-$(shell cksum < requirements/run.txt | tr ' ' '-')
DEV_STAMP := $(VENV)/.dev-$(shell cksum < requirements/dev.txt | tr ' ' '-')
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes
# One process more than there are cores, up to four, each with servers of its own: who waits for a server leaves a core to
# the others. Each reads all tests, in half the time where they are compiled, which some environments switch off.
PYTEST := PYTHONDONTWRITEBYTECODE= \
	PYTEST_XDIST_AUTO_NUM_WORKERS=$${PYTEST_XDIST_AUTO_NUM_WORKERS:-$$(($$(getconf _NPROCESSORS_ONLN) + 1))} \
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4
# What `check --deploy` would see in production; nothing is connected to.
DEPLOYED := CREDBOARD_HTTPS=true CREDBOARD_ALLOWED_HOSTS=credboard.example.com DATABASE_URL=sqlite://:memory:
TEMPLATES = $(shell find templates -name '*.html')

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN_STAMP) ## Install what it needs and start everything on this machine (ARGS=... for manage.py up)
	@exec $(BIN)/python manage.py up $(ARGS)

ifdef ARGS
# Without what only other tests may need: it would be built for ten minutes first.
test: $(DEV_STAMP)
	$(BIN)/python -m pytest $(ARGS)
else
test: $(DEV_STAMP) system-packages binaries wheels ## Run all tests, on PostgreSQL what uses the database, then everything on SQLite (ARGS=tests/... for some)
	$(PYTEST) --database postgres -m database
	$(PYTEST) --database sqlite --cov --cov-report=term
endif

bench: $(DEV_STAMP) binaries ## Measure it beside what one would run instead (ARGS=... for sizes)
	$(BIN)/python -m tests.bench $(ARGS)

screenshots: $(DEV_STAMP) system-packages ## Take the pictures of docs/images, and of every page into screenshots/
	$(BIN)/python -m tests.browser.screenshots

docs: $(DEV_STAMP) ## Build the documentation into site/; warnings are errors
	@# Material's advertisement for its next version is no warning of ours.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

licences: $(DEV_STAMP) ## Write docs/licences.md
	$(BIN)/python -m tests.licences

lint: $(DEV_STAMP) docs ## The gate but for the tests: style, types, layers, migrations, deployment checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djade --check --target-version 5.2 $(TEMPLATES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py checkdocs --check
	DATABASE_URL=sqlite://:memory: $(BIN)/python manage.py settingsdocs --check
	$(BIN)/python -m tests.licences --check
	@# A key of the right length, made up for this one command.
	$(DEPLOYED) CREDBOARD_SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))') \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(DEV_STAMP) ## Put code and templates into the style that lint asks for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djade --target-version 5.2 $(TEMPLATES)

install: $(DEV_STAMP) ## Install what development needs into .venv

binaries: $(DEV_STAMP) ## Build kube-apiserver, etcd, kubectl and helm with Go (ten minutes once, then kept in ~/.cache/credboard)
	@$(BIN)/python -m tests.rig.binaries || [ "$$CI" != true ]

wheels: $(DEV_STAMP) ## Fetch the wheels that the image is made of (once for each lock file, then kept in ~/.cache/credboard)
	@$(BIN)/python -m tests.rig.wheels || [ "$$CI" != true ]

system-packages: $(DEV_STAMP) ## Install PostgreSQL, Chromium and fonts where they are missing
	@$(BIN)/python -m tests.rig.system_packages

# Without the address of an index in the files: each machine has its own.
lock: $(BIN)/python ## Write requirements/*.txt from pyproject.toml (ARGS=--upgrade for newer versions)
	$(BIN)/python -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --disable-pip-version-check --quiet uv
	$(VENV)/lock/bin/uv pip compile pyproject.toml --extra demo --universal --generate-hashes \
		--no-header --quiet $(ARGS) -o requirements/run.txt
	$(VENV)/lock/bin/uv pip compile pyproject.toml --extra demo --group dev --universal --generate-hashes \
		--no-header --quiet $(ARGS) -o requirements/dev.txt

clean: ## Remove caches and reports; .venv and data/ stay
	rm -rf .coverage .coverage.* htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "Credboard needs Python 3.11 or newer, and none is on the PATH." \
		"Install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Credboard needs Python 3.11 or newer; $(PYTHON) is" \
		"$$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make a virtual environment." \
		"On Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(RUN_STAMP): | $(BIN)/python
	@echo "Installing what Credboard needs into $(VENV)"
	@$(PIP_INSTALL) -r requirements/run.txt
	@rm -f $(VENV)/.run-* && touch $@

$(DEV_STAMP): | $(BIN)/python
	@echo "Installing what development needs into $(VENV)"
	@$(PIP_INSTALL) -r requirements/dev.txt
	@rm -f $(VENV)/.dev-* && touch $@
