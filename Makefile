# One command for each habit. Each makes what it needs; CI calls only these.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
COVERED := $(wildcard src tests assignments autograder benchmarks)

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz lint prove format lock sandbox clean bench bench-repeat bench-forgeries

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(READY) sandbox  ## grade a made-up class of six and show the results
	@$(BIN)/coursekit demo

test: $(READY) sandbox postgresql sshd  ## every test; under ten minutes on two cores
	@$(BIN)/python -m pytest -m "not box" -q
	@$(BIN)/python -m pytest -m box -q -n 2 --dist loadfile --durations=10

SECONDS ?= 600
fuzz: $(READY) sandbox  ## make up hostile inputs at random: make fuzz SECONDS=600; what breaks is kept in tests/seeds
	@$(BIN)/python -m pytest tests/test_fuzz_*.py -q --fuzz-seconds $(SECONDS)

lint: $(READY)  ## ruff and mypy --strict
	@$(BIN)/ruff check $(COVERED)
	@$(BIN)/ruff format --check $(COVERED)
	@$(BIN)/mypy

prove: $(READY) sandbox  ## every assignment's grader against its reference and known wrong answers
	@$(BIN)/coursekit prove --all

format: $(READY)  ## let ruff lay out the code
	@$(BIN)/ruff format $(COVERED)
	@$(BIN)/ruff check --fix-only $(COVERED)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "coursekit needs Python 3.11 to 3.13, and this is %d.%d: make PYTHON=python3.12 ..." % v)'
	@echo "Installing into $(VENV), which takes a minute or two."
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh .ci/install python3-venv
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What the distribution has to give: installed when it is missing and we may, else said.
sandbox:
	@command -v bwrap >/dev/null || sh .ci/install bubblewrap bwrap

.PHONY: postgresql
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || sh .ci/install postgresql initdb

.PHONY: sshd
sshd:
	@test -x /usr/sbin/sshd || command -v sshd >/dev/null || sh .ci/install openssh-server /usr/sbin/sshd

bench: $(READY) sandbox  ## how long grading takes, against nbgrader and against the students' own cells
	@$(BIN)/python benchmarks/bench.py

bench-repeat: $(READY) sandbox  ## grade one submission 20 times beside three busy processes: how many scores differ
	@$(BIN)/python benchmarks/repeat.py

bench-forgeries: $(READY) sandbox  ## what wrong answers that attack the tests earn, under nbgrader and with coursekit
	@$(BIN)/python benchmarks/forgeries.py

lock:  ## pin every dependency again, with hashes and without addresses
	@$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv
	@$(VENV)/lock/bin/uv pip compile pyproject.toml --extra grade --extra kernel --extra tflm --extra vela --extra scale --group dev --universal \
		--python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --no-header \
		--prerelease if-necessary-or-explicit --quiet --output-file requirements.lock

clean:  ## remove what these commands made
	@rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
