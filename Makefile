# Two commands: `make lab` opens the course, `make test` proves that all of it works. `make notebooks` is for authors.
# The environment is made on first use and again only when pyproject.toml or constraints.txt change.
# `make lab TORCH=cpu`, the first time, takes PyTorch's small build (or auto, cu130, …: what uv's --torch-backend knows).

PYTHON ?= python3
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: lab test notebooks install venv clean

lab: install
	@$(BIN)/course lab

test: install
	@$(BIN)/course test

notebooks: install
	@$(BIN)/course notebooks

install:
	@cat pyproject.toml constraints.txt | cmp -s - $(INSTALLED) || $(MAKE) --no-print-directory $(INSTALLED)

.PHONY: $(INSTALLED)
$(INSTALLED):
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory venv
	@echo "installing the course's packages into $(VENV) (once; 2 to 4 minutes, without a word until it is done)"
	@[ -z "$(TORCH)" ] || { $(BIN)/python -m pip install --quiet --disable-pip-version-check uv \
		&& $(BIN)/uv pip install --python $(BIN)/python --torch-backend=$(TORCH) -c constraints.txt torch; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lab,dev]'
	@cat pyproject.toml constraints.txt > $@

venv:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"The course needs Python 3.11 or newer, and $(PYTHON) is {v[0]}.{v[1]}. Install a newer one, or name it: make lab PYTHON=/path/to/python3.12")'
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "could not make $(VENV): on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache *.egg-info
