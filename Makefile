# The two commands of a fresh machine are `make demo` and `make test`; each sets the machine up first, once.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp
SOURCES := proxy $(wildcard loadtest)

.PHONY: setup judges demo test check bench soak lock reference sbom
.DELETE_ON_ERROR:

setup: $(STAMP)
	@echo 'next:  . $(BIN)/activate'
	@echo '       sottovoce init voice --route bot=ws://127.0.0.1:9000                  # you write a voice bot'
	@echo '       sottovoce init voice --profile production --host voice.example.com    # you run a proxy for others'

# No build isolation: hatchling stands in the lock, so nothing is installed that has no hash there.
$(STAMP): requirements.lock pyproject.toml .ci/system-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make setup PYTHON=python3.11")'
	@.ci/system-packages
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@.ci/promtool
	@touch $@

# Three judges that cannot come with the rest: sslyze wants an older cryptography, Pipecat brings half a gigabyte, Verifpal
# is built by cargo in minutes.  Tests look for them here as well as on the PATH, and are skipped by name without them.
judges: $(STAMP)
	$(PYTHON) -m venv .venv/judges
	.venv/judges/bin/python -m pip install --quiet --require-hashes --requirement tests/interop/judges/sslyze.lock
	$(PYTHON) -m venv .venv/pipecat
	.venv/pipecat/bin/python -m pip install --quiet --require-hashes --requirement tests/interop/judges/pipecat.lock
	cargo install --quiet verifpal --version 1.3.6 --ignore-rust-version --root .venv/judges

demo: $(STAMP)
	@$(BIN)/sottovoce demo

test: $(STAMP)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(STAMP)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/basedpyright $(SOURCES) tests
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python .ci/sizes

bench: $(STAMP)
	@$(BIN)/python -m loadtest bench --plot docs/pictures/load.png

soak: $(STAMP)
	@$(BIN)/python -m pytest -m soak

# A test fails when these files are not what the code says.
reference: $(STAMP)
	@mkdir -p config
	@$(BIN)/python -c 'from sottovoce.settings import reference_text as text; print(text(), end="")' >config/reference.toml
	@$(BIN)/python -c 'from sottovoce.settings import schema_text as text; print(text(), end="")' >config/schema.json
	@$(BIN)/python -c 'from sottovoce.cli.tree import help_text as text; print(text(), end="")' >proxy/sottovoce/cli/help.txt
	@$(BIN)/python -c 'from loadtest.commands.tree import help_text as text; print(text(), end="")' >loadtest/help.txt
	@$(BIN)/python -c 'from sottovoce.app.explaining import document as text; print(text(), end="")' >docs/errors.md

# Needs uv. No index line and no host name may get into the lock: a test looks for them. `--universal` keeps the
# conditions of what has no wheel on every machine.
lock:
	uv pip compile pyproject.toml --extra server --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --quiet --output-file requirements.lock

# What an installation with [server] consists of.  Its tool has an environment of its own; the lock of that is made by
# uv as above, of cyclonedx-bom alone.
sbom: .venv/sbom/.stamp
	@$(BIN)/python .ci/sbom .venv/sbom/bin/cyclonedx-py sbom.json

.venv/sbom/.stamp: .ci/sbom.lock $(STAMP)
	$(PYTHON) -m venv .venv/sbom
	.venv/sbom/bin/python -m pip install --quiet --require-hashes --requirement .ci/sbom.lock
	@touch $@
