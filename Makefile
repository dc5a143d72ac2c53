# Every target works on a fresh Debian 12 with Python 3.11: what is missing is installed by the targets themselves.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BIN := .venv/bin
STAGE ?= dev
# More for pytest, such as PYTEST_ARGS='-k restore'.
PYTEST_ARGS ?=
# Most tests wait for something: a few more than there are cores keep these busy.
WORKERS ?= 3
# A folder of manifests for `make applications`; without one only the project's own are tried.
MANIFESTS ?=

.PHONY: help setup cluster cluster-down demo local test applications unit lint format package deploy bench clean

help: ## Explain every target
	@test -t 1 && bold='\033[1m' plain='\033[0m' || bold= plain=; awk -v bold="$$bold" -v plain="$$plain" \
		'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %s%-14s%s %s\n", bold, $$1, plain, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## Prepare .venv with everything, and the `mainstay` command in it

.venv/.ready: requirements.txt requirements-local.txt requirements-dev.txt constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed (set PYTHON=…)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { apt-get update -q && apt-get install -qy python3-venv && $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

cluster: setup ## Start the test cluster (an API server and a node) and say how to use it
	@$(BIN)/python -m tests.harness up

cluster-down: setup ## Stop the test cluster and leave nothing behind
	@$(BIN)/python -m tests.harness down

demo: setup ## Show the main job on a real cluster: version, damage, plan, restore, undo, a killed worker
	@$(BIN)/python -m tests.demo

local: setup ## Run Mainstay in its AWS shape: LocalStack, and the runner on its S3, SQS and KMS. Ctrl-C ends it
	@$(BIN)/python -m infra.local

test: setup ## Run all tests: unit, contract, cluster and end to end
	@$(BIN)/python -m tests.harness build
	@$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

applications: setup ## Try it on your own manifests (MANIFESTS=folder), on a control plane where nothing runs
	@$(BIN)/python -m tests.harness build
	@rm -rf build/applications
	@MAINSTAY_TEST_MANIFESTS="$(MANIFESTS)" MAINSTAY_TEST_RESULTS=build/applications \
		$(BIN)/python -m pytest tests/applications $(PYTEST_ARGS) && ended=0 || ended=$$?; \
		$(BIN)/python -m tests.applications.table build/applications; exit $$ended

unit: setup ## Run the tests that need nothing but Python (seconds)
	@$(BIN)/python -m pytest tests/unit $(PYTEST_ARGS)

lint: setup ## Check style, types and the arrows between the folders
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: setup ## Put the code into the house's format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

package: setup ## Package for AWS Lambda, with the template of all that a stage needs, and check the sizes
	@$(BIN)/python infra/checks.py $(STAGE)
	@rm -rf dist/$(STAGE)
	@AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-eu-central-1} $(BIN)/chalice package --stage $(STAGE) \
		--merge-template infra/template.yaml dist/$(STAGE)
	@$(BIN)/python infra/package_size.py dist/$(STAGE)

deploy: setup ## Create or update the stack of a stage: make deploy STAGE=dev [PARAMETERS='NAME=VALUE …']
	@$(BIN)/python -m infra.deploy $(STAGE) --check $(PARAMETERS)
	@$(MAKE) --no-print-directory package STAGE=$(STAGE)
	@$(BIN)/python -m infra.deploy $(STAGE) $(PARAMETERS)

bench: setup ## Measure against the raw limit of the same API server, and print ratios
	@$(BIN)/python -m bench

clean: ## Remove what the targets made here (not the test cluster's cache)
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
