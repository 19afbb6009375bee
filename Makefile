# `make run` and `make test` are all that a newcomer needs. Python 3.11 or newer and make must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run test kills ledger reloads lint lock schema bench clean

run: $(VENV)/run.stamp
	$(BIN)/smsbat-gateway demo $(ARGS)

test: $(VENV)/dev.stamp
	$(BIN)/pytest -n 5 --dist worksteal $(ARGS)

# The long form of the crash test: the gateway is killed a hundred times while reports go out.
kills: $(VENV)/dev.stamp
	GATEWAY_TEST_KILLS=100 $(BIN)/pytest -s tests/test_callback_faults.py -k kills $(ARGS)

# The books of clients, SMSBAT and partner after more than 500 kills: some 15 minutes. docs/ledger.md says how to read it.
ledger: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.ledger $(ARGS)

reloads: $(VENV)/dev.stamp
	GATEWAY_TEST_RELOADS=200 $(BIN)/pytest tests/test_reload.py -k under_load

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Needs wrk, nginx with Lua, and Kannel: docs/performance.md names the packages. ARGS=--quick takes two minutes.
bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(ARGS)

schema: $(VENV)/run.stamp
	$(BIN)/smsbat-gateway schema > mappings/schema.json

# Only what the lock files name, with their hashes. The gateway itself is installed in place.
$(VENV)/run.stamp: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

lock: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --all-build-deps -o requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --extra dev --all-build-deps -o requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) build *.egg-info
