# make run    a virtual environment with the pinned requirements, then the app on http://localhost:8501
# make quick  the tests of units and pages: no browser, nothing slow; at most three minutes on two cores
# make test   all tests, with the code of others that they compare with; at most twelve minutes on two cores
# make coverage  the tests of make quick, and how much of the code they reach, line by line and branch by branch
# make gpu    on a machine with an NVIDIA GPU: its tests, its kernels and the standard runs, recorded; goes on where it ended
# make lint   style, types and layers without changing anything; make format mends the style; make check does lint and test

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8501
WORKERS ?= logical
BIN := $(VENV)/bin
# The Python of make gpu: that of the virtual environment where there is one, else the one that is there. It installs nothing.
GPU_PYTHON ?= $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON))
BUDGET ?= 30
GPU_OPTIONS ?=

# An empty PYTHONDONTWRITEBYTECODE lets each process read what an earlier one compiled: tests start dozens of them.
# tests/conftest.py puts the long files first, so that no process is left alone with one; xdist would put them last.
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
UNITS := -m "not browser and not slow" --ignore tests/browser --ignore tests/oracles

.PHONY: run quick test coverage gpu lint format check clean

run: $(VENV)/.run
	$(BIN)/python -m streamlit run app.py --server.port $(PORT) --server.headless true

# Tests in the browser wait for it much of their time: one process more than cores leaves none idle.
test: WORKERS = $(shell $(PYTHON) -c "import os; print(os.cpu_count() + 1)")
test: $(VENV)/.dev $(VENV)/.oracles
	$(PYTEST)

quick: $(VENV)/.dev
	$(PYTEST) $(UNITS)

coverage: $(VENV)/.dev
	$(PYTEST) $(UNITS) --cov --cov-report term:skip-covered --cov-report html

gpu:
	@$(GPU_PYTHON) -m models gpu --budget $(BUDGET) $(GPU_OPTIONS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=kernels $(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: lint test

clean:
	rm -rf $(VENV)/.run $(VENV)/.dev $(VENV)/.oracles .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage htmlcov

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	@touch $@ $(VENV)/.run

$(VENV)/.oracles: requirements-oracles.txt | $(VENV)/.dev
	rm -rf $(VENV)/oracles
	MAMBA_SKIP_CUDA_BUILD=TRUE MAMBA_FORCE_BUILD=TRUE $(BIN)/python -m pip install --quiet --no-build-isolation --no-deps \
		--target $(VENV)/oracles --requirement requirements-oracles.txt
	@touch $@
