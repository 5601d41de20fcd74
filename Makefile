# What a newcomer types. Each target brings the environment up to date first; a second run is fast.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

# PYTHON=... chooses another one; see requirements/ for the versions.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.10 python3; do \
  $$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
  && echo $$python && break; done)
IN_SHELL = source .venv/setup.bash &&
SOURCES = $(wildcard xmodelkd_ros launch test pip_underlay benchmarks) setup.py

help:
	@echo 'make setup   environment in .venv; then: source .venv/setup.bash'
	@echo 'make demo    simulated and recorded drives through the live node, with tables and pictures'
	@echo 'make test    style checks and all tests'
	@echo 'make lint    style checks alone'
	@echo 'make bench   speed on this machine, stage by stage'
	@echo 'make clean   remove what setup made'

setup:
	@test -n '$(PYTHON)' || { echo 'error: install Python 3.10 to 3.12, for example with: sudo apt install python3 python3-venv python3-dev' >&2; exit 2; }
	@$(PYTHON) pip_underlay/setup_environment.py

demo: setup
	@$(IN_SHELL) python -m xmodelkd_ros.cli.demo $(ARGS)

# The ament linters list every file; only a failure is worth reading.
QUIETLY = run() { out=$$("$$@" 2>&1) || { echo "$$out" | grep -v -e '^\* ' -e '^checking '; return 1; }; }; run

lint: setup
	@$(IN_SHELL) ruff check --quiet .
	@$(IN_SHELL) mypy --no-error-summary
	@$(IN_SHELL) $(QUIETLY) ament_flake8 $(SOURCES)
	@$(IN_SHELL) $(QUIETLY) ament_pep257 $(SOURCES)

test: lint
	@$(IN_SHELL) python -m pytest $(ARGS)

bench: setup
	@$(IN_SHELL) python -m xmodelkd_ros.cli.benchmark $(ARGS)

clean:
	rm -rf .venv
