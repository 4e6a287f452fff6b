# Everything on a bare machine with Python 3.11 or newer: each goal sets itself up first.

PYTHON ?= python3
PYTEST_ARGS ?= -n 2 --dist loadfile
LEVEL =
TASKS =
OUT = runs/demo

BIN = .venv/bin
INSTALLED = .venv/installed

.DEFAULT_GOAL := help
.PHONY: help install demo test lint clean

help: ## list the goals
	@echo "make GOAL [VARIABLE=value …]"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST)
	@echo "PYTHON=$(PYTHON) is the interpreter that .venv is made with."

install: $(INSTALLED) ## make .venv and install into it; the other goals do this by themselves

demo: $(INSTALLED) ## train a tiny model by the whole method and report; LEVEL=4, TASKS=all, OUT=runs/demo
	$(BIN)/python -m training.demo --out $(OUT) $(if $(LEVEL),--level $(LEVEL)) $(if $(TASKS),--tasks $(TASKS))

# One thread to a worker: two workers with a thread per core each would fight for the cores.
test: $(INSTALLED) ## run the tests; PYTEST_ARGS="-n 0 -k maze"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(INSTALLED) ## check style, formatting, types and import layers
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

clean: ## remove .venv, caches and build output; results under runs/ stay
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip 25.1 is the first to know dependency groups (--group).
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("vsp-envs needs Python 3.11 or newer and $(PYTHON) is %d.%d; name another: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[train,play]" --group dev
	@touch $@
