# Two commands for a fresh machine: `make reproduce` and `make test`. Both set up .venv first, once.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
CHECK := import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 14) and \
	f"sbnn needs Python 3.11 to 3.13, $(PYTHON) is {v[0]}.{v[1]}; name another: make PYTHON=python3.13")

.PHONY: reproduce test check lint notebooks docs dist clean
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

# Runs the notebooks top to bottom and draws the figures from saved results; FRESH=1 computes everything anew.
reproduce: $(READY)
	$(BIN)/sbnn reproduce --jobs 2 $(if $(FRESH),--fresh)

# Behaviour, in a few minutes: what to run before every commit.
test: $(READY) lint
	$(PYTEST) --dist loadfile -m "not slow"

# Everything: then also refits of committed results, notebooks, pipelines, a browser and fault loops.
check: test
	$(PYTEST) --dist worksteal -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The committed notebooks, outputs included.
notebooks: $(READY)
	$(BIN)/sbnn reproduce --in-place

# The site of the documentation, offline, in build/docs; a warning is an error.
docs: $(READY)
	$(BIN)/python -m sphinx -W --keep-going -n -q -E -d build/doctrees -c docs . build/docs

# Source archive, and the wheel built from it alone, in dist/.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m pip install --quiet build==1.6.1
	$(BIN)/python -m build

clean:
	rm -rf .venv build dist

$(READY): pyproject.toml
	@$(PYTHON) -c '$(CHECK)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[cluster,docs,notebooks,test]'
	touch $@
