# One word per job; each is a short script in scripts/. `make` alone prints this list.
.DEFAULT_GOAL := help
.PHONY: help build demo test demo-kube test-kube bench format lint clean

help:    ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

build:   ## install what is missing, then build the programs into build/bin
	@scripts/build

demo:    ## the Dask tutorial, from Python, on our scheduler (first run sets everything up)
	@scripts/demo

test:    ## everything that CI runs
	@scripts/test

demo-kube: ## the same question on a real Kubernetes on this machine: our operator, images and charts (root)
	@scripts/demo-kube

test-kube: ## the tests on a real Kubernetes with real pods (root; make test has those that need none)
	@scripts/test-kube

bench:   ## our scheduler and the stock one, interleaved under the same load: ratios
	@scripts/bench

format:  ## rewrite C++ and Python files in the project's format
	@scripts/format

lint:    ## formatting, clang-tidy and ruff, changing nothing
	@scripts/lint

clean:   ## remove what was built (keeps .venv and data)
	rm -rf build build-* dist
