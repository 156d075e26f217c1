# Thin on purpose: the work is in book/build.py, which runs without make too.
#   PYTHON=...    the Python to make .venv with       PIP_ARGS="..."  handed to pip install
#   PINS=no       let pip choose versions             PORT=8000  JOBS=2

# The first of these that is Python 3.11 or newer; if none is, the script says so.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$p; exit; }; done; echo python3)
PORT ?= 8000
JOBS ?= 2
# For `assignment`. Set here, so that a NAME of your shell does not reach it.
EXERCISES =
NAME = exercises
OUT = course
POINTS =
ISOLATE = no
export PIP_ARGS PINS

.DEFAULT_GOAL := help
.PHONY: help book test serve notebooks check-notebooks lint setup wheel clean real-results pdf assignment

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1@/p' Makefile | awk -F@ '{printf "%-24s %s\n", $$1, $$2}'

book: ## set up, run every chapter, write the HTML book
	@"$(PYTHON)" book/build.py book

test: ## everything that CI runs
	@"$(PYTHON)" book/build.py test --jobs $(JOBS)

serve: ## show the built book at http://localhost:8000
	@"$(PYTHON)" book/build.py serve --port $(PORT)

notebooks: ## derive chapters/*.ipynb from the .md sources
	@"$(PYTHON)" book/build.py notebooks

check-notebooks: ## check that the notebooks are in step with their sources
	@"$(PYTHON)" book/build.py check-notebooks

lint: ## style and types only
	@"$(PYTHON)" book/build.py lint

setup: ## make or repair .venv, with what the tests need
	@"$(PYTHON)" book/build.py setup

pdf: ## print the built book to _build/pdf/book.pdf, by a browser found here
	@"$(PYTHON)" book/build.py pdf

wheel: ## build the package's wheel into dist/
	@"$(PYTHON)" book/build.py wheel

assignment: ## an nbgrader course: make assignment EXERCISES="splits-1 06_evaluation" NAME=week1
	@"$(PYTHON)" book/build.py assignment --exercises "$(EXERCISES)" --name "$(NAME)" \
		--out "$(OUT)" --points "$(POINTS)" --isolate "$(ISOLATE)"

real-results: ## compute the figures on the real sets: make real-results DATA=folder
	@"$(PYTHON)" book/build.py real-results --data "$(DATA)" --jobs $(JOBS)

clean: ## remove the built book and the caches, keep .venv
	@"$(PYTHON)" book/build.py clean
