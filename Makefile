# The one front door of the template itself: `make` lists the commands. CI runs `make validate-branch`.
# What a rendered project's Makefile does is in template/Makefile.jinja.

# This project's own copy of uv once there is one.
UV := $(firstword $(wildcard .venv/bin/uv $(HOME)/.local/bin/uv) uv)
RUN := .venv/bin/uv run
# Two workers and no more: the tests of the projects that they set up watch the clock.
TESTS := $(RUN) pytest --numprocesses 2 --dist worksteal
COPIER := copier>=9.19,<10
SPACE := $() $()
# Most shells leave the tilde in DEST=~/my-app as it is.
override DEST := $(patsubst ~/%,$(HOME)/%,$(DEST))

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Hundreds of processes that the tests start import the same modules: compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- Make a project ----

.PHONY: new
new: ## Make a project: make new DEST=../my-app [DEFAULTS=1] [ANSWERS=answers.yml]
	@$(MAKE) check-destination
	@$(UV) --version >/dev/null 2>&1 || $(MAKE) install-uv
	@$(MAKE) render
	@$(MAKE) -C "$(DEST)" init
	@$(MAKE) -C "$(DEST)" validate-branch
	@echo "Ready. Next: cd $(if $(findstring $(SPACE),$(DEST)),'$(DEST)',$(DEST)) && git add --all && git commit --message 'feat: start'"

.PHONY: init
init: ## Turn this copy of the template ("Use this template") into your project [DEFAULTS=1] [ANSWERS=answers.yml]
	@test -f "$$(git rev-parse --git-dir)/new-project" || $(MAKE) prepare-init
	@$(MAKE) finish-init

.PHONY: environment-create
environment-create: init ## The same as init

.PHONY: prepare-init
prepare-init:
	@$(UV) --version >/dev/null 2>&1 || $(MAKE) install-uv
	@$(MAKE) new-project-commit

.PHONY: new-project-commit
new-project-commit:
	@DEFAULTS="$(DEFAULTS)" ANSWERS="$(ANSWERS)" \
		$(UV) run --no-project --quiet --with "$(COPIER)" python scripts/project_from_copy.py

# Every step can be repeated, and this Makefile stays until the last one, so that a second `make init` goes on from
# wherever the first one was interrupted.
.PHONY: finish-init
finish-init:
	@read -r commit passage < "$$(git rev-parse --git-dir)/new-project" \
		&& rm -f "$$(git rev-parse --git-dir)/index.lock" \
		&& rm -rf .venv uv.lock .mypy_cache .pytest_cache .ruff_cache .cache site docs/reference \
		&& git read-tree --reset -u "$$passage" \
		&& git update-ref HEAD "$$commit" \
		&& git reset --quiet --hard \
		&& rm "$$(git rev-parse --git-dir)/new-project"
	@$(MAKE) init
	@git add uv.lock && git -c commit.gpgsign=false commit --quiet --no-verify --amend --no-edit

.PHONY: starter
starter: ## Make a placeholder to publish as a GitHub template of your own: make starter DEST=../starter
	@$(MAKE) check-destination
	@$(UV) --version >/dev/null 2>&1 || $(MAKE) install-uv
	@$(MAKE) render DEFAULTS=1 DATA='--data "project_name=$(STARTER)" --data "placeholder=$(STARTER)"'
	@git -C "$(DEST)" init --quiet --initial-branch=main && git -C "$(DEST)" add --all \
		&& git -C "$(DEST)" -c commit.gpgsign=false commit --quiet --no-verify --message "feat: starter"
	@echo "Publish $(DEST) and mark it as a template. Whoever uses it types, with uv, in a clone:"
	@echo '  uvx copier update --vcs-ref :current: --defaults --data "project_name=My App" --data package_name=my_app --data "user_name=Ada Lovelace"'

STARTER := AI Starter

.PHONY: check-destination
check-destination:
	@test -n "$(DEST)" || { echo "Say where, such as: DEST=../my-app" >&2; exit 2; }
	@case "$(DEST)" in *:*) echo "Choose a folder without a colon: no PATH could name what is in it" >&2; exit 2 ;; esac
	@test -z "$$(ls -A "$(DEST)" 2>/dev/null)" || { echo "$(DEST) is not empty; name a new folder" >&2; exit 2; }

.PHONY: render
render:
	@$(UV) tool run --from "$(COPIER)" copier copy --quiet --vcs-ref HEAD \
		$(if $(DEFAULTS),--defaults) $(if $(ANSWERS),--data-file "$(ANSWERS)") $(DATA) . "$(DEST)"

