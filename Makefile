# The two commands of a newcomer are `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DATABASE := sqlite:///demo.sqlite3
# Where this is set, as in many containers, each test process and each one it starts would compile every module.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-long test-agents lint format bench lock clean

demo: $(VENV)/.product
	DEBUG=true HTTPS=false DATABASE_URL=$(DEMO_DATABASE) $(BIN)/python -u manage.py demo

# Everything, twice: on SQLite, and on a real PostgreSQL that is started for it; and on the cluster that
# CITUS_URL names, where there is one.
test: lint
	$(BIN)/pytest -n 3 --dist worksteal
	$(BIN)/python -m tests.with_postgres $(BIN)/pytest -n 3 --dist worksteal
	$(BIN)/python -m tests.with_citus $(BIN)/pytest -n 3 --dist worksteal

# What takes minutes: long property runs, kills by the dozen and floods, on both databases; on PostgreSQL also what
# `make test` runs on SQLite only.
test-long: $(VENV)/.test
	$(BIN)/pytest -n 2 --long -m long
	$(BIN)/python -m tests.with_postgres $(BIN)/pytest -n 2 --long -m "long or once"
	$(BIN)/python -m tests.with_citus $(BIN)/pytest --long -m long tests/test_worker_kills.py

# Real libraries and agents against fake model APIs: the first run installs them, which takes minutes. It ends with a
# table of what was billed and what was booked.
test-agents: $(VENV)/.test
	$(BIN)/pytest tests/agents --agents

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	DEBUG=true $(BIN)/mypy .
	DEBUG=true $(BIN)/lint-imports
	DEBUG=true $(BIN)/python manage.py makemigrations --check --dry-run
	DEBUG=false SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_hex(32))') \
		ALLOWED_HOSTS=aicost.example $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The figures of docs/benchmarks.md, printed as tables and stored as JSON in RESULTS. ROWS is the size of the ledger
# in which reads are measured, PIECES the parts to run (default: all). Needs DuckDB and chdb, and says so if they are
# missing.
ROWS ?= 1000000
RESULTS ?= test-results/benchmarks
PIECES ?=
bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks --rows $(ROWS) --results $(RESULTS) $(PIECES)
	$(BIN)/python -m tests.with_citus $(BIN)/python -m tests.benchmarks.citus

# Needs uv. One lock for the product, one for its tests; both serve every Python from 3.11 on.
UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header pyproject.toml
lock:
	$(UV_COMPILE) -o requirements.lock
	$(UV_COMPILE) --extra test -c requirements.lock -o tests/requirements.lock

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; say which with: make PYTHON=python3.12 …" >&2; exit 1; }
	@# Half a one, as Debian makes without python3-venv, would pass for a whole one the next time.
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.product: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/.test: tests/requirements.lock $(VENV)/.product
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements.lock
	touch $@

clean:
	rm -rf $(VENV) demo.sqlite3* .mypy_cache .pytest_cache .ruff_cache .hypothesis
