# Everything starts here. `make demo` and `make test` need Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PY := $(VENV)/bin/python

# Real faces, emoji, weights and photographs; without them the real-data tests skip.
ifneq ($(wildcard ../shared/data/README.md),)
export EMOTION_ESTIMATORS_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help demo test test-lowest lint bench clean
.DEFAULT_GOAL := help
# stamps say what is installed; they are kept, so a second run installs nothing
.SECONDARY:

help:
	@echo "make demo         train on faces, print figures, write pictures to demo_output/"
	@echo "make test         run the tests"
	@echo "make test-lowest  run the tests with the lowest supported versions"
	@echo "make lint         ruff, mypy, import contract"
	@echo "make bench        print the benchmark tables"

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed-%: pyproject.toml $(CONSTRAINTS) | $(PY)
	$(PY) -m pip install --quiet --constraint $(CONSTRAINTS) --editable . --group $*
	@touch $@

demo: $(VENV)/.installed-demo
	$(PY) examples/demo.py

test: $(VENV)/.installed-test
	$(PY) -m pytest

test-lowest:
	$(MAKE) test VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt

lint: $(VENV)/.installed-lint
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/.installed-bench
	$(PY) benchmarks/hog.py

clean:
	rm -rf .venv .venv-lowest demo_output build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
