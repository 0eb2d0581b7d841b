# make compare   compare the policies on the embedded demo set (into out/compare)
# make cockpit   sit at the lens: a page in the browser, on the embedded demo set
# make test      run the tests
# make check     formatting, lint and types
# The first of them makes .venv and needs the network; from then on nothing is fetched until what is needed changes.
# PYTHON=python3.12 chooses the interpreter; PIP_FLAGS is handed to pip. For the small build of torch, without CUDA:
#   make test PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_FLAGS ?=

# Yardsticks, searches, and the trained networks that come with afsim.
POLICIES := stay,random,fixed,hill_climb,bayesian,learned-i1,learned-d1,learned-d1-2step,learned_bayesian,rl,sweep,oracle

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt
INSTALLED := .venv/installed

.PHONY: compare cockpit test check

compare: $(INSTALLED)
	$(BIN)/afsim compare --policies $(POLICIES) --out out/compare

cockpit: $(INSTALLED)
	$(BIN)/afsim cockpit

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy afsim tests

# torch comes first and pinned: a later package that asks for it then finds this build and fetches no other.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("afsim needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(INSTALL) torch
	$(INSTALL) -e ".[dev]"
	touch $@
