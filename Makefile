# Every target sets up what it needs; .venv is made again only when the pinned requirements change.
PYTHON ?= python3
STAGE ?= dev
ARGS ?=
# How many events `demo` and `produce` send; left out, the commands' own defaults hold (2,000, and with --from
# as many as the input has).
HOW_MANY = $(if $(EVENTS),--events $(EVENTS))

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NODE_READY := node_modules/.ready

.PHONY: help install demo demo-failures serve produce reset package test bench check format clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(READY) ## the virtual environment, pinned

$(READY): requirements.txt requirements-dev.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Resharding is tested on kinesalite, too, which closes a split shard as Kinesis does.  Without npm those
# tests skip, and say so.
$(NODE_READY): package.json package-lock.json
	@if command -v npm >/dev/null; then npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; \
	else mkdir -p node_modules; fi
	@touch $@

demo: $(READY) ## the whole pipeline on EVENTS events, every one of them checked
	@$(BIN)/python -m local demo $(HOW_MANY) $(ARGS)

demo-failures: $(READY) ## what goes wrong, and how nothing is lost: a story of a minute
	@$(BIN)/python -m local demo-failures $(ARGS)

serve: $(READY) ## the same pipeline, kept running until Ctrl-C; API on http://127.0.0.1:8000
	@$(BIN)/python -m local serve $(ARGS)

produce: $(READY) ## put EVENTS events on the stream of a running `make serve`
	@$(BIN)/python -m producer send $(HOW_MANY) $(ARGS)

reset: $(READY) ## forget what `make serve` has stored
	@$(BIN)/python -m local reset $(ARGS)

package: $(READY) ## template and zip of STAGE (dev), for aws cloudformation deploy
	@$(BIN)/python -m ops package --stage $(STAGE) $(ARGS)

test: $(READY) $(NODE_READY) ## all tests
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

bench: $(READY) ## how fast it is, beside what a user would write instead
	@$(BIN)/python -m benchmarks $(ARGS)

check: $(READY) ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## put the code into the shape that `make check` wants
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the targets made here; `make reset` removes what is stored
	rm -rf $(VENV) node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
