# Two commands on a fresh machine do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --quiet --constraint constraints/newest.txt --editable

# TensorFlow keeps all that was ever compiled, gigabytes: tests run in parts, each in new processes.
in_parts = failed=0; for part in $(2); do \
	$(1)/python -m pytest --numprocesses 2 --dist worksteal --part $$part $(3) || failed=1; \
	done; exit $$failed

# Files with tests, by name, wherever they are.
named = $(foreach name,$(1),$(wildcard tests/test_$(name).py tests/*/test_$(name).py tests/*/*/test_$(name).py))

# The tests of what computes by itself on every backend; the rest stands on these.
ENGINE := $(call named,fit fit_agrees population callbacks checkpoints check_gradients check_initialization devices paused \
	pending_networks program_cache_on_disk regularization)

# What other versions of TensorFlow, Keras and scikit-learn may break: engine, estimators, searches, spaces, callbacks
# and persistence. SELECTION=yes takes those files that between them reach every private name, in a few minutes.
WHOLE := $(ENGINE) $(call named,\
	absent_classes bad_input common_checks compare_distributions composition convergence coarse_to_fine ensemble explain \
	halving hostile_files hyperparameters hyperparameters_in_searches journal keras_tuner metrics models modes \
	normalization optuna_search optuna_space oracle package persistence schedules schedules_in_estimators \
	scikeras_users search search_call search_contract spaces targets to_study training transfer validation_rows versions \
	wrapped)
SELECTED := $(call named,\
	check_gradients check_initialization checkpoints compare_distributions ensemble halving metrics optuna_search oracle package \
	persistence population search spaces transfer versions wrapped)
OTHERS := $(if $(SELECTION),$(SELECTED),$(WHOLE))
PARTS := $(if $(SELECTION),1/2 2/2,1/3 2/3 3/3)

.PHONY: demo bench-tables docs test test-fast test-jax test-colab test-oldest test-jax-alone wheel-colab lint package clean

demo: $(VENV)/installed-plot
	$(BIN)/python examples/textbook_search.py

test: $(VENV)/installed-test $(VENV)/installed-docs
	$(call in_parts,$(BIN),1/3 2/3 3/3)

# Without the tests that are marked slow.
test-fast: $(VENV)/installed-test $(VENV)/installed-docs
	$(call in_parts,$(BIN),1/2 2/2,-m "not slow")

test-jax: $(VENV)/installed-test $(VENV)/installed-jax
	KERAS_BACKEND=jax $(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ENGINE)
	KERAS_BACKEND=jax JAX_ENABLE_X64=1 $(BIN)/python -m pytest --numprocesses 2 $(call named,fit_agrees) -k double

# INTERPRETER=... takes another Python.
.venv-colab/%: INTERPRETER ?= python3.13
.venv-oldest/%: INTERPRETER ?= python3.11
.venv-jax-alone/%: INTERPRETER ?= $(PYTHON)

test-colab test-oldest: test-%: .venv-%/installed
	$(call in_parts,.venv-$*/bin,$(PARTS),$(OTHERS))

# The engine, where TensorFlow is not installed.
test-jax-alone: .venv-jax-alone/installed
	KERAS_BACKEND=jax .venv-jax-alone/bin/python -m pytest --numprocesses 2 --dist worksteal \
		$(call named,jax_alone callbacks schedules)

# What Colab has, and the wheel beside it: nothing that was there may have changed.
wheel-colab: .venv-colab/bin/python
	sed '/^# What kerashp/,$$d' constraints/colab.txt > .venv-colab/colab.txt
	.venv-colab/bin/pip install --quiet --requirement .venv-colab/colab.txt
	.venv-colab/bin/pip uninstall --quiet --yes kerashp scikeras keras-tuner kt-legacy
	.venv-colab/bin/pip list --format freeze > .venv-colab/before.txt
	.venv-colab/bin/pip install --quiet dist/*.whl
	.venv-colab/bin/pip check
	.venv-colab/bin/pip list --format freeze > .venv-colab/after.txt
	@if grep -vxFf .venv-colab/after.txt .venv-colab/before.txt; then \
		echo "kerashp's wheel changes the versions above, which Colab has" >&2; exit 1; fi
	@echo "kerashp's wheel leaves Colab's versions as they are; it brings:"
	@grep -vxFf .venv-colab/before.txt .venv-colab/after.txt

# README's tables, and those beside the benchmarks, from the figures in benchmarks/results/.
bench-tables: $(VENV)/installed-test
	$(BIN)/python benchmarks/readme_tables.py

# The site, in docs/_build/html; this executes the gallery, and needs no network. Any warning, and any link inside the
# site that leads nowhere, is an error.
docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

package:
	rm -rf dist
	$(PYTHON) -m venv --clear $(VENV)-build
	$(VENV)-build/bin/pip install --quiet --constraint constraints/newest.txt build twine
	$(VENV)-build/bin/python -m build
	$(VENV)-build/bin/twine check --strict dist/*
	$(PYTHON) -m venv --clear $(VENV)-wheel
	$(VENV)-wheel/bin/pip install --quiet --constraint constraints/newest.txt dist/*.whl
	cd dist && ../$(VENV)-wheel/bin/python -c 'import kerashp; print(kerashp.__file__, kerashp.build_model())'

clean:
	rm -rf $(VENV) $(VENV)-build $(VENV)-wheel .venv-colab .venv-oldest .venv-jax-alone build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info docs/_build docs/auto_gallery docs/reference/generated docs/sg_execution_times.rst
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kerashp needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-%: pyproject.toml constraints/newest.txt | $(VENV)/bin/python
	$(INSTALL) .[$*]
	touch $@

.venv-colab/bin/python .venv-oldest/bin/python .venv-jax-alone/bin/python: .venv-%/bin/python:
	@$(INTERPRETER) -c '' || { echo "$(INTERPRETER) is not there: install it, or name another by INTERPRETER=..." >&2; exit 1; }
	$(INTERPRETER) -m venv .venv-$*

.venv-colab/installed .venv-oldest/installed: .venv-%/installed: pyproject.toml constraints/%.txt | .venv-%/bin/python
	.venv-$*/bin/pip install --quiet --constraint constraints/$*.txt --editable .[test,jax]
	touch $@

# TensorFlow is a dependency of kerashp: the others are named here.
.venv-jax-alone/installed: pyproject.toml constraints/newest.txt | .venv-jax-alone/bin/python
	.venv-jax-alone/bin/pip install --quiet --constraint constraints/newest.txt \
		cloudpickle h5py jax joblib keras keras-tuner matplotlib numpy platformdirs pytest pytest-xdist rich scikeras scikit-learn scipy \
		threadpoolctl
	.venv-jax-alone/bin/pip install --quiet --no-deps --editable .
	touch $@
