# Everything runs in $(VENV), which is made when it is missing. PYTHON=... picks another interpreter (3.11 or newer).

PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
SCORE_VENV ?= .venv-scoreboard

BIN := $(VENV)/bin
BENCH_BIN := $(BENCH_VENV)/bin
SCORE_BIN := $(SCORE_VENV)/bin
SOURCES := $(shell find safeload rules -name '*.py' -o -name '*.toml')
DECLARED := pyproject.toml setup.py constraints.txt

# The checkout is installed as it stands (-e), always as plain Python: see setup.py.
INSTALL := SAFELOAD_PURE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test test-fast test-wheel check lint workflows release-check format bench fuzz fuzz-guided scoreboard samples docs clean

help:
	@echo "make demo    make an environment, install, scan samples/ and show what a refusal looks like"
	@echo "make test    make an environment, install, run the whole test suite but for the wheel's part"
	@echo "make test-fast   the same without what is slow, in less than a minute: while you work"
	@echo "make test-wheel  build a wheel as a user would, and run the tests of the compiled modules over it"
	@echo "make check   formatting, lint and types, then the whole test suite and the wheel's"
	@echo "make lint    formatting, lint and types only"
	@echo "make format  let ruff format and sort imports"
	@echo "make workflows  check the workflows and the action of GitHub (actionlint, zizmor)"
	@echo "make release-check  build what a release would publish, install each in an empty environment, try it there"
	@echo "make bench   measure scans, loads and conversions beside other tools (takes minutes and 20 GB of disk)"
	@echo "make fuzz    hold the promise against millions of odd files (an hour or two; SEED=N for others)"
	@echo "make fuzz-guided  the same steered by coverage, with atheris, three minutes for each reader"
	@echo "make scoreboard  safeload and other tools on the same hostile and benign files (half an hour); writes docs/scoreboard.md"
	@echo "make samples write samples/ again from samples/build.py"
	@echo "make docs    write docs/rules.md and the pages of --help again from code and rules"
	@echo "make clean   remove environments, builds and caches"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "safeload needs Python 3.11 or newer; '$(PYTHON)' is not: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Two stamps, so that the demo does not wait for torch.
$(VENV)/.installed: $(DECLARED) | $(BIN)/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-all: $(DECLARED) | $(BIN)/python
	$(INSTALL) -e '.[torch,dev]'
	@touch $(VENV)/.installed $@

REFUSED := samples/files/names/payload-in-data-pkl.pt
HELD := samples/files/benign/checkpoint.pt

# A scan of hostile files ends with status 1: that is what is shown, and no failure of the demo.
demo: $(VENV)/.installed
	@test -f samples/index.toml || $(BIN)/python samples/build.py
	@echo
	@echo "1. Every sample in one go: small files, most of which try something (samples/index.toml says what)."
	@echo
	@echo "   $$ safeload scan --quiet samples/files"
	@echo
	@$(BIN)/safeload scan --quiet samples/files; code=$$?; echo; echo "   exit status $$code"
	@echo
	@echo "2. A refusal: a checkpoint with a tensor in it, and a command that torch.load would run."
	@echo
	@echo "   $$ safeload scan $(REFUSED)"
	@echo
	@$(BIN)/safeload scan $(REFUSED); code=$$?; echo; echo "   exit status $$code"
	@echo
	@echo "3. An honest training checkpoint."
	@echo
	@echo "   $$ safeload scan --verbose $(HELD)"
	@echo
	@$(BIN)/safeload scan --verbose $(HELD); code=$$?; echo; echo "   exit status $$code"
	@echo
	@echo "Next: scan files of yours        $(BIN)/safeload scan PATH..."
	@echo "      what the options do         $(BIN)/safeload scan --help"
	@echo "      what a rule means           rules/README.md"
	@echo "      run the whole test suite    make test"

test: $(VENV)/.installed-all
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal -m "not wheel"

test-fast: $(VENV)/.installed-all
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal -m "not slow and not wheel"

