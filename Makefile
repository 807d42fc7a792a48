# Two commands for a fresh machine: `make reproduce` and `make test`. Both set up .venv first, once.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
CHECK := import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	f"sbnn needs Python 3.11 or later, $(PYTHON) is {v[0]}.{v[1]}; name another: make PYTHON=python3.13")
UV := $(BIN)/python -m uv
PINS := --quiet --no-header --no-annotate pyproject.toml

.PHONY: reproduce test check test-lowest test-newest lock lint notebooks docs dist clean
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

# The fast tests with the lowest and with the newest versions of pyproject.toml, the latter beside scanpy and others.
test-lowest: $(READY)
	$(call TEST_WITH,lowest,--resolution lowest-direct)

test-newest: $(READY)
	$(call TEST_WITH,newest,tests/beside.txt --upgrade)

define TEST_WITH
	mkdir -p build
	$(UV) pip compile $(PINS) --extra test $(2) -o build/$(1).txt
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-$(1)
	$(UV) pip install --quiet --python .venv-$(1)/bin/python --requirements build/$(1).txt --editable . --no-deps
	.venv-$(1)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m "not slow"
endef

# Versions of all packages, by which committed numbers can be computed again; UPGRADE=1 takes the newest.
lock: $(READY)
	$(UV) pip compile $(PINS) --universal --all-extras $(if $(UPGRADE),--upgrade) -o constraints.txt

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

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(CHECK)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs,notebooks,test]'
	touch $@
