# Everything one does with Headroom from a shell.  `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help install run chromium test test-all test-gpu audit mutants agent bench bench-search bench-load bench-inventory bench-accuracy calibrate validate docs lint format types screenshots parts-counts

BIN := .venv/bin
# The newest interpreter that serves; PYTHON=... names another one.
PYTHON ?= $(firstword $(foreach name,python3.14 python3.13 python3.12 python3.11 python3,$(if $(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
PYTEST_ARGS ?= -n auto --dist loadscope

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

# --- Use -------------------------------------------------------------------------------------------------------------
install: .venv/.requirements ## set up: virtualenv, requirements, database, catalog, static files
	@$(BIN)/python -m config.prepare
	@echo "Installed. Start it with: make run"

run: .venv/.requirements ## set up if need be, then run web, worker, scheduler and broker until Ctrl-C
	@exec $(BIN)/python -m config.supervisor

# --- Check -----------------------------------------------------------------------------------------------------------
test: .venv/.requirements-dev chromium lint types ## all checks and tests, in minutes
	$(BIN)/pytest $(PYTEST_ARGS)

test-all: .venv/.requirements-oracle chromium lint types ## the slow tests too
	$(BIN)/pytest $(PYTEST_ARGS) -m "not gpu"

test-gpu: .venv/.requirements-dev ## the tests that need an NVIDIA GPU and its driver
	$(BIN)/pytest -m gpu

audit: .venv/.requirements-dev ## compare the pinned packages with known vulnerabilities (asks the network)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m pip_audit --requirement requirements.txt --no-deps --disable-pip

mutants: .venv/.requirements-dev ## break formulas one by one; fails if the nearest tests miss over a tenth
	$(BIN)/python -m scripts.mutants

agent: .venv/.requirements ## the host agent in one file, build/headroom-agent.pyz
	@$(BIN)/python -m scripts.build_agent

bench: .venv/.requirements-dev ## how quick the engine is on this machine
	$(BIN)/pytest benchmarks -q --benchmark-columns=min,median,rounds --benchmark-sort=name

bench-search: .venv/.requirements-dev ## searches up to a thousand million plans; PEER=path of a checkout of Calculon
	$(BIN)/python -m scripts.bench_search $(if $(PEER),--peer $(PEER))

bench-load: .venv/.requirements-dev ## fifty people at once while ten searches run
	$(BIN)/python -m scripts.load

bench-inventory: .venv/.requirements-dev ## the fleet at 10,000 GPUs; BENCH_DATABASE_URL=postgres://... adds PostgreSQL
	$(BIN)/python -m scripts.bench_inventory
	$(if $(BENCH_DATABASE_URL),$(BIN)/python -m scripts.bench_inventory --database $(BENCH_DATABASE_URL))

bench-accuracy: .venv/.requirements-dev ## our error beside the one that peers report
	$(BIN)/python -m planner.accuracy.validate.beside_peers

# --- Fit and check the constants (the order matters: each step reads what the one before wrote) --------------------------
calibrate: .venv/.requirements-dev ## fit all constants to the measured runs, then validate
	$(BIN)/python -m planner.accuracy.fit.memory
	$(BIN)/python -m planner.accuracy.fit.timing
	$(BIN)/python -m planner.accuracy.fit.rollout
	@$(MAKE) --no-print-directory validate

validate: .venv/.requirements-dev ## predict every measured run; fails if a recorded error worsened (ACCEPT=1 records it)
	$(BIN)/python -m planner.accuracy.validate.write $(if $(ACCEPT),--accept)

docs: .venv/.requirements-dev ## write docs/formulas.md and docs/contract.md from the code
	$(BIN)/python -m scripts.formulas
	$(BIN)/python -m scripts.contract

parts-counts: .venv/.requirements-oracle ## count published configs anew as transformers builds them; WRITE=1 records it
	$(BIN)/python -m scripts.parts_counts $(if $(WRITE),--write)

# --- Style -----------------------------------------------------------------------------------------------------------
lint: .venv/.requirements-dev ## style and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types: .venv/.requirements-dev ## static types
	$(BIN)/mypy

format: .venv/.requirements-dev ## rewrite in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

screenshots: .venv/.requirements-dev chromium ## take the README's pictures anew
	$(BIN)/python scripts/screenshots.py

# Playwright drives the system's Chromium.  Without it the browser tests are skipped and say so.
chromium:
	@command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
			>/dev/null || echo "Chromium could not be installed: the browser tests will be skipped."; \
	else \
		echo "No Chromium: the browser tests will be skipped. Debian and Ubuntu: sudo apt-get install chromium"; \
	fi

# --- Set-up, done again only when the requirements change -----------------------------------------------------------------
.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Headroom needs Python 3.11 or later; name one with PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "No virtualenv could be made. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }

# A set-up that was interrupted leaves half a virtualenv behind: it is made anew.
.venv/.requirements: requirements.txt | .venv/bin/python
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt || { \
		$(PYTHON) -m venv --clear .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt; }
	@touch $@

.venv/.requirements-dev: requirements-dev.txt .venv/.requirements
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv/.requirements-oracle: requirements-oracle.txt .venv/.requirements-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-oracle.txt
	@touch $@
