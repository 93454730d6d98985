# make scan    set up, then scan a tray of the twin lab
# make test    set up, then the tests
# make install put the command `rig` on your PATH
PYTHON ?= python3
# Bytecode is kept: without it, each of the processes that run tests spends 5 s on compiling them.
RUN = PYTHONDONTWRITEBYTECODE= OMP_WAIT_POLICY=PASSIVE .venv/bin/

.PHONY: scan install test test-all bench check words docs setup clean

scan: setup
	$(RUN)rig scan --tray 3
	@echo "The command is .venv/bin/rig; \`make install\` puts rig on your PATH."

# With uv or pipx, whichever there is; without either, as a link in ~/.local/bin.
install: setup
	@if command -v uv >/dev/null; then uv tool install --force --editable '.[identify]'; \
	elif command -v pipx >/dev/null; then pipx install --force --editable '.[identify]'; \
	else mkdir -p $(HOME)/.local/bin && ln -sf $(CURDIR)/.venv/bin/rig $(HOME)/.local/bin/rig \
	&& echo "Linked $(HOME)/.local/bin/rig. If rig is not found, add that folder to your PATH."; fi

# More workers than cores: about a third of a test's time is waiting for a wire.
test: setup
	OMP_NUM_THREADS=1 $(RUN)pytest --numprocesses 4 --dist worksteal

# Everything, the slow tests included (about an hour on 2 cores).
test-all: setup
	OMP_NUM_THREADS=1 $(RUN)pytest --numprocesses 3 --dist worksteal -m "not bench" --fuzz 100

bench: setup
	$(RUN)pytest -m bench -s tests/bench

check: setup words docs
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# Words that are not used in this project: .ci/words.txt says what to write instead.
words: setup
	.venv/bin/codespell --config .ci/words.cfg *.md Makefile pyproject.toml docs calibration capture models pipeline rig tests

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