# One process: its tests share one wheel, and the run over it has workers of its own.
test-wheel: $(VENV)/.installed-all
	$(BIN)/python -m pytest -m wheel

lint: $(VENV)/.installed-all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test test-wheel

# Both tools come with their binaries. actionlint looks into the scripts of the workflows with shellcheck, found on PATH.
workflows: $(VENV)/.installed-all
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/actionlint .github/workflows/*.yml
	$(BIN)/zizmor --offline --no-progress --pedantic --strict-collection .github action.yml .pre-commit-hooks.yaml

# Leaves what it checked in dist/. It takes some minutes: a wheel is compiled.
release-check: $(VENV)/.installed-all
	$(BIN)/python .ci/release_check.py

format: $(VENV)/.installed-all
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

samples: $(VENV)/.installed-all
	$(BIN)/python samples/build.py

# What is written from code and rules: docs/rules.md, and the pages of --help that the suite compares.
docs: $(VENV)/.installed-all
	$(BIN)/python rules/build.py
	$(BIN)/python rules/reference.py
	$(BIN)/python tests/cli/test_help_pages.py

# The wheel, so that the compiled machine is what is measured. For loads it stands alone in a folder, which
# benchmarks/load.py puts before the torch of $(VENV): scans are measured in an environment without torch.
$(BENCH_VENV)/.installed: $(DECLARED) $(SOURCES) benchmarks/rivals.txt
	test -x $(BENCH_BIN)/python || $(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/rivals.txt
	rm -rf $(BENCH_VENV)/built $(BENCH_VENV)/alone
	$(BENCH_BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(BENCH_VENV)/built .
	$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps $(BENCH_VENV)/built/*.whl
	$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check $(BENCH_VENV)/built/*.whl
	$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(BENCH_VENV)/alone $(BENCH_VENV)/built/*.whl
	@touch $@

bench: $(VENV)/.installed-all $(BENCH_VENV)/.installed
	$(BIN)/python benchmarks/scan.py --python $(BENCH_BIN)/python --corpus-python $(BIN)/python
	$(BIN)/python benchmarks/load.py --wheel $(BENCH_VENV)/alone
	$(BIN)/python benchmarks/convert.py --wheel $(BENCH_VENV)/alone

# One of the tools wants an older rich than constraints.txt names: torch by the constraints, then the tools, then safeload
# alone.
$(SCORE_VENV)/.installed: $(DECLARED) benchmarks/rivals.txt
	test -x $(SCORE_BIN)/python || $(PYTHON) -m venv $(SCORE_VENV)
	$(SCORE_BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch numpy safetensors click
	$(SCORE_BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/rivals.txt
	SAFELOAD_PURE=1 $(SCORE_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

scoreboard: $(SCORE_VENV)/.installed
	$(SCORE_BIN)/python benchmarks/scoreboard/run.py

# Nightly: each campaign ends with a line of counts and with status 1 where the promise was broken, and leaves the files
# that broke it, made small, in build/.
SEED ?= 0
FUZZ_CASES ?= 1000000
FUZZ_ARCHIVES ?= 100000

fuzz: $(VENV)/.installed-all
	$(BIN)/python -m tests.differential.campaign --cases $(FUZZ_CASES) --seed $(SEED) --jobs 2 --out build/disagreements
	$(BIN)/python -m tests.differential.archive_campaign --cases $(FUZZ_ARCHIVES) --seed $(SEED) --jobs 2 --out build/archives
	$(BIN)/python -m tests.fuzz.campaign --cases $(FUZZ_CASES) --seed $(SEED) --jobs 2 --out build/mutants

fuzz-guided: $(VENV)/.installed-all
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/fuzz/requirements.txt
	for target in $$($(BIN)/python -m tests.fuzz.coverage_guided --list); do \
		$(BIN)/python -m tests.fuzz.coverage_guided $$target -max_total_time=180 || exit 1; done

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(SCORE_VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
