# Everything on a bare machine with Python 3.11 or newer: each goal sets itself up first.

PYTHON ?= python3
PYTEST_ARGS ?= -n 2 --dist loadfile
LEVEL =
TASKS =
OUT = runs/demo
DOCS = build --quiet

BIN = .venv/bin
INSTALLED = .venv/installed
EXAMPLES = .venv/installed-examples

.DEFAULT_GOAL := help
.PHONY: help install install-examples demo test test-slow test-real-shapes coverage test-examples test-clients test-wheel test-faults test-lowest test-newest test-vllm test-deepspeed test-trackers lint docs clean

help: ## list the goals
	@echo "make GOAL [VARIABLE=value …]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1	\2/p' $(MAKEFILE_LIST)
	@echo "PYTHON=$(PYTHON) is the interpreter that .venv is made with."

install: $(INSTALLED) ## make .venv and install into it; the other goals do this by themselves

install-examples: $(EXAMPLES) ## and what the examples show our environments beside: PPO, TRL, datasets

demo: $(INSTALLED) ## train a tiny model by the whole method and report; LEVEL=4, TASKS=all, OUT=runs/demo
	$(BIN)/python -m training.recipes.demo --out $(OUT) $(if $(LEVEL),--level $(LEVEL)) $(if $(TASKS),--tasks $(TASKS))

# One thread to a worker: two workers with a thread per core each would fight for the cores.
test: $(INSTALLED) ## run the tests, four minutes on two cores; PYTEST_ARGS="-n 0 -k maze"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: $(INSTALLED) ## run the tests that take four seconds or more: whole trainings, several processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

test-faults: $(INSTALLED) ## run the fault tests in full and write docs/reliability.md; some ten minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS) --faults tests/faults

test-real-shapes: $(INSTALLED) ## run every command of the how-tos on CPUs, with Qwen's vocabulary and narrow layers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 0 --rehearsal tests/rehearsal

coverage: $(INSTALLED) ## run the tests and report the lines that none of them reaches
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS) --cov --cov-report=term --cov-report=html:build/coverage

test-examples: $(EXAMPLES) .venv-openenv/installed ## run every program in examples/ on tiny settings
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/project/test_examples.py
	OMP_NUM_THREADS=1 .venv-openenv/bin/python -m pytest -p no:cacheprovider -k "serve or openenv" \
		tests/project/test_examples.py tests/project/test_harnesses.py

.venv-openenv/installed: tests/openenv.txt pyproject.toml
	$(PYTHON) -m venv .venv-openenv
	.venv-openenv/bin/python -m pip install --quiet --requirement $< --editable .
	@touch $@

# Own environments: RLlib pins its own Gymnasium, and lmms-eval brings half a hundred packages, among
# them torchvision, whose CUDA build tests/engine lets live with torch's CPU build. The lists are
# whole, so pip has nothing to resolve, but for what torch's CUDA build needs.
test-clients: ## run our boards in the RL libraries and harnesses, each group in a .venv-* of its own
	@for group in clients lmms rllib; do \
		$(MAKE) --no-print-directory .venv-$$group/installed || \
			{ rm -rf .venv-$$group; echo "test-clients: $$group cannot be installed here; skipped"; continue; }; \
		shims=; test $$group != lmms || shims=tests/engine; \
		PYTHONPATH=$$shims OMP_NUM_THREADS=1 .venv-$$group/bin/python -m pytest -p no:cacheprovider -o filterwarnings=default \
			tests/project/test_clients.py tests/project/test_harnesses.py tests/project/test_notebook.py || exit 1; \
	done

.venv-clients/installed .venv-lmms/installed .venv-rllib/installed: .venv-%/installed: tests/clients/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --no-deps --requirement $< --editable .
	.venv-$*/bin/python -m pip install --quiet "$$(grep '^torch==' $<)"
	@touch $@

# The wheel is built from the sdist, so that both are tried.
test-wheel: $(INSTALLED) ## build sdist and wheel, install the wheel alone, make, solve and show every task
	rm -rf build/dist
	$(BIN)/python -m build --outdir build/dist
	$(PYTHON) -m venv --clear build/wheel
	build/wheel/bin/python -m pip install --quiet --constraint constraints.txt "$$(echo build/dist/*.whl)[play]"
	build/wheel/bin/python -I -W error .ci/try_wheel.py

# The environments, which the wheel ships, with the oldest of all they allow and with a new Python.
# Old packages warn of what is new, so a warning is no error there.
ENV_NEEDS = --editable ".[play]" pytest pytest-xdist hypothesis
ENV_TESTS = -m "not slow" -p no:cacheprovider -o filterwarnings=default $(PYTEST_ARGS) $(VERSION_TESTS)
VERSION_TESTS = tests/envs

