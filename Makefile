# Two commands for a fresh machine: `make reproduce` and `make test`. Both set up .venv first, once.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: reproduce test lint notebooks clean

# Runs the notebooks top to bottom and draws the figures from saved results; FRESH=1 computes everything anew.
reproduce: $(READY)
	$(BIN)/python -m sbnn.study.reproduce $(if $(FRESH),--fresh)

# All tests, with the real data where they can be found and on simulated data otherwise.
test: $(READY) lint
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The committed notebooks, outputs included.
notebooks: $(READY)
	$(BIN)/python -m sbnn.study.reproduce --in-place

clean:
	rm -rf .venv build

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sbnn needs Python 3.11 or newer, set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[cluster,notebooks,test]'
	touch $@
