# `make help` lists what there is to run. CI runs exactly `make check` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# torch goes in first and by this exact pin: any looser one lets pip choose a build with gigabytes of CUDA packages.
TORCH := torch==2.13.0

# Debian packages that tests need, installed with apt-get where that is possible.
APT_PACKAGES := bubblewrap

# Ruff does not follow folder symlinks, so it is given the real folders; mypy does, and names each module once.
FOLDERS := ragweave orchestrator tools retrievers prompts evals tests $(wildcard benchmarks examples)
MYPY_FOLDERS := ragweave tests

COOKBOOK := examples/cookbook/cookbook.yaml
QUESTION := Which two spices are normally left out of garam masala but added when it is meant for biriyani?

.PHONY: help install demo check test test-long bench fmt pins clean

help: ## Show what there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One stamp per layer of the environment: the demo needs the second, checks and tests the third.
$(VENV)/.torch: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ragweave needs Python 3.11 or newer; this is %s. Name another with PYTHON=..." % sys.version.split()[0])'
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing $(TORCH)"
	@$(PIP) install "$(TORCH)"
	@touch $@

$(VENV)/.local: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "installing ragweave with its local models"
	@$(PIP) install -c constraints.txt -e '.[local]'
	@touch $@

$(VENV)/.all: $(VENV)/.local
	@echo "installing what checks, tests and the other extras need"
	@$(PIP) install -c constraints.txt -e '.[all]'
	@packages="$(strip $(APT_PACKAGES))"; \
	missing=""; for p in $$packages; do dpkg -s "$$p" >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	    echo "tests need these Debian packages, please install them:$$missing" >&2; exit 1; fi; \
	  echo "installing$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
	@touch $@

install: $(VENV)/.all ## Create .venv with everything that checks and tests need

demo: $(VENV)/.local ## Index the cookbook and ask it a question, offline and with no key
	@echo '$$ ragweave index $(COOKBOOK)'
	@$(BIN)/ragweave index $(COOKBOOK)
	@echo
	@echo '$$ ragweave ask $(COOKBOOK) "$(QUESTION)"'
	@$(BIN)/ragweave ask $(COOKBOOK) "$(QUESTION)"
	@echo
	@echo "Next:"
	@echo "  source $(BIN)/activate"
	@echo "  ragweave ask $(COOKBOOK) \"How long is limoncello infused?\""
	@echo "  ragweave ask --docs ./my-notes \"...\"   the same over your own files, with no graph to write"
	@echo "  ragweave draw $(COOKBOOK)      see the graph"
	@echo "  less $(COOKBOOK)               read it: the whole program is this file"

check: install ## Lint, check formatting and types, and test the conventions and the documentation
	@$(BIN)/ruff check -q $(FOLDERS)
	@$(BIN)/ruff format -q --check $(FOLDERS)
	@$(BIN)/mypy $(MYPY_FOLDERS)
	@$(BIN)/python -m pytest -q -n auto tests/conventions

# The conventions are tested by `make check`; CI runs both, so that each test runs once.
test: install ## Run the tests, but for those of `make check`
	@$(BIN)/python -m pytest -q -n auto --ignore=tests/conventions

test-long: install ## Run the long tests: kill -9, fuzzing, browsers
	@$(BIN)/python -m pytest -q -m long

bench: install ## Measure against peers
	@$(BIN)/python benchmarks/run.py

fmt: install ## Format the code and fix what can be fixed safely
	@$(BIN)/ruff check -q --fix --exit-zero $(FOLDERS)
	@$(BIN)/ruff format -q $(FOLDERS)

pins: ## Write constraints.txt anew from the newest releases that pyproject.toml allows
	@rm -rf build/pins && $(PYTHON) -m venv build/pins
	@build/pins/bin/python -m pip --disable-pip-version-check -qq install "$(TORCH)"
	@build/pins/bin/python -m pip --disable-pip-version-check -qq install -e '.[all]'
	@{ echo "# Every package of a clean environment with ragweave[all]. Written by \`make pins\`."; \
	  build/pins/bin/python -m pip freeze --all --exclude ragweave --exclude pip | sed -E 's/^torch==.*/$(TORCH)/'; } > constraints.txt
	@rm -rf build/pins
	@echo "wrote constraints.txt"

clean: ## Remove what was built, but not the answers: .ragweave folders stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