test-lowest: .venv-lowest/installed ## test the environments with the lowest allowed version of each dependency
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest $(ENV_TESTS)

.venv-lowest/installed: pyproject.toml
	$(PYTHON) -m venv --clear .venv-lowest
	grep -oE '"[a-z][a-z0-9-]*>=[0-9.]+' pyproject.toml | sed 's/"//; s/>=/==/' | sort -u > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --constraint .venv-lowest/lowest.txt $(ENV_NEEDS)
	@touch $@

test-newest: ## test the environments with Python 3.13 or newer, or NEWEST=PYTHON; skipped without one
	@test -n "$(NEWEST)" || echo "test-newest: there is no Python 3.13 or newer here; skipped"
	@test -z "$(NEWEST)" || $(MAKE) --no-print-directory .venv-newest/installed NEWEST=$(NEWEST)
	@test -z "$(NEWEST)" || \
		OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest $(ENV_TESTS)

NEWEST = $(shell for each in python3.15 python3.14 python3.13 $(HOME)/.pyenv/versions/3.1[3-9]*/bin/python; do \
	$$each -c "import sys; sys.exit(sys.version_info < (3, 13))" 2> /dev/null && echo $$each && break; done)

.venv-newest/installed: pyproject.toml constraints.txt
	$(NEWEST) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --constraint constraints.txt $(ENV_NEEDS)
	@touch $@

# A real vLLM on CPUs, in an environment of its own: one person's build of it, so no dependency of
# the project (see tests/engine/requirements.txt). Where it cannot be installed there is nothing to
# test. Two CUDA builds go again: their import fails without CUDA, and vLLM's start with it.
test-vllm: ## run the tests that need a real vLLM, in .venv-vllm; they are for Linux on x86
	@$(MAKE) --no-print-directory .venv-vllm/installed || \
		{ rm -rf .venv-vllm; echo "test-vllm: vLLM cannot be installed here; skipped"; exit 0; }; \
	test ! -e .venv-vllm/installed || \
	PYTHONPATH=tests/engine:tests:. OMP_NUM_THREADS=1 VLLM_CPU_OMP_THREADS_BIND=nobind \
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_NO_USAGE_STATS=1 HF_HUB_OFFLINE=1 .venv-vllm/bin/python -m pytest \
		-p no:cacheprovider -o filterwarnings=default $(ENGINE_TESTS)

ENGINE_TESTS = --rehearsal tests/engine tests/rehearsal

.venv-vllm/installed: tests/engine/requirements.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --requirement $<
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec
	@touch $@

# In a folder beside .venv, not in it: `make test` stays as short as it is.
test-deepspeed: $(INSTALLED) ## run the tests of training by DeepSpeed's ZeRO-2 and ZeRO-3, on CPUs
	@$(MAKE) --no-print-directory build/deepspeed/installed || \
		{ rm -rf build/deepspeed; echo "test-deepspeed: DeepSpeed cannot be installed here; skipped"; exit 0; }; \
	test ! -e build/deepspeed/installed || { \
	export PYTHONPATH=build/deepspeed OMP_NUM_THREADS=1 DS_ACCELERATOR=cpu; \
	$(BIN)/python -c "import deepspeed" && \
	$(BIN)/python -m pytest -p no:cacheprovider -k zero tests/training/test_distributed.py; }

test-trackers: $(INSTALLED) ## run the tests of --report-to with all five trackers
	@$(MAKE) --no-print-directory build/trackers/installed || \
		{ rm -rf build/trackers; echo "test-trackers: the trackers cannot be installed here; skipped"; exit 0; }; \
	test ! -e build/trackers/installed || \
	PYTHONPATH=build/trackers OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:cacheprovider \
		-o filterwarnings=default -k tracker tests/training/test_comforts.py

build/deepspeed/installed build/trackers/installed: build/%/installed: tests/%.txt
	rm -rf build/$*
	$(BIN)/python -m pip install --quiet --no-deps --target build/$* --requirement $<
	@touch $@

lint: $(INSTALLED) ## check style, formatting, types and import layers
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

# In an environment of its own: the site is read from the sources, nothing of them is imported.
docs: .venv-docs/installed ## build the site into site/; open site/index.html, or DOCS=serve
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs $(DOCS)

.venv-docs/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-docs/bin/python -m pip install --quiet --constraint constraints.txt --group docs
	@touch $@

clean: ## remove .venv, caches and build output; results under runs/ stay
	rm -rf .venv .venv-* site .coverage build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip 25.1 is the first to know dependency groups (--group).
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("vsp-envs needs Python 3.11 or newer and $(PYTHON) is %d.%d; name another: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --constraint constraints.txt --editable ".[train,play]" --group dev
	@touch $@

$(EXAMPLES): $(INSTALLED)
	$(BIN)/python -m pip install --constraint constraints.txt --group examples
	@touch $@
