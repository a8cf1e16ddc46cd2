# One verb each. `make check` is what CI runs; PYTHON=... chooses another interpreter.
PYTHON ?= python
export OMP_NUM_THREADS ?= 1

.PHONY: help setup format check test notebooks slides docs clean

help:  ## show the verbs
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /	/'

setup:  ## install the workshop for development into this Python
	$(PYTHON) -m pip install -e ".[dev]"

format:  ## format the code and mend what ruff can mend
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix

check:  ## everything that CI runs
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -n 2 --dist loadscope

test:  ## the unit tests alone, without the notebooks
	$(PYTHON) -m pytest tests

notebooks:  ## build starters and solutions from notebooks/sources
	gemini-workshop notebooks build

slides:  ## build the decks
	@echo "There are no slides yet." && exit 1

docs:  ## check that every link in README and docs leads somewhere
	$(PYTHON) -m pytest -q tests/test_readme.py -k link

clean:  ## delete what can be made again; runs and data stay
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis htmlcov .coverage *.egg-info
	find . -name __pycache__ -not -path './.*' -prune -exec rm -rf {} +
