# Everything runs in .venv, made from the lock files in requirements/ with every hash checked.
PYTHON ?= python3
.DEFAULT_GOAL := help
.PHONY: help setup demo test serve check format bench simulate lock clean

BIN := .venv/bin
PIP := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-deps --require-hashes

help:  ## print this
	@echo "loyalty: a points engine. Needs python3 (3.11 or newer) with pip; everything else is installed into .venv"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.demo  ## replay a real shop's year, then leave a server to try (DEMO_EXIT=1: stop; ALL=1: all baskets)
	$(BIN)/loyalty demo $(if $(DEMO_EXIT),--exit) $(if $(ALL),--all)

test: .venv/.dev  ## run all tests against a real Postgres and a real Redis (TESTS=path narrows)
	$(BIN)/python -m pytest $(TESTS)

serve: .venv/.demo  ## start the server; its settings are listed by .venv/bin/loyalty serve --help
	$(BIN)/loyalty serve

check: .venv/.dev  ## format, lint, types, directions of imports, licences: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip-licenses --summary

format: .venv/.dev  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev  ## measure (QUICK=1: a minute, only to see that it runs)
	$(BIN)/python -m bench $(if $(QUICK),--quick)

simulate: .venv/.dev  ## drive the engine and a model of the design with the same random steps (SECONDS=60)
	$(BIN)/python -m tests.simulation.simulate --processes 2 --seconds $(or $(SECONDS),60)

setup: .venv/.dev  ## make the private environment and stop there

lock:  ## write the lock files anew (needs uv; UPGRADE=--upgrade takes newer versions)
	UPGRADE=$(UPGRADE) requirements/lock

clean:  ## remove the environment and caches; data in .loyalty stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Without pip inside: Debian's python3 lacks ensurepip until python3-venv is installed, and pip reaches in from outside.
.venv/.base: requirements/build.txt requirements/server.txt requirements/demo.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make … PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null \
		|| { echo "pip is needed: apt install python3-pip, or make … PYTHON=/path/to/python3"; exit 1; }
	@echo "making .venv"
	@$(PYTHON) -m venv --clear --without-pip .venv
	@$(INSTALL) -r requirements/build.txt
	@touch $@

.venv/.demo: .venv/.base pyproject.toml
	@echo "installing what the server and the demo need"
	@$(INSTALL) -r requirements/demo.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

.venv/.dev: .venv/.demo requirements/dev.txt
	@echo "installing what tests and checks need"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@
