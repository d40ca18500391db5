# Everything happens in .venv; the stamps make an install happen once for each pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin
DEMO := .demo
# A process for each core and one more, at most five: tests wait for processes now and then.
# Those of one file stay together and share what they start.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(5, 1 + (os.cpu_count() or 1)))')
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# make test ROOM=api
ROOM ?=
# Python keeps what it has compiled: a suite that starts hundreds of processes compiles once.
export PYTHONDONTWRITEBYTECODE :=
MEASURED := $(addprefix tests/,accounts api archive chat cli config connect datasets e2e hostile recipes run session text tui)

.PHONY: run test nightly check coverage mutation bench clean

# The app; where there is no terminal, a starter trained headless.
run: .venv/run.stamp
	@mkdir -p $(DEMO)
	@if [ -t 0 ] && [ -t 1 ]; then \
		cd $(DEMO) && ../$(BIN)/arkor-tui; \
	else \
		$(BIN)/arkor-tui init $(DEMO) --template triage && \
		cd $(DEMO) && ../$(BIN)/arkor-tui start --backend local; \
	fi

test: .venv/test.stamp
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS) $(addprefix tests/,$(ROOM))

# All of what is drawn from seeds, with new examples each time: an hour.
nightly: export ARKOR_TUI_TEST_NIGHTLY := 1
nightly: test

check: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Branches of four rooms, by the tests that train no model.
coverage: .venv/test.stamp
	rm -rf .coverage
	$(BIN)/python -m coverage run -m pytest $(PARALLEL) -m "not engine" $(MEASURED) $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage json -q -o .coverage/report.json
	$(BIN)/python scripts/branches.py .coverage/report.json

# What tests of the reconnect policy and of the guards let pass: docs/mutation.md.
mutation: .venv/mutation.stamp
	$(BIN)/mutmut run
	$(BIN)/mutmut results

bench: .venv/test.stamp
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv $(DEMO) .coverage mutants

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	touch $@

.venv/test.stamp: .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,dev]'
	touch $@

.venv/mutation.stamp: .venv/test.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local,dev,mutation]'
	touch $@
