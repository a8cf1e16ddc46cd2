# One verb each. `make check` is what CI runs; PYTHON=... chooses another interpreter.
PYTHON ?= python
export OMP_NUM_THREADS ?= 1

.PHONY: help setup format quick check test lesson notebooks cov mutants fuzz grading docs architecture slides engines clean

help:  ## show the verbs
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /	/'

setup:  ## install the workshop for development into this Python
	$(PYTHON) -m pip install -e ".[dev]"

format:  ## format the code and fix what ruff can fix
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix

quick:  ## linters, types and the rules of the repository, in under 30 seconds
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -q tests/test_arrows.py tests/test_sizes.py tests/test_words.py

check:  ## everything that CI runs
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -n 2 --dist loadscope

test:  ## the unit tests alone, without the notebooks
	$(PYTHON) -m pytest tests

lesson:  ## build one lesson and check it: make lesson L=06
	gemini-workshop notebooks build $(L)
	gemini-workshop notebooks check $(L) --no-execute
	$(PYTHON) -m pytest -q tests/exercises -k "lesson_$(L)"

notebooks:  ## build starters and solutions from notebooks/sources
	gemini-workshop notebooks build

cov:  ## the unit tests with coverage: a table, and htmlcov/index.html
	$(PYTHON) -m pytest tests -n 2 --dist loadscope --cov=gemini_workshop --cov-report=term:skip-covered --cov-report=html

mutants:  ## break the package at random, and see whether tests notice: make mutants N=50 ONLY="cli data" SEED=7
	$(PYTHON) tests/mutants.py --count $(or $(N),20) $(addprefix --only ,$(ONLY)) $(addprefix --seed ,$(SEED))

fuzz:  ## give every reader of files many damaged ones, others each time: make fuzz N=1000
	FUZZ_EXAMPLES=$(or $(N),1000) $(PYTHON) -m pytest -q -n 0 --timeout 3600 tests/edges/test_fuzzed_files.py

grading:  ## grade fifty generated submissions, hostile ones too: make grading, or make grading ONLY="fork_bomb"
	$(PYTHON) -m tests.grading.everything $(ONLY)

slides:  ## draw what is out of date, and build the decks: make slides, or make slides DECKS="01 03"
	$(PYTHON) -m gemini_workshop.authoring.slides $(DECKS)

engines:  ## the same text in our engine, in transformers and in llama.cpp (extra: engines)
	$(PYTHON) -m gemini_workshop.benchmarks.engines

docs:  ## build the site into build/site/html, offline; warnings and dead links are errors
	$(PYTHON) -m gemini_workshop.authoring.site

architecture:  ## draw the architecture again, which docs/architecture.md shows
	$(PYTHON) -m gemini_workshop.authoring.architecture

clean:  ## delete what can be made again; runs and data stay
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis htmlcov .coverage *.egg-info
	find . -name __pycache__ -not -path './.*' -prune -exec rm -rf {} +
