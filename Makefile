# `make` lists the targets. Everything is installed into .venv, and again only when pyproject.toml has changed. The peers
# that benchmarks compare with have an environment of their own, benchmarks/.venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

DEMO_DATA := examples/data/breast-cancer.csv
DEMO_TARGET := diagnosis

.DEFAULT_GOAL := help
.PHONY: help demo test coverage record fuzz lint bench clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv/base.stamp  ## train a network on real patients and show what it learned
	$(BIN)/chainrule train $(DEMO_DATA) --target $(DEMO_TARGET) --name demo --overwrite
	@cut -d, -f-30 $(DEMO_DATA) | head -6 > runs/demo/new-rows.csv
	$(BIN)/chainrule predict runs/demo runs/demo/new-rows.csv

test: .venv/dev.stamp  ## run all tests and doctests
	$(BIN)/python -m pytest -n 2

coverage: .venv/dev.stamp  ## the same, saying which lines they run: takes twice as long
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term

record: benchmarks/.venv/stamp  ## record what PyTorch computes, for tests/agreement; FAMILY=losses for one
	benchmarks/.venv/bin/python -m tests.agreement.record $(addprefix --family ,$(FAMILY))

fuzz: .venv/dev.stamp  ## compare compiled code with NumPy on random programs; N=100000 TARGET=x86-64-v3
	$(BIN)/python -m tests.fuzz $(N) $(addprefix --target ,$(TARGET)) $(addprefix --seed ,$(SEED))

lint: .venv/dev.stamp  ## check format, style and types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright

bench: benchmarks/.venv/stamp  ## time chainrule and its peers; WORKLOAD=tabular PEER=jax for one
	benchmarks/.venv/bin/python -m benchmarks $(addprefix --workload ,$(WORKLOAD)) $(addprefix --peer ,$(PEER))

clean:  ## remove the environments, caches and builds (trained runs and results stay)
	rm -rf .venv benchmarks/.venv .hypothesis .pytest_cache .ruff_cache .coverage .coverage.* htmlcov build dist
	find src tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python benchmarks/.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "chainrule needs Python 3.11 or newer. Name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(@:/bin/python=)

.venv/base.stamp: pyproject.toml | .venv/bin/python
	$(PIP) --editable .
	@touch $@

.venv/dev.stamp: pyproject.toml | .venv/bin/python
	$(PIP) --editable '.[dev,draw]'
	@touch $@ .venv/base.stamp

benchmarks/.venv/stamp: benchmarks/requirements.txt pyproject.toml | benchmarks/.venv/bin/python
	benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 0 \
	  --requirement benchmarks/requirements.txt --editable .
	@touch $@
