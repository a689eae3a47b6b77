# Each target is a line or two. `make demo` and `make test` do everything, set-up included.
PYTHON ?= python3
BIN := .venv/bin
.PHONY: setup demo test check format bench clean

setup: .venv/ready
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --constraint constraints.txt --editable '.[vision,dev]' && touch $@

demo: setup
	$(BIN)/python examples/demo.py

test: setup check
	$(BIN)/pytest

check: setup
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/codespell src tests docs README.md CONTRIBUTING.md CHANGELOG.md

format: setup
	$(BIN)/ruff check --fix && $(BIN)/ruff format

bench: setup
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache demo
