# Two commands on a fresh machine do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --constraint constraints.txt --editable

# Files with tests, by name, wherever they are.
named = $(foreach name,$(1),$(wildcard tests/test_$(name).py tests/*/test_$(name).py tests/*/*/test_$(name).py))

# The tests of what computes by itself on every backend; the rest stands on these.
ENGINE := $(call named,fit fit_agrees population callbacks checkpoints check_gradients check_initialization devices paused)

.PHONY: demo test test-jax lint package clean

demo: $(VENV)/installed-plot
	$(BIN)/python examples/textbook_search.py

# TensorFlow keeps all that was ever compiled, gigabytes: the tests run in three parts, each in new processes.
test: $(VENV)/installed-test
	failed=0; for part in 1 2 3; do \
		$(BIN)/python -m pytest --numprocesses 2 --dist worksteal --part $$part/3 || failed=1; \
	done; exit $$failed

test-jax: $(VENV)/installed-test $(VENV)/installed-jax
	KERAS_BACKEND=jax $(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ENGINE)
	KERAS_BACKEND=jax JAX_ENABLE_X64=1 $(BIN)/python -m pytest --numprocesses 2 $(call named,fit_agrees) -k double

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

package:
	rm -rf dist
	$(PYTHON) -m venv --clear $(VENV)-build
	$(VENV)-build/bin/pip install --quiet --constraint constraints.txt build twine
	$(VENV)-build/bin/python -m build
	$(VENV)-build/bin/twine check --strict dist/*
	$(PYTHON) -m venv --clear $(VENV)-wheel
	$(VENV)-wheel/bin/pip install --quiet --constraint constraints.txt dist/*.whl
	cd dist && ../$(VENV)-wheel/bin/python -c 'import kerashp; print(kerashp.__file__, kerashp.build_model())'

clean:
	rm -rf $(VENV) $(VENV)-build $(VENV)-wheel build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kerashp needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-%: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) .[$*]
	touch $@
