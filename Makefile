# make demo      the main job on a set that it makes, in ./mtfast-demo
# make test      the tests
# make test-loops  the loaders in other people's training loops
# make docs      the documentation, in site/html/
# make test-docs the documentation: its code, its notebooks, its links
# make check     lint, types and layers
# make bench     compared with the baselines and the peers, then asv
# PYTHON=python3.13 picks the interpreter, VENV=.venv-3.13 the folder of its environment.
# An environment that another interpreter made is rebuilt.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: venv demo test test-loops docs test-docs check bench clean another-interpreter

venv: $(STAMP)

# Without PYTHON= the environment that is there is used, whichever interpreter made it.
ifneq ($(origin PYTHON),file)
IDENTITY := import sys; print(sys.version, sys.base_prefix)
ifneq ($(shell $(PYTHON) -c '$(IDENTITY)' 2>&1),$(shell $(BIN)/python -c '$(IDENTITY)' 2>&1))
CLEAR := --clear
$(STAMP): another-interpreter
endif
endif

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mtfast needs Python 3.11 or newer, not " + sys.version.split()[0] + "; pick one with PYTHON=")'
	$(PYTHON) -m venv $(CLEAR) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group test
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/mtfast demo mtfast-demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

test-loops: $(STAMP)
	$(BIN)/python -m pip install --quiet --group test --group loops
	$(BIN)/python -m pytest tests/loops $(ARGS)

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --jobs auto -d site/doctrees docs site/html
	@echo site/html/index.html

test-docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --group test --group docs
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile tests/documentation $(ARGS)

check: $(STAMP)
	$(BIN)/python -m pip install --quiet --group lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks.ratios
	$(BIN)/python -m benchmarks.peers --picture docs/peers.png
	$(BIN)/python -m benchmarks.export
	$(BIN)/asv machine --yes
	$(BIN)/asv run --python=same --quick

clean:
	rm -rf $(VENV) .venv-* build dist site docs/reference/commands docs/reference/commands.md .pytest_cache .mypy_cache .ruff_cache .asv mtfast-demo
