# Everything a person or the CI does with this repository. `make` alone lists it.
# Needs make and Python 3.11 or newer; everything else comes from requirements.lock into .venv, checked by hash.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules

PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null </dev/null \
	&& command -v "$$name" && break; done)
BIN    := .venv/bin
STAMP  := .venv/.installed
JOBS   ?= auto
SEEDS  ?= 2000
START  ?= 1
MINUTES ?= 60

.PHONY: help setup demo test check format docs lock soak simulate system bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with exactly what requirements.lock names

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "syncd needs Python 3.11 or newer (with venv) on the PATH, or make PYTHON=/path/to/python" >&2; exit 1; }
	@rm -f $@
	@test -x $(BIN)/python && $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| "$(PYTHON)" -m venv --clear .venv
	@echo "Installing into .venv what requirements.lock names; this takes a few minutes, once"
	$(BIN)/python -m pip install --quiet --require-virtualenv --only-binary :all: --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --require-virtualenv --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Show syncd at work on four simulated systems
	$(BIN)/syncd demo

test: setup ## Run the tests, on SQLite and on a PostgreSQL that they start themselves
	$(BIN)/python -m pytest -n $(JOBS)

check: setup ## Format, rules, types, imports, dependencies, dead code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict syncd migrations
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/vulture

format: setup ## Rewrite the code in its one format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: setup ## Renew the generated tables of docs/providers.md and docs/log.md
	$(BIN)/python -m tests.providers.page
	$(BIN)/python -m tests.log_page

lock: setup ## Resolve pyproject.toml anew into requirements.lock and requirements-runtime.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --group dev --group lint --group build --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --constraint requirements.lock --output-file requirements-runtime.lock

soak: setup ## Let the service live MINUTES=60 beside people and faults, restarts and kills; memory and files must stay flat
	$(BIN)/python -m tests.system.soak $(MINUTES)

simulate: setup ## Run SEEDS=2000 START=1 simulated lives, die at every point of the small ones, and make every defect
	$(BIN)/python -m tests.simulation $(SEEDS) $(START) 0
	$(BIN)/python -m tests.simulation 100 $(START) 0 --store sqlite
	$(BIN)/python -m tests.simulation $(SEEDS) $(START) 0 --workers 3
	$(BIN)/python -m tests.simulation.crashes
	$(BIN)/python -m tests.simulation.defects

system: setup ## Run the process against every fault and switch, on both databases, and kill it at every request
	SYSTEM_TESTS=long $(BIN)/python -m pytest -n $(JOBS) tests/system tests/dispatch
	$(BIN)/python -m tests.system.kills
	$(BIN)/python -m tests.system.kills --server embedded --every 3
	$(BIN)/python -m tests.system.kills --server embedded --every 12 --jobs 4 --workers
	$(BIN)/python -m tests.system.measures

bench: setup ## Measure what syncd costs beside loops by hand, and write docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks

clean: ## Remove .venv, caches and what the demo left
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist demo *.egg-info
	find syncd tests migrations -name __pycache__ -type d -prune -exec rm -rf {} +
