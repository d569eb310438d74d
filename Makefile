# K: part of test names. SEED: of cocotb's random numbers. Both on the command line.
PYTHON  = .venv/bin/python
PYTEST  = $(PYTHON) -m pytest -q --dist worksteal
SELECT  = $(if $(K),-k "$(K)")
WORKERS = 2

.DEFAULT_GOAL := help
.PHONY: order help setup setup-test demo die test unit sim waves formal regress mutate check docs \
        bench clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## ?/\t/' | expand -t 12

setup:  ## .venv with the project, and the Debian packages it needs
	@python3 tb/flow/setup.py

setup-test:
	@python3 tb/flow/setup.py --extra test

demo: setup  ## checkpoint to report, end to end
	@$(PYTHON) -m ouroboros.sw.cli.main demo

die: setup  ## a language model of 135 million weights on the RTL of a die
	@$(PYTHON) -m ouroboros.sw.cli.main fetch smollm2
	@$(PYTHON) -m ouroboros.sw.cli.main run --machine die --checkpoint smollm2 --chat \
	    --prompt "What is the capital of France?" --tokens 12 --on verilator --json build/die.json

test: setup-test  ## unit and simulation tests
	@$(PYTEST) -n $(WORKERS) -m "not slow and not formal" $(SELECT)

unit: setup-test  ## tests of a second or less, without a simulator
	@$(PYTEST) -n $(WORKERS) -m "not sim and not long and not slow and not formal" $(SELECT)

sim: setup-test  ## tests with a simulator [K=name] [SEED=n]
	@$(PYTEST) -n $(WORKERS) -m "sim and not slow" $(SELECT)

waves: setup-test  ## lists tests; runs one with waveforms, whose path it prints: K=name [SEED=n]
	@echo "Tests with a simulator$(if $(K), and $(K) in their names):"
	@$(PYTEST) --collect-only -m sim $(SELECT) | grep :: || { \
	    echo "none: type make waves for all of them"; exit 2; }
	@$(if $(K),WAVES=1 $(PYTEST) -s -m sim $(SELECT),echo "type: make waves K=name")

formal:  ## proofs by SMT solver
	@python3 tb/flow/setup.py --extra test --extra formal
	@$(PYTEST) -m formal tests/formal tests/tb/flow

regress: setup-test  ## benches with many seeds, coverage, build/regress.html [BLOCK=name] [SEEDS=n]
	@$(PYTHON) -m ouroboros.sw.cli.main regress $(BLOCK) --seeds $(or $(SEEDS),3) --coverage \
	    --html build/regress.html --json build/regress.json

mutate: setup-test  ## mutants of blocks against their benches [BLOCK=name] [LIMIT=n]
	@$(PYTHON) -m ouroboros.sw.cli.main mutate $(BLOCK) --limit $(or $(LIMIT),100) \
	    --json build/mutate.json

check: setup-test  ## lint, types, import rules
	@mkdir -p build/check && ln -sfn ../.. build/check/ouroboros
	@$(PYTHON) -m ruff check . && $(PYTHON) -m mypy && $(PYTEST) tests/test_imports.py

order: setup  ## packages, lowest first, and what each imports
	@$(PYTHON) -m ouroboros.docs.order

docs: setup  ## pages, pictures and notebooks that are made from code
	@$(PYTHON) -m ouroboros.docs.generate && $(PYTHON) -m ouroboros.docs.pictures && \
	$(PYTHON) -m ouroboros.docs.notebooks

bench: setup  ## simulation speed of the small machine
	@$(PYTHON) -m ouroboros.sw.cli.main speed idle

clean:  ## remove builds and caches, keep .venv
	@rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis
