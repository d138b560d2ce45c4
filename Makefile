# Two commands do everything on a machine with Python and make:
#   make demo     the main job on the simulated terminal (make demo DATA=FILE: on a replay of real prices)
#   make test     every test
#   make fleet-demo   four nodes on this machine: sync, verify, roll back (root)
# Others: make lint, make audit, make bench, make chaos (SEED=N ORDERS=N), make lock, make clean.

PYTHON ?= python3
VENV   ?= .venv
DATA   ?=
SYMBOL ?=
SEED   ?=
ORDERS ?= 10000
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint audit bench chaos lock fleet-demo clean
.DELETE_ON_ERROR:

demo: $(VENV)/.run .env
	$(BIN)/mt5crs demo $(if $(DATA),--data "$(DATA)") $(if $(SYMBOL),--symbol "$(SYMBOL)")

test: $(VENV)/.test
	.ci/tests $(BIN)/python $(ARGS)

lint: $(VENV)/.test $(VENV)/.lint $(VENV)/.bench
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=src/mt5crs/shim $(BIN)/mypy --no-incremental tests/typing/user_script.py
	$(BIN)/basedpyright
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks --json docs/bench.json --plot docs/bench.svg $(ARGS)

audit: $(VENV)/.audit
	.ci/audit

chaos: $(VENV)/.test
	$(BIN)/python -m tests.adversity.chaos $(if $(SEED),--seed $(SEED)) --orders $(ORDERS) $(ARGS)

fleet-demo: $(VENV)/.test
	$(BIN)/python -m tests.fleet.demo $(ARGS)

lock: $(VENV)/.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-header --all-extras \
		--group release --python-version 3.10 --output-file requirements.lock $(ARGS)

.env: $(VENV)/.run
	$(BIN)/python -m mt5crs.settings

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed, $(PYTHON) is " + v + ": give another one with make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml
	@echo "installing mt5crs (once)"
	@$(PIP) install -e '.[cli,secure]'
	@touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.bench $(VENV)/.audit $(VENV)/.lock: $(VENV)/.%: $(VENV)/.run
	@echo "installing what '$*' needs (once)"
	@$(PIP) install --group $*
	@touch $@

clean:
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
