# Everything starts here. `make demo` and `make test` need Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PY := $(VENV)/bin/python

# Real faces, emoji, weights and photographs; without them the real-data tests skip.
ifneq ($(wildcard ../shared/data/README.md),)
export EMOTION_ESTIMATORS_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help demo test test-slow test-extras test-lowest test-neighbours test-python lint docs bench fuzz dist clean
.DEFAULT_GOAL := help
# stamps say what is installed; they are kept, so a second run installs nothing
.SECONDARY:

help:
	@echo "make demo         run the four systems, print figures, write pictures to demo_output/"
	@echo "make test         run the tests"
	@echo "make test-slow    run the tests that take minutes and gigabytes: real faces, all of them"
	@echo "make test-extras  install each extra alone into an empty environment and use it"
	@echo "make test-lowest  run the tests with the lowest supported versions"
	@echo "make test-neighbours  put tools of other people around models of images"
	@echo "make test-python  run the core's tests on another Python, PYTHON=python3.13"
	@echo "make lint         ruff, mypy, import contract"
	@echo "make docs         build the documentation, warnings are errors"
	@echo "make bench        print the benchmark tables, and write them for the page of results"
	@echo "make fuzz         damaged files against all that reads files, FUZZ_MINUTES=10 each"
	@echo "make dist         build sdist and wheels, install this system's into an empty environment"
	@echo "make clean        remove what all these have made"

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade "pip>=25.1"

