# Each target is a line or two. `make demo` and `make test` do everything, set-up included.
PYTHON ?= python3
BIN := .venv/bin
# Demo and tests start hundreds of processes, of which none is to compile the project anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: setup demo test clients check format bench clean

setup: .venv/ready
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --constraint constraints.txt --editable '.[vision,dev]' && touch $@

demo: setup
	$(BIN)/python examples/demo.py

test: setup check
	$(BIN)/pytest

# Real SDKs against a cloud, AWS's training toolkit beside our training image: environments of their
# own (some 2 GB, made once), some minutes. Clients mostly sleep between two looks: three at a time.
CLIENTS := $(patsubst clients/%.txt,.venv-clients/%/ready,$(wildcard clients/*.txt))
clients: setup $(CLIENTS)
	FOGBANK_CLIENT_ENVIRONMENTS=.venv-clients $(BIN)/pytest --numprocesses 3 --dist worksteal tests/clients
.venv-clients/%/ready: clients/%.txt
	$(PYTHON) -m venv --clear $(@D) && $(@D)/bin/pip install --quiet --requirement $< && touch $@

check: setup
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/codespell src tests docs README.md CONTRIBUTING.md CHANGELOG.md

format: setup
	$(BIN)/ruff check --fix && $(BIN)/ruff format

bench: setup
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache demo
