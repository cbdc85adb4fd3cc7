# Every target sets up .venv first, from requirements.lock; nothing else is needed but Python 3.11+.
.DEFAULT_GOAL := help
.PHONY: help demo test check static fix serve fuzz soak faults lock clean environment
unexport PYTHONPATH PYTHONHOME

# Any Python that runs at all: the set-up itself looks for one that is new enough.
ANY_PYTHON = $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c '' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# A worker holds up to a dozen connections, and the tests' server allows 200.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: environment ## a year of real shopping, from the first earn to the last statement
	@$(BIN)/coalition demo

test: environment ## all tests but the long ones
	@$(PYTEST) -m "not soak"

check: static test ## what has to pass before a change is taken: style, types, imports, tests

static: environment ## the part of check that runs nothing: ruff, mypy, import-linter
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: environment ## put right what ruff can: its fixes, then the format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

serve: environment ## the HTTP interface, on the embedded database unless DATABASE_URL says where
	@$(BIN)/coalition serve

fuzz: environment ## two minutes of random requests, as the API's own description makes them
	@FUZZ_S=120 $(PYTEST) tests/coalition/api/test_schema_fuzz.py

soak: environment ## the tests that take minutes
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-soak.lock
	@$(PYTEST) -m soak

faults: environment ## what goes wrong around the program, done on purpose: a table, some minutes
	@$(BIN)/python -m tests.faults

.PHONY: bench bench-large
bench: environment ## how fast it is beside pgbench and COPY: 20 minutes (an hour: make bench-large)
	@$(BIN)/python -m benchmarks

bench-large: environment
	@$(BIN)/python -m benchmarks --large

lock: ## write the lock files anew after a change of pyproject.toml (needs uv)
	@tools/lock

clean: ## remove .venv, out and caches; the data in .coalition stays
	rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf .grimp_cache src/*.egg-info
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@test -n "$(ANY_PYTHON)" || { echo "No Python found. Install Python 3.11 or newer \
	(Debian, Ubuntu: apt install python3 python3-venv), then try again." >&2; exit 1; }
	@$(ANY_PYTHON) tools/setup_environment.py
