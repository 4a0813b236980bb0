# Everything that a fresh clone needs: Python 3.11 or later, make and git. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Superset wants SQLAlchemy 1.4 and Kehu 2: it has an environment of its own.
SUPERSET := .superset/venv
SUPERSET_STAMP := $(SUPERSET)/.installed

# Where `make demo` keeps what it loads; both can be set from outside.
export KEHU_HOME ?= var
export KEHU_LANDING ?= landing

.DEFAULT_GOAL := help
.PHONY: help install demo demo-chain test test-nights test-browser test-airflow test-answers test-long test-faults test-load lint metrics dirt star patterns format airflow superset test-superset superset-lock lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## put the locked dependencies and kehu into .venv

# Bytecode is compiled once here: without it, each of the many processes of a night would compile.
# uv comes from the lock as well, so nothing is installed that the lock does not know by its hash.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Kehu needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	@echo "Installing into $(VENV): $$(grep -c '^[a-z0-9].*==' requirements.lock) packages, locked with hashes"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ { on = 1; print; next } on && /^    --hash/ { print; next } { on = 0 }' requirements.lock | sed '$$ s/ *\\$$//' > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@echo "  downloading and linking (a few minutes the first time, then seconds)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@echo "  done: $$($(BIN)/kehu --version)"
	@touch $@

demo: $(STAMP) ## load a real year, run three nights on top, print what came of it
	@$(BIN)/python scripts/demo.py

demo-chain: $(STAMP) ## simulate a chain with dirty exports, a whole night, hold it against the truth
	@$(BIN)/python scripts/demo_chain.py

test: $(STAMP) ## everything that must hold: ruff, mypy, layers, Spark SQL, dbt unit tests, pytest
	@echo "ruff, mypy"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@echo "models: layers, descriptions, contracts, Spark SQL"
	@$(BIN)/python scripts/lint_models.py
	@sh scripts/install_mariadb.sh
	@sh scripts/install_fonts.sh
	@echo "pytest"
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -n 2 --dist loadscope --no-loadscope-reorder -m "not long and not answers and not airflow and not faults and not nights and not superset and not browser" --durations 15

test-nights: $(STAMP) ## whole nights: killed in each step, in any order, of odd houses, published
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -n 2 --dist loadscope --no-loadscope-reorder -m "nights and not long" --durations 10

test-browser: $(STAMP) ## page and report in a headless Chromium: numbers, keyboard, telephone, contrast, print
	@sh scripts/install_browser.sh
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -m browser --durations 5

test-airflow: $(STAMP) ## whole nights through Airflow, with its scheduler and a real metadata database
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -n 2 --dist loadscope --no-loadscope-reorder -m airflow --durations 5

test-answers: $(STAMP) ## a year of marts against second computations, the questions, time honesty
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -n 2 --dist loadscope --no-loadscope-reorder -m "answers and not long" --durations 5

test-long: $(STAMP) ## the tests that take long: a hundred kills, the whole year in random order
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -n 2 --dist loadscope --no-loadscope-reorder -m long --durations 0 -rP

test-faults: $(STAMP) ## five hundred random histories of kills, cut files, copies and late days (an hour)
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -n 2 --dist load -m faults --durations 0 -rP

test-load: $(STAMP) ## eight readers while ten publications happen, of the file, PostgreSQL and Parquet; figures
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -m long -rP tests/serve/test_load.py

lint: $(STAMP) ## all of style: ruff, mypy, sqlfluff, layers, Spark SQL, generated pages (minutes)
	@echo "ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@echo "mypy"
	@$(BIN)/mypy --no-error-summary
	@echo "models: layers, descriptions, contracts, Spark SQL, sqlfluff, docs/metrics.md, docs/dirt.md"
	@$(BIN)/python scripts/lint_models.py --sqlfluff --page

metrics: $(STAMP) ## write docs/metrics.md: columns, definitions, units, sources, tests
	@$(BIN)/python scripts/metrics.py

dirt: $(STAMP) ## write docs/dirt.md: the rules of the dirt catalogue, examples, outcomes, tests
	@$(BIN)/python scripts/dirt.py

star: $(STAMP) ## draw docs/star.svg and write the bus matrix of docs/analyst.md
	@$(BIN)/python scripts/star.py

patterns: $(STAMP) ## run the queries of docs/analyst.md on the demo, write their results beneath them
	@$(BIN)/python scripts/patterns.py

format: $(STAMP) ## let the formatters have their way
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

airflow: $(STAMP) ## start Airflow with a scheduler, a web page and a real metadata database
	@$(BIN)/python scripts/airflow_stack.py

$(SUPERSET_STAMP): bi/superset/requirements.lock $(STAMP)
	@$(BIN)/python -c 'import sys; sys.exit("Superset 6.1 needs Python 3.11 or 3.12; .venv has " + sys.version.split()[0]) if sys.version_info >= (3, 13) else None'
	@echo "Installing Superset into $(SUPERSET): $$(grep -c '^[a-z0-9].*==' bi/superset/requirements.lock) packages, locked with hashes"
	@test -x $(SUPERSET)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(SUPERSET)
	@VIRTUAL_ENV=$(SUPERSET) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes bi/superset/requirements.lock
	@touch $@

superset: $(STAMP) $(SUPERSET_STAMP) ## import the dashboards of bi/superset into Apache Superset, serve them
	@$(BIN)/python scripts/superset_stack.py

test-superset: $(STAMP) $(SUPERSET_STAMP) ## Superset: import, every chart's query, a screenshot of each dashboard
	@PYTHONPATH=tests $(BIN)/python -m pytest -p counts -m superset --durations 5

superset-lock: $(STAMP) ## resolve Superset's dependencies anew
	@$(BIN)/uv pip compile bi/superset/requirements.in --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-emit-find-links --quiet --output-file bi/superset/requirements.lock

lock: $(STAMP) ## resolve the dependencies anew
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-emit-find-links --quiet --output-file requirements.lock

clean: ## remove what the demo made (the warehouse, the drops) and caches; keeps .venv
	rm -rf var landing chain .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests scripts dags -name __pycache__ -type d -prune -exec rm -rf {} +
