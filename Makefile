# The first call makes .venv (a few minutes); after that it costs nothing. PYTHON=python3.12 picks another Python.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq --no-input
DEMO_INDEX := indexes/demo
DEMO_QUESTION ?= For how many years should the station's battery last?

.DEFAULT_GOAL := help
.PHONY: help env demo test browser test-slow test-lowest check format docs docs-runs train bench wheel
.PHONY: clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(INSTALLED)  ## Make the environment in .venv
	@:

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "ragctx needs Python 3.10 or newer: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing ragctx and its tools into $(VENV) (a few minutes the first time)"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

demo: env  ## Ask the sample PDFs a question
	$(BIN)/ragctx ingest examples/samples/*.pdf --index $(DEMO_INDEX)
	$(BIN)/ragctx ask --index $(DEMO_INDEX) "$(DEMO_QUESTION)"

test: env  ## Run the tests (all but the slow ones) and the examples in docstrings
	$(BIN)/python -m pytest

test-slow: env  ## Run the slow tests
	$(BIN)/python -m pytest -m slow --timeout 1200

browser:  ## Install Chromium for the tests of the page (Debian and Ubuntu, as root)
	@command -v chromium >/dev/null || { apt-get -qq update && apt-get -qq install -y chromium; }

# The rest comes from .venv; only transformers and what it asks for is older.
LOWEST := build/lowest
TRANSFORMERS := $(shell sed -n 's/^hf = .*transformers>=\([0-9.]*\).*/\1/p' pyproject.toml)

test-lowest: env  ## Run the tests of local models with the oldest transformers allowed
	@test -x $(LOWEST)/bin/python || $(BIN)/python -m venv $(LOWEST)
	@$(LOWEST)/bin/python -m pip --disable-pip-version-check -qq --no-input install \
		'transformers==$(TRANSFORMERS)'
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		"$$($(LOWEST)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/venv.pth"
	PYTHONPATH=$(CURDIR) $(LOWEST)/bin/python -m pytest -m "slow or not slow" --timeout 1200 \
		tests/tokens/test_exact_prompts.py tests/generator/test_huggingface.py \
		tests/generator/test_apart.py tests/generator/test_leave_one_out.py \
		tests/generator/test_grounding.py tests/generator/test_kept_prefixes.py \
		tests/generator/test_plan.py

check: env  ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env  ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: env  ## Write the generated pages, and the documentation as a site into build/site
	$(BIN)/python -m docs.build
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html: open it in a browser, no server needed"

docs-runs: env  ## Run the commands of README.md and the tutorial again, and show what they print
	$(BIN)/python -m docs.build_runs

CONFIG ?= training/config.toml

train: env  ## Make the bundled reader again, with CONFIG (hours; needs ../shared/data)
	$(BIN)/python -m training --config $(CONFIG)

bench: env  ## Measure ingesting and asking; the last line of each is JSON
	$(BIN)/python -m benchmarks.ingest
	$(BIN)/python -m benchmarks.ask

wheel: env  ## Build the wheel and the source archive into dist/, and check their metadata
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

clean:  ## Remove what was built and cached, but neither .venv nor your indexes
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis $(DEMO_INDEX)
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
