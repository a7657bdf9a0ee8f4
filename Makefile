# Every target sets itself up: a fresh clone and a Python >= 3.11 are all it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TESTS  ?= tests
EXTRA  ?= dev
MODE   ?= -X dev

.PHONY: demo test check generate bench bench-quick clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q $(PIP_FLAGS) --disable-pip-version-check -c constraints.txt -e '.[$(EXTRA)]'
	@touch $@

demo: $(STAMP)         ## the product's authentication page, lived against the embedded emulator
	$(BIN)/python -m openrelay_async.demo

test: $(STAMP)         ## the whole suite, on both cores
	$(BIN)/python $(MODE) -m pytest -q -n 2 --dist worksteal $(TESTS)

check: $(STAMP)        ## lint, types, layers, and: is the generated code up to date?
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/python -m pytest -q tests/architecture
	$(BIN)/python api_description/generate.py --check

generate: $(STAMP)     ## write openrelay_async/generated and openrelay_sync/generated anew
	$(BIN)/python api_description/generate.py

bench: $(STAMP)        ## everything against its peers, by turns: a table; JSON and plots in benchmarks/results
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.run

bench-quick: $(STAMP)  ## the same in under a minute, without the slow peers and the plots
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.run --quick

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
