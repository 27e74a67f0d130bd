# Mainspring. `make` or `make help` lists what there is; each target sets up what it needs, from nothing but
# Python 3.11 or newer. Another interpreter: `make test PYTHON=python3.13`. Another place: `make test VENV=/tmp/venv`.

VENV ?= .venv
PEERS ?= .venv-peers
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(READY) ## a flash sale: tasks on the millisecond, a listener, a program; prints how late each step was
	@$(BIN)/mainspring demo

.PHONY: test
test: $(READY) ## all tests, with coverage (fails under the floor in pyproject.toml); ARGS='-k name' for some of them
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist loadfile $(if $(ARGS),$(ARGS),--cov)

.PHONY: chaos
chaos: $(READY) ## kills, stopped processes, signals, and a disk that fails in every way, in one table; CHAOS_KILLS=200, CHAOS_SEED
	@CHAOS=1 CHAOS_KILLS=$${CHAOS_KILLS:-200} $(BIN)/python -m pytest -q -p no:cacheprovider \
	    tests/process/test_kill_9.py tests/process/test_process_faults.py tests/process/test_poison.py tests/faults

.PHONY: sweep
sweep: $(READY) ## cron expressions against a slow reference, in all zones, 2020-2037; takes minutes, tells how far it is
	@$(BIN)/python -m pytest -q -s -p no:cacheprovider -m sweep tests/when/test_cron_sweep.py

.PHONY: check
check: lint types ## lint, types, import rules, sizes, and every example in the docs
	@$(BIN)/python -m pytest -q tests/tidy tests/public tests/docs

.PHONY: lint
lint: $(READY) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(READY) ## mypy, strict
	@$(BIN)/mypy src simulate

.PHONY: simulate
simulate: $(READY) ## daemons in virtual time, with everything going wrong that can; SCENARIO=storm|points|year, SEEDS=1000, FIRST=1, ARGS=--help
	@$(BIN)/python -m simulate --scenario $(or $(SCENARIO),storm) --seeds $(or $(SEEDS),100) --first $(or $(FIRST),1) $(ARGS)

.PHONY: bench
bench: $(READY) ## the figures this project holds itself to; SMOKE=1: a quick run that only shows it works; CHECK=1: hold to them
	@$(BIN)/python -m mainspring.bench $(if $(SMOKE),--smoke,--out bench/results) $(if $(CHECK),--check) $(ARGS)

.PHONY: bench-peers
bench-peers: $(READY) $(PEERS)/.ready ## other schedulers and this one on the same work, side by side; ARGS='--short --rounds 1' for less
	@BENCH_POOLS="$${BENCH_POOLS:-threads}" $(BIN)/python -m bench.harness --python $(PEERS)/bin/python --out bench/results $(ARGS)

$(PEERS)/.ready: bench/peers/requirements.txt | $(READY)
	@[ -x $(PEERS)/bin/python ] || $(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r bench/peers/requirements.txt
	@touch $@

.PHONY: lock-peers
lock-peers: ## pin the latest of the other schedulers, with hashes (needs uv)
	@uv=$$(command -v uv || command -v $(BIN)/uv) || { \
	    echo "make lock-peers needs uv; get it with: $(BIN)/pip install uv" >&2; exit 1; }; \
	"$$uv" pip compile bench/peers/requirements.in --universal --python-version 3.11 --upgrade \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet $(ARGS) --output-file bench/peers/requirements.txt

.PHONY: lock
lock: ## pin all dependencies anew, with hashes, for every supported Python (needs uv)
	@uv=$$(command -v uv || command -v $(BIN)/uv) || { \
	    echo "make lock needs uv; get it with: $(BIN)/pip install uv" >&2; exit 1; }; \
	"$$uv" pip compile pyproject.toml --group dev --group build --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet $(ARGS) --output-file requirements.lock

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf $(VENV) $(PEERS) build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The newest Python that fits, unless `python3` fits already. A name on the PATH may be a shim that cannot run.
FITS := import sys; sys.exit(sys.version_info < (3, 11))
find-python = for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$python" -c '$(FITS)' >/dev/null 2>&1; then break; fi; python=; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed; give its path with PYTHON=..." >&2; exit 1; fi

$(READY): requirements.lock pyproject.toml
	@if [ ! -x $(BIN)/python ]; then \
	    $(find-python); \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
	        echo "$$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv) or give another interpreter with PYTHON=..." >&2; exit 1; }; \
	    echo "setting up $(VENV) with $$("$$python" --version)"; \
	    "$$python" -m venv $(VENV); \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
