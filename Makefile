# Every target sets up what it needs; .venv changes only with the pinned requirements.
PYTHON ?= python3
STAGE ?= dev
ARGS ?=
# How many events `demo` and `produce` send; left out, the commands' own defaults hold (2,000, and with --from
# as many as the input has).
HOW_MANY = $(if $(EVENTS),--events $(EVENTS))

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCAL_READY := $(VENV)/.ready-local
READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
# The documents with generated tables, and where the code is that prints them.
GENERATED := docs/api.md docs/deploying.md docs/events.md docs/operating.md docs/planning.md
COG := $(BIN)/python -m cogapp -I docs -p "import figures" -P --verbosity=1

.PHONY: help install demo demo-failures serve produce reset package test bench check docs coverage format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(READY) ## set up .venv, pinned, with what every target needs

$(LOCAL_READY): requirements.txt requirements-local.txt constraints.txt
	@echo "make: $(VENV) gets what the local pipeline needs, about 160 MB, once per change of requirements" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements-local.txt
	@touch $@

$(READY): $(LOCAL_READY) requirements-unit.txt requirements-dev.txt
	@echo "make: $(VENV) gets what tests, checks and benchmarks need, about 650 MB, once, too" >&2
	@$(PIP) -r requirements-dev.txt
	@touch $@

# Resharding is tested on kinesalite, too, which closes a split shard as Kinesis does.  Without npm those
# tests skip, and say so.
$(NODE_READY): package.json package-lock.json
	@if command -v npm >/dev/null; then npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; \
	else mkdir -p node_modules; fi
	@touch $@

demo: $(LOCAL_READY) ## run the pipeline on EVENTS events and check every one of them
	@$(BIN)/python -m local demo $(HOW_MANY) $(ARGS)

demo-failures: $(LOCAL_READY) ## show what goes wrong and how nothing is lost, in about a minute
	@$(BIN)/python -m local demo-failures $(ARGS)

serve: $(LOCAL_READY) ## run the pipeline until Ctrl-C; API on http://127.0.0.1:8000
	@$(BIN)/python -m local serve $(ARGS)

produce: $(LOCAL_READY) ## put EVENTS events on the stream of a running `make serve`
	@$(BIN)/python -m producer send $(HOW_MANY) $(ARGS)

reset: $(LOCAL_READY) ## delete what `make serve` has stored
	@$(BIN)/python -m local reset $(ARGS)

package: $(READY) ## build template and zip of STAGE (dev) for aws cloudformation deploy
	@$(BIN)/python -m ops package --stage $(STAGE) $(ARGS)

test: $(READY) $(NODE_READY) ## run all tests
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

bench: $(READY) ## measure beside what a user would write instead
	@$(BIN)/python -m benchmarks $(ARGS)

check: $(READY) ## check format, lint, types, imports and generated figures
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(COG) --check --diff $(GENERATED)

docs: $(READY) ## write the generated figures of the documents again
	$(COG) -r $(GENERATED)

coverage: $(READY) $(NODE_READY) ## run all tests and list the lines that none of them reaches
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term-missing:skip-covered $(ARGS)

format: $(READY) ## format the code as `make check` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the targets made here; `make reset` removes what is stored
	rm -rf $(VENV) node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* dist
