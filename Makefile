# make scan    set up, then scan a tray of the twin lab
# make test    set up, then the tests
PYTHON ?= python3
RUN = OMP_WAIT_POLICY=PASSIVE .venv/bin/

.PHONY: scan test test-all bench check words docs setup clean

scan: setup
	$(RUN)rig scan --tray 3

# More workers than cores: about a third of a test's time is waiting for a wire.
test: setup
	OMP_NUM_THREADS=1 $(RUN)pytest --numprocesses 3 --dist worksteal

# Everything, the slow tests included (about half an hour on 2 cores).
test-all: setup
	OMP_NUM_THREADS=1 $(RUN)pytest --numprocesses 3 --dist worksteal -m "not bench"

bench: setup
	$(RUN)pytest -m bench -s tests/bench

check: setup docs
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# Words that are not used in this project: .ci/words.txt says what to write instead.
words: setup
	.venv/bin/codespell --config .ci/words.cfg *.md Makefile pyproject.toml docs calibration capture models pipeline rig tests
	.venv/bin/pytest tests/names.py

# The pages of docs/ as a site: build/site/index.html opens without a server.
docs: setup
	.venv/bin/mkdocs build --strict --quiet

setup: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check --quiet --editable '.[identify,dev]'
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
