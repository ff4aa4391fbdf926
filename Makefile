## make quickstart      train the proxies, fit the law, print and draw the answers
## make test            what has to pass before a change is accepted: lint, then pytest
## make install         only the virtual environment
## make lint, pytest    the two halves of make test
## make lock            resolve requirements.lock anew (needs uv)
## make docs            the documentation as pages, site/index.html: docs/*.md and the API from docstrings
## make slow            the tests that make test leaves out: everything below, and what takes minutes elsewhere
## make notebooks       execute examples/notebooks/*.ipynb in place, outputs and figures anew
## make active-loop     choose, train and fit in rounds on text that comes with Python; some minutes
## make contracts      every law with every pooling and noise: draws, densities, gradients; minutes
## make launchers      the launchers on clusters of this machine, and kill -9 at random moments
## make study          train the study of examples/data, gather its tables, draw its figures: CORPORA=DIR, hours
## make coverage-study  how often the intervals hold the truth on simulated studies
## make clean           remove environments, builds and caches; what the quickstart trained stays
##
## PYTHON and VENV choose the interpreter and its environment: make test PYTHON=python3.12 VENV=.venv312
## TESTS chooses tests: make pytest TESTS="tests/laws tests/ask"

VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
WORKERS ?= 2
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
IN := $(VENV)/bin/python -m
INSTALLED := $(VENV)/.installed
# The test processes share the cores already; more threads in each would only wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(IN) pytest -m "not slow" -n $(WORKERS) --dist loadfile -q $(TESTS)
HAS_TORCH = $(VENV)/bin/python -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'
MINOR = 'import sys; print("{}.{}".format(*sys.version_info))'
NO_TRAINER := --ignore=tests/trainer --ignore=tests/test_quickstart.py --ignore=tests/test_active_loop.py

.PHONY: slow help install quickstart active-loop test lint pytest notebooks docs contracts launchers study lock clean coverage-study

help:
	@sed -n 's/^## \{0,1\}//p' Makefile

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "error: expected Python 3.11 or later as python3.11 or python3, found neither;" \
		"install it or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: expected Python 3.11 or later," \
		"$(PYTHON) is $$($(PYTHON) --version 2>&1); name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): requirements.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) install -r requirements.lock
	$(PIP) install --no-deps -e .
	@touch $@

install: $(INSTALLED)

quickstart: $(INSTALLED)
	@$(HAS_TORCH) || { echo "error: the quickstart trains with PyTorch, which requirements.lock has for Python 3.11 only;" \
		"use that (make quickstart PYTHON=python3.11 VENV=.venv311) or install torch into $(VENV)" >&2; exit 1; }
	$(VENV)/bin/python examples/quickstart/quickstart.py --out quickstart --workers $(WORKERS)

active-loop: $(INSTALLED)
	@$(HAS_TORCH) || { echo "error: the loop trains with PyTorch, which requirements.lock has for Python 3.11 only" >&2; exit 1; }
	$(VENV)/bin/python examples/active_loop/active_loop.py --out active-loop --workers $(WORKERS)

lint: $(INSTALLED)
	$(IN) ruff check .
	$(IN) ruff format --check .
	@if $(HAS_TORCH); then set -ex; $(IN) mypy; $(IN) mypy examples/quickstart/quickstart.py; \
		$(IN) mypy examples/active_loop/active_loop.py; else \
		echo "NOTE: no PyTorch in $(VENV) (requirements.lock has it for Python 3.11 only): trainer/ is not type-checked"; \
		set -ex; $(IN) mypy -p bayescpt --python-version $$($(VENV)/bin/python -c $(MINOR)); fi

pytest: $(INSTALLED)
	@if $(HAS_TORCH); then set -x; $(PYTEST); else \
		echo "NOTE: no PyTorch in $(VENV) (requirements.lock has it for Python 3.11 only): the trainer's tests are left out"; \
		set -x; $(PYTEST) $(NO_TRAINER); fi

launchers: $(INSTALLED)
	OMP_NUM_THREADS=1 $(IN) pytest -m slow -q tests/trainer

# In this order also under make -j: what lint finds takes seconds to learn.
test: lint
	$(MAKE) pytest

study: $(INSTALLED)
	@test -d "$(CORPORA)/general" || { echo "error: expected CORPORA=DIR with a folder for each corpus of" \
		"examples/study/runs.yaml, got '$(CORPORA)'" >&2; exit 1; }
	CORPORA="$(abspath $(CORPORA))" $(IN) trainer sweep examples/study/runs.yaml --out study/grid --option compile=true
	CORPORA="$(abspath $(CORPORA))" $(IN) trainer sweep examples/study/replay.yaml --out study/replay --option compile=true
	CORPORA="$(abspath $(CORPORA))" $(IN) trainer sweep examples/study/phases.yaml --out study/phases --option compile=true
	$(VENV)/bin/python examples/study/publish.py
	$(VENV)/bin/python examples/study/figures.py

lock:
	tools/lock.sh

notebooks: $(INSTALLED)
	$(VENV)/bin/python tools/notebooks.py

docs: $(INSTALLED)
	$(IN) mkdocs build --strict # not --quiet: warnings that it hides do not count
	@echo "written: site/index.html"

slow: $(INSTALLED)
	OMP_NUM_THREADS=1 $(IN) pytest -m slow -n $(WORKERS) --dist loadfile -q

contracts: $(INSTALLED)
	OMP_NUM_THREADS=1 $(IN) pytest -n $(WORKERS) -q tests/model/test_every_model.py

coverage-study: $(INSTALLED)
	$(VENV)/bin/python benchmarks/coverage.py

clean:
	rm -rf $(VENV) .venv312 build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find bayescpt trainer tests examples tools -name __pycache__ -type d -prune -exec rm -rf {} +