.PHONY: install-uv
install-uv:  # from the package index into ~/.local; outside this folder, whose .python-version may not be installed yet
	@echo "Installing uv into ~/.local/bin"
	@cd "$$HOME" && python3 -m pip install --quiet --disable-pip-version-check --target "$$HOME/.local/share/uv-for-make" --upgrade uv \
		&& mkdir -p .local/bin && ln -sf ../share/uv-for-make/bin/uv ../share/uv-for-make/bin/uvx .local/bin/ \
		|| { echo "install-uv: this step needs python3 with pip, and the network. Or install uv yourself: https://docs.astral.sh/uv/" >&2; exit 1; }
	@case ":$$PATH:" in *":$$HOME/.local/bin:"*) ;; *) echo "To type uv and uvx yourself:"; case "$$SHELL" in \
		*/fish) echo "  fish_add_path ~/.local/bin" ;; \
		*/zsh) echo "  echo 'export PATH=\"\$$HOME/.local/bin:\$$PATH\"' >> ~/.zshrc && exec zsh" ;; \
		*) echo "  echo 'export PATH=\"\$$HOME/.local/bin:\$$PATH\"' >> ~/.bashrc && exec bash" ;; esac ;; esac

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
	@$(TESTS) -m "not full"

.PHONY: test-all
test-all: .venv/bin/uv ## The same, and `make validate-branch` inside a handful of other projects, on a bare machine too
	@$(TESTS)

# Newer Pythons run the tests of what they differ in: asyncio, sqlite3 and ssl.
ON_NEWER_PYTHONS := $(patsubst %,tests/functional/test_%.py,agents attempts batches interactions ledger loopback \
	over_http providers records streams)
# Each Python has an environment of its own, so that switching costs nothing. (PYENV_VERSION: pyenv hides the others.)
PYTHONS := $(shell sed -n 's/.*Python :: \(3\.[0-9]*\)".*/\1/p' toolkit/pyproject.toml)
TOOLKIT = cd toolkit && UV_PROJECT_ENVIRONMENT=.venv-$$version $(abspath $(UV)) run --quiet --python "$$python"
FIND_PYTHON = python=$$(PYENV_VERSION=$$version $(UV) python find --no-project $$version 2>/dev/null)

.PHONY: test-toolkit
test-toolkit: .venv/bin/uv lint-toolkit ## Test the library where it stands, on every Python that is there
	@tests="tests"; chosen="slow or not slow"; for version in $(PYTHONS); do \
		if $(FIND_PYTHON); then \
			echo "toolkit, Python $$version" \
				&& ($(TOOLKIT) pytest --quiet --numprocesses 2 --dist worksteal $$tests -m "$$chosen") || exit 1; \
			tests="$(ON_NEWER_PYTHONS)"; chosen="not slow"; \
		else echo "toolkit, Python $$version: not on this machine, skipped"; fi; done

.PHONY: lint-toolkit
lint-toolkit: .venv/bin/uv
	@version=$(firstword $(PYTHONS)); $(FIND_PYTHON) || python=$$version; \
		for check in "ruff format --check" "ruff check" "lint-imports --no-logo" mypy; do ($(TOOLKIT) $$check) || exit 1; done

.PHONY: reference
reference: .venv/bin/uv
	@version=$(firstword $(PYTHONS)); $(FIND_PYTHON) || python=$$version; \
		$(TOOLKIT) python scripts/write_reference.py ../docs/reference

.PHONY: docs
docs: reference ## Build the documentation into site/; a dead link fails
	@$(RUN) zensical build --clean --strict

.PHONY: docs-serve
docs-serve: reference ## Show the documentation on http://localhost:8000, anew after each edit
	@$(RUN) zensical serve

.PHONY: validate-branch
validate-branch: lint type-check test-toolkit test-all ## Check everything, as CI does; changes nothing

.PHONY: benchmark
benchmark: .venv/bin/uv ## Measure what the README claims, side by side
	@$(RUN) python benchmarks/speed.py
	@version=$(firstword $(PYTHONS)); $(FIND_PYTHON) || python=$$version; $(TOOLKIT) python benchmarks/llm.py

.PHONY: unplug
unplug: .venv/bin/uv ## Break each promise of the library in a copy; its test must go red: make unplug [ONLY=text]
	@version=$(firstword $(PYTHONS)); $(FIND_PYTHON) || python=$$version; \
		$(TOOLKIT) python scripts/unplug.py $(if $(ONLY),--only "$(ONLY)")

.PHONY: release
release: .venv/bin/uv ## Release the template: make release VERSION=1.2.3
	@$(RUN) python scripts/release.py "$(VERSION)"

.PHONY: freshness
freshness: .venv/bin/uv ## The whole of test-all, with the newest version of every dependency
	@FRESH=1 $(TESTS)

.PHONY: test-hostile
test-hostile: .venv/bin/uv ## Try random answers: make test-hostile HOSTILE=5000
	@HOSTILE=$(or $(HOSTILE),5000) $(RUN) pytest tests/test_hostile.py

.PHONY: walk
walk: .venv/bin/uv ## Record docs/walk.md again
	@$(RUN) python scripts/record_walk.py

.PHONY: clean
clean: ## Remove the environment and caches
	@rm -rf .venv toolkit/.venv* .mypy_cache .pytest_cache .ruff_cache .cache site docs/reference uv.lock
