# `make` lists the targets. Everything is installed into .venv, and again only when pyproject.toml has changed.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

DEMO_DATA := examples/data/breast-cancer.csv
DEMO_TARGET := diagnosis

.DEFAULT_GOAL := help
.PHONY: help demo test lint clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/base.stamp  ## train a network on real patients and show what it learned
	$(BIN)/chainrule train $(DEMO_DATA) --target $(DEMO_TARGET) --name demo --overwrite
	@cut -d, -f-30 $(DEMO_DATA) | head -6 > runs/demo/new-rows.csv
	$(BIN)/chainrule predict runs/demo runs/demo/new-rows.csv

test: .venv/dev.stamp  ## run all tests and doctests, with coverage
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term

lint: .venv/dev.stamp  ## check format, style and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright

clean:  ## remove the environment, caches and builds (trained runs stay)
	rm -rf .venv .hypothesis .pytest_cache .ruff_cache .coverage .coverage.* htmlcov build dist
	find src tests -type d -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "chainrule needs Python 3.11 or newer. Name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/base.stamp: pyproject.toml | .venv/bin/python
	$(PIP) --editable .
	@touch $@

.venv/dev.stamp: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[dev,draw]'
	@touch $@ .venv/base.stamp
