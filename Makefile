# One command for each thing; `make help` lists them. Every target first brings the
# clone's own .venv up to date (see .ci/setup; PYTHON=... chooses the Python).

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
RUNTIME := @sh .ci/setup runtime
DEVELOPMENT := @sh .ci/setup development
PYTEST := $(BIN)/python -m pytest

# A relative folder is the caller's, also with make -C, which leaves PWD as it was.
DATA_OPTION = $(if $(DATA),--data "$(if $(filter /%,$(DATA)),,$(PWD)/)$(DATA)")

.PHONY: help setup demo demo-federation serve test test-one soak bench docs screenshots protos lint format lock clean

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

setup: ## Install everything for development into .venv
	$(DEVELOPMENT)

demo: ## Run the main job from licence to bill; DATA=folder loads real data from there
	$(RUNTIME)
	@$(BIN)/creditgate demo $(DATA_OPTION) $(ARGS)

demo-federation: ## Run three regions under one anchor: a query, a split view, a region cut off
	$(RUNTIME)
	@$(BIN)/creditgate demo --federation $(ARGS)

serve: ## Leave a gateway with demo data running and print how to call it; DATA as for demo
	$(RUNTIME)
	@$(BIN)/creditgate serve --demo $(DATA_OPTION) $(ARGS)

test: ## Run all tests, the checks of style, types and imports among them
	$(DEVELOPMENT)
	@$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -q $(ARGS)

test-one: ## Run chosen tests: T=tests/quality or T="tests -k settle"
	$(DEVELOPMENT)
	@$(PYTEST) $(if $(T),$(T),$(error name the tests, for example: make test-one T=tests/quality))

soak: ## Run the long tests: faults of all parts, kill -9, memory, every property; prints what held
	$(DEVELOPMENT)
	@$(PYTEST) -m "soak or hypothesis" --hypothesis-profile=thorough -rP $(ARGS)

bench: ## Measure against a bare server and a conventional stack; writes benchmarks/latest.json
	$(DEVELOPMENT)
	@$(BIN)/python -m benchmarks $(ARGS)

docs: ## Write docs/reference and the tables of the guides anew from protos and code
	$(DEVELOPMENT)
	@$(BIN)/python docs/generate_reference.py
	@$(BIN)/python docs/generate_tables.py
	@$(BIN)/python -m benchmarks.capacity.page

screenshots: ## Take the pictures of the guides anew; needs a Chinese font
	$(DEVELOPMENT)
	@CREDITGATE_SCREENSHOTS=docs/images $(PYTEST) -q -m "soak or not soak" \
		tests/browser/test_subject_story.py \
		tests/browser/test_console_pages.py tests/browser/test_portal_pages.py

protos: ## Write the Python stubs anew from protos/
	$(DEVELOPMENT)
	@$(BIN)/python protos/generate.py

lint: ## Check style, types and imports, those of the tests too, without the other tests
	$(DEVELOPMENT)
	@$(PYTEST) -q -m "soak or not soak" tests/quality

format: ## Put Python and protos into the standard format
	$(DEVELOPMENT)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/buf format --write

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --extra build --extra gateway --extra analytics

lock: ## Pin dependencies anew from pyproject.toml (needs uv); UPGRADE=1 takes newer versions
	@command -v uv >/dev/null || { \
	    echo "make lock needs uv: see https://docs.astral.sh/uv/ or pip install uv" >&2; exit 1; }
	$(LOCK) $(if $(UPGRADE),--upgrade) pyproject.toml --output-file requirements.lock
	$(LOCK) --constraint requirements.lock $(if $(UPGRADE),--upgrade) --extra dev \
	    pyproject.toml --output-file requirements-dev.lock

clean: ## Remove everything that can be made again: .venv, caches; var is kept
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	rm -rf *.egg-info tests/node/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
