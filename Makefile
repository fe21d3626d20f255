# The one front door of the template itself: `make` lists the commands. CI runs `make validate-branch`.
# What a rendered project's Makefile does is in template/Makefile.jinja.

# This project's own copy of uv once there is one.
UV := $(firstword $(wildcard .venv/bin/uv $(HOME)/.local/bin/uv) uv)
RUN := .venv/bin/uv run
# Most shells leave the tilde in DEST=~/my-app as it is.
override DEST := $(patsubst ~/%,$(HOME)/%,$(DEST))

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- Make a project ----

.PHONY: new
new: ## Make a project: make new DEST=../my-app [DEFAULTS=1] [ANSWERS=answers.yml]
	@test -n "$(DEST)" || { echo "new: say where, such as: make new DEST=../my-app" >&2; exit 2; }
	@test -z "$$(ls -A "$(DEST)" 2>/dev/null)" || { echo "new: $(DEST) is not empty; name a new folder" >&2; exit 2; }
	@$(UV) --version >/dev/null 2>&1 || $(MAKE) install-uv
	@$(MAKE) render
	@$(MAKE) -C "$(DEST)" init
	@$(MAKE) -C "$(DEST)" validate-branch
	@echo "Ready: cd $(DEST)"

.PHONY: render
render:
	@$(UV) tool run --from "copier>=9.19,<10" copier copy --quiet --vcs-ref HEAD \
		$(if $(DEFAULTS),--defaults) $(if $(ANSWERS),--data-file "$(ANSWERS)") . "$(DEST)"

.PHONY: install-uv
install-uv:  # from the package index into ~/.local; outside this folder, whose .python-version may not be installed yet
	@echo "Installing uv into ~/.local/bin"
	@cd "$$HOME" && python3 -m pip install --quiet --disable-pip-version-check --target "$$HOME/.local/share/uv-for-make" --upgrade uv \
		&& mkdir -p .local/bin && ln -sf ../share/uv-for-make/bin/uv .local/bin/uv \
		&& echo "To type uv yourself, have ~/.local/bin in your PATH" \
		|| { echo "install-uv: this step needs python3 with pip, and the network. Or install uv yourself: https://docs.astral.sh/uv/" >&2; exit 1; }

# ---- Work on the template ----

.venv/bin/uv: pyproject.toml
	@$(UV) --version >/dev/null 2>&1 || $(MAKE) install-uv
	@$(MAKE) sync

.PHONY: sync
sync:
	@$(UV) sync
	@touch .venv/bin/uv

.PHONY: setup
setup: .venv/bin/uv ## Set up what working on the template needs: environment and git hooks
	@$(RUN) pre-commit install

.PHONY: format
format: .venv/bin/uv ## Rewrite the code: format it and mend what can be mended
	@$(RUN) ruff check --fix-only --quiet
	@$(RUN) ruff format

.PHONY: lint
lint: .venv/bin/uv ## Check format and rules; changes nothing
	@$(RUN) ruff format --check
	@$(RUN) ruff check

.PHONY: type-check
type-check: .venv/bin/uv ## Check the types
	@$(RUN) mypy

.PHONY: test
test: .venv/bin/uv ## Render and parse everything, and work inside one default project
	@$(RUN) pytest -m "not full"

.PHONY: test-all
test-all: .venv/bin/uv ## The same, and `make validate-branch` inside a handful of other projects, on a bare machine too
	@$(RUN) pytest

.PHONY: validate-branch
validate-branch: lint type-check test-all ## Check everything, as CI does; changes nothing

.PHONY: benchmark
benchmark: .venv/bin/uv ## Measure what the README claims, side by side
	@$(RUN) python benchmarks/speed.py

.PHONY: clean
clean: ## Remove the environment and caches
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache uv.lock
