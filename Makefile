# Everything works in ./.venv, which the first target makes. `make demo` and `make test` are the ones to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test check soak clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("csvae needs Python 3.11 or newer, not " + sys.version.split()[0] + "; name one with make PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

# Edits of a portrait by the model that comes with csvae; then a model of drawn faces in about three minutes.
demo: setup
	$(BIN)/python benchmarks/demo.py

# As many tests at a time as there are cores, up to four; each has one thread (tests/conftest.py).
test: check
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

# Style and types.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Proofs that take minutes: trainings that must reach what the README says.
soak: setup
	$(BIN)/python benchmarks/figures.py --anew

clean:
	rm -rf $(VENV) build dist *.egg-info demo