# what goes into the metadata and the compiled library when the package is installed
BUILT := hatch_build.py src/emotion_estimators/__init__.py $(wildcard src/emotion_estimators/features/hog/*.[ch])

$(VENV)/.installed-%: pyproject.toml $(CONSTRAINTS) $(BUILT) | $(PY)
	$(PY) -m pip install --quiet --constraint $(CONSTRAINTS) --editable . --group $*
	@touch $@

# Keras runs on the backend that these environments have, unless the user says otherwise
demo bench: export KERAS_BACKEND ?= torch
demo: $(VENV)/.installed-demo
	$(PY) examples/demo_faces.py
	$(PY) examples/demo_emoji.py
	$(PY) examples/demo_facenet.py
	$(PY) examples/demo_multilabel.py
	$(PY) examples/demo_photograph.py
	$(PY) examples/demo_video.py

# so many processes, of one thread each and of up to 3 GB; a file's tests stay together
JOBS ?= 2
GROUP ?= test
test: export OMP_NUM_THREADS ?= 1
test: $(VENV)/.installed-$(GROUP)
	$(PY) -m pytest --numprocesses $(JOBS) --dist loadfile

test-slow: $(VENV)/.installed-test
	$(PY) -m pytest -m slow --capture=no

test-lowest:
	$(MAKE) test VENV=.venv-lowest CONSTRAINTS=constraints-lowest.txt

# Without networks: continuous integration has a torch of reasonable size for Python 3.11 alone.
# What needs one is skipped (conftest.py).
test-python:
	$(MAKE) test GROUP=test-core VENV=.venv-$(notdir $(PYTHON))

# an environment of its own: many tools with many requirements
NEIGHBOURS_VENV := .venv-neighbours

test-neighbours:
	$(MAKE) VENV=$(NEIGHBOURS_VENV) $(NEIGHBOURS_VENV)/.installed-neighbours
	NEIGHBOURS_REQUIRED=1 OMP_NUM_THREADS=1 $(NEIGHBOURS_VENV)/bin/python -m pytest \
		tests/test_neighbours.py tests/docs/test_blocks.py -k "neighbours or recipes"

EXTRAS := plot table parquet cascade heif video torch keras lightning timm all

# A skipped test means that the extra did not bring what it should. Beside a CPU build of torch,
# pip takes a torchvision for timm that does not import: then timm is left out.
test-extras:
	@for extra in $(EXTRAS); do \
		rm -rf .venv-extra; $(PYTHON) -m venv .venv-extra; \
		backend=$$(test $$extra != keras || echo torch); \
		echo "extra $$extra:"; \
		.venv-extra/bin/python -m pip install --quiet --constraint $(CONSTRAINTS) ".[$$extra]" \
			$$backend pytest pytest-timeout || exit 1; \
		if test $$extra = timm && ! .venv-extra/bin/python -c "import torchvision"; then \
			echo "left out: there is no torchvision here for this torch"; continue; \
		fi; \
		.venv-extra/bin/python -m pytest --noconftest --quiet \
			"tests/test_extras.py::test_an_extra_alone_is_enough_for_its_classes[$$extra]" \
			| tee .venv-extra/result && \
		grep -q "1 passed" .venv-extra/result || exit 1; \
	done; rm -rf .venv-extra

# mypy reads the types of what the tests install, torch and pytest among them
lint: $(VENV)/.installed-test $(VENV)/.installed-lint
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

# The gallery is run by it, and its search is asked questions: of all pages read anew, since a build
# of some of them loses what the index says of the others. DOCS_INTERSPHINX=1 links to the pages of other projects, by network.
docs: $(VENV)/.installed-docs
	$(PY) -m sphinx --fresh-env --fail-on-warning --keep-going docs docs/_build/html
	$(PY) -m pytest tests/docs/test_search.py

# Keras 2, the peer that reads the old files, in an environment of its own: TensorFlow's pins
KERAS_VENV := .venv-keras

$(KERAS_VENV)/.installed: pyproject.toml
	test -x $(KERAS_VENV)/bin/python || $(PYTHON) -m venv $(KERAS_VENV)
	$(KERAS_VENV)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(KERAS_VENV)/bin/python -m pip install --quiet --group bench-keras
	@touch $@

# what they print becomes the page of results, with the date and the machine; figures of several
# hours (examples/evaluate_*.py, demo_faces.py, compare_multilabel.py) are recorded in the same way
RECORD := $(PY) benchmarks/record.py docs/results

bench: $(VENV)/.installed-bench $(KERAS_VENV)/.installed
	$(RECORD)/hog.md benchmarks/hog.py
	$(RECORD)/pretrained.md benchmarks/pretrained.py --keras-python $(KERAS_VENV)/bin/python
	$(RECORD)/few_shot.md benchmarks/few_shot.py
	$(RECORD)/small_data.md benchmarks/small_data.py
	$(RECORD)/emoji.md benchmarks/emoji.py
	$(RECORD)/facenet.md benchmarks/facenet.py
	$(RECORD)/multilabel.md benchmarks/multilabel.py
	$(RECORD)/photographs.md benchmarks/photographs.py --keras-python $(KERAS_VENV)/bin/python
	$(RECORD)/extras.md benchmarks/extras.py
	$(RECORD)/video.md benchmarks/video.py

# of each target; what is found lies in tests/fuzz/corpus/ afterwards
FUZZ_MINUTES ?= 10

fuzz: $(VENV)/.installed-test
	$(PY) tests/fuzz/campaign.py --minutes $(FUZZ_MINUTES)

# the systems that wheels are for, as hatch_build.py and zig call them
WHEELS ?= x86_64-linux-gnu.2.17 aarch64-linux-gnu.2.17 x86_64-macos.10.13 aarch64-macos.11.0 x86_64-windows-gnu

dist: $(VENV)/.installed-dist
	rm -rf dist
	$(PY) -m build --sdist --no-isolation
	for target in $(WHEELS); do \
		EMOTION_ESTIMATORS_BUILD_TARGET=$$target $(PY) -m build --wheel --no-isolation || exit 1; \
	done
	$(PY) -m twine check --strict dist/*
	$(VENV)/bin/check-wheel-contents dist/*.whl
	$(PY) benchmarks/install.py dist/*.whl

clean:
	rm -rf .venv .venv-extra .venv-lowest .venv-neighbours .venv-python* .venv-keras demo_output build dist docs/_build docs/api/generated docs/gallery .mypy_cache .pytest_cache .ruff_cache .import_linter_cache src/emotion_estimators/features/hog/*.native.*
