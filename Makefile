# The chores. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install run test check format bench docs lock clean

help: ## list the chores
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A stamp per set of packages: an edit of pyproject.toml installs again, nothing else does.
$(VENV)/.run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "imgbang needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[formats,pdf,vision,redis]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --group test --group check --group bench
	@touch $@

install: $(VENV)/.run ## create .venv and install imgbang into it

run: $(VENV)/.run ## serve generated sample pictures on http://127.0.0.1:8080
	@$(BIN)/imgbang serve --samples

# A file's tests stay together: they share servers. More than four at a time would disturb the tests that watch a clock.
test: $(VENV)/.dev ## run the test suite
	$(BIN)/python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile $(ARGS)

check: $(VENV)/.dev ## format check, lint, types, import layers, manifests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_manifests.py tests/test_redis_manifests.py

format: $(VENV)/.dev ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

bench: $(VENV)/.dev ## measure, side by side in one run
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/.dev ## generate the parts of the documentation that come from the code
	$(BIN)/python -m docs.generate

lock: $(VENV)/.dev ## pin the packages of the container image anew, with their hashes
	$(BIN)/python -m container.lock

clean: ## remove what was installed and generated
	rm -rf $(VENV) .imgbang images .mypy_cache .ruff_cache .hypothesis
