# Two commands for a fresh machine: `make reproduce` and `make test`. Both set up .venv first, once; each installs only
# what it needs.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
FOR_TEST := .venv/ready-test
FOR_DOCS := .venv/ready-docs
CHECK := import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	f"sbnn needs Python 3.11 or later, $(PYTHON) is {v[0]}.{v[1]}; name another: make PYTHON=python3.13")
UV := build/uv/bin/uv
# uv, where it is installed, takes PyTorch's build for CPUs; pip takes one for GPUs on Linux, which is 4 GB larger.
TORCH ?= cpu
WITH_UV := command -v uv >/dev/null && uv pip install --quiet --python $(BIN)/python --torch-backend $(TORCH)
WITH_PIP := $(BIN)/python -m pip install --quiet
# The package, with the extra $(1).
INSTALL = packages="--constraint constraints.txt --editable .[$(1)]"; $(WITH_UV) $$packages || $(WITH_PIP) $$packages
LOCKED := constraints.txt
PINS := --quiet --no-header --no-annotate pyproject.toml

.PHONY: reproduce test check test-lowest test-newest release-check lock lint notebooks docs dist clean
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

# Runs the notebooks top to bottom, in build/notebooks, with the figures of data that are here in build/figures;
# FRESH=1 computes everything anew, and replaces saved_models and figures; FAST=1 runs small models, and
# DATASET=simulated one data set.
reproduce: $(READY)
	$(BIN)/sbnn reproduce all $(or $(DATASET),all) --jobs 2 $(if $(FRESH),--fresh --figures figures) $(if $(FAST),--fast)

# Behaviour, in a few minutes: what to run before every commit.
test: $(FOR_TEST) lint
	$(PYTEST) --dist loadfile -m "not slow"

# Everything: then also refits of committed results, notebooks, pipelines, a browser and fault loops; then the fast
# tests with the arithmetic of another processor, which rounds sums in another order.
check: test $(FOR_DOCS)
	$(PYTEST) --dist worksteal -m slow
	LANG=C TZ=Asia/Kathmandu OMP_NUM_THREADS=4 ATEN_CPU_CAPABILITY=default OPENBLAS_CORETYPE=Prescott \
		$(PYTEST) --dist loadfile -m "not slow"

# The fast tests with the lowest and with the newest versions of pyproject.toml, the latter beside scanpy and others;
# what these versions warn of among themselves is no error.
test-lowest test-newest: test-%: .venv-%/ready
	.venv-$*/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m "not slow" -W default

.venv-lowest/ready: CHOICE := --resolution lowest-direct --upgrade
.venv-newest/ready: CHOICE := --upgrade tests/beside.txt
.venv-%/ready: $(UV) pyproject.toml
	$(UV) pip compile $(PINS) --extra test $(CHOICE) -o build/$*.txt
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-$*
	$(UV) pip install --quiet --python .venv-$*/bin/python --requirements build/$*.txt --editable . --no-deps
	touch $@

# Once a release: everything that has a command here; the notebooks are executed in place.
release-check: check test-lowest test-newest docs dist notebooks
	$(MAKE) lock LOCKED=build/constraints.txt

# Versions of all packages, by which committed numbers can be computed again; UPGRADE=1 takes the newest.
lock: $(UV)
	$(UV) pip compile $(PINS) --universal --python-version 3.11 --all-extras $(if $(UPGRADE),--upgrade) -o $(LOCKED)

$(UV):
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv

# Style, format and types.
lint: $(FOR_TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The committed notebooks, outputs included.
notebooks: $(READY)
	$(BIN)/python benchmarks/notebooks.py

# The site of the documentation, offline, in build/docs; a warning is an error.
docs: $(FOR_DOCS)
	$(BIN)/python -m sphinx -W --keep-going -n -q -E -d build/doctrees -c docs . build/docs

# Source archive, and the wheel built from it alone, in dist/.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m pip install --quiet build==1.6.1
	$(BIN)/python -m build

clean:
	rm -rf .venv .venv-lowest .venv-newest build dist

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c '$(CHECK)'
	$(PYTHON) -m venv .venv
	$(call INSTALL,notebooks)
	touch $@

# Beside it, what the tests or the documentation need.
.venv/ready-%: $(READY)
	$(call INSTALL,$*)
	touch $@
