# The one front door. `make help` lists the targets; most take PKG=..., e.g. `make ut PKG=libcalico`.
SHELL := /bin/bash
PACKAGES := libcalico calicoctl calico-node calico-cni calico-mesos libnetwork-plugin calico-test release docs
PKG ?= $(PACKAGES)
ARGS ?=
BIN := $(CURDIR)/.venv/bin
PYTEST := $(BIN)/pytest -q -c ../pyproject.toml --rootdir=.
SOURCES := $(wildcard $(addsuffix /src,$(PKG)) $(addsuffix /tests,$(PKG))) $(if $(filter $(words $(PACKAGES)),$(words $(PKG))),demo bench) $(if $(filter docs,$(PKG)),docs/generate)
STAMP := .venv/.installed
# Debian keeps bird and nft where the PATH of an ordinary user does not look.
export PATH := $(PATH):/usr/sbin:/sbin
# Runs the tests of one tier in each package; a package without that tier is passed over.
each = set -e; for p in $(PKG); do if [ -n "$$(find $$p/tests/$(1) -name 'test_*.py' -print -quit 2>/dev/null)" ]; then \
	echo "== $(1) $$p"; (cd $$p && $(PYTEST) tests/$(1) $(ARGS)); fi; done

# Where the tests of `make ut` and `make st` run: IN=native (the default), or IN=image, in a container of calico/test with this
# tree at /code; that takes a Docker engine. System tests run there with the network of the machine's engine left alone.
IN ?= native
ENGINE = eval "$$(images/engine.sh start)"
in_image = $(ENGINE) && docker run --rm --privileged -v $(CURDIR):/code -v /code/.venv -v /var/tmp -v /lib/modules:/lib/modules:ro \
	$(2) calico/test:latest images/in-image.sh $(1) "$(PKG)" $(ARGS)

.PHONY: help setup fmt lint types layers ut fv static test check demo demo-down bench docs clean wheels image-base images binary st \
	st-full engine-stop

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## install what is missing: system packages (as root) and .venv with all packages
	@./setup.sh

$(STAMP): $(wildcard */pyproject.toml) requirements-dev.txt setup.sh
	@./setup.sh

fmt: $(STAMP) ## format the code
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

lint: $(STAMP) ## check format and style
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)

types: $(STAMP) ## check types, strictly
	@set -e; for p in $(PKG); do $(BIN)/mypy -p $$(basename $$p/src/*); done
	@$(if $(filter docs,$(PKG)),MYPYPATH=docs $(BIN)/mypy -p generate && $(BIN)/mypy -p bench)

layers: $(STAMP) ## check who imports whom, and that what decides does no I/O
	@$(BIN)/lint-imports --no-cache

ut: $(STAMP) ## unit tests: no root, no network; IN=image runs them in a container of calico/test
	@$(if $(filter image,$(IN)),$(call in_image,unit),$(call each,unit))

fv: $(STAMP) ## functional tests: root, real kernel in private namespaces, real etcd, real BIRD
	@if [ "$$(id -u)" != 0 ]; then echo "make fv: needs root (network namespaces); run it with sudo" >&2; exit 1; fi
	@$(call each,fv)

static: lint types layers ## lint, types and layers

test: $(STAMP) ## everything that must pass: static checks, unit tests, functional tests (root)
	@$(MAKE) --no-print-directory --output-sync=target -j2 static ut
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory fv; \
	else echo "make test: not root, so the functional tests were left out; run them with: sudo make fv"; fi

check: static ut ## what must pass before a commit

st: $(STAMP) images ## system tests on Docker engines, with real images: root; IN=image as in ut
	@if [ "$$(id -u)" != 0 ]; then echo "make st: needs root (network namespaces, Docker engines); run it with sudo" >&2; exit 1; fi
	@images/engine.sh install && $(ENGINE) && images/save.sh node ctl node-libnetwork
	@$(if $(filter image,$(IN)),$(call in_image,st),$(call each,st))

st-full: export CALICO_TEST_FULL = 1
st-full: st binary ## all system tests, also those that take too long for continuous integration

wheels: $(STAMP) ## fill build/wheels: our wheels, and those of all that they need
	@images/wheels.sh

image-base: ## make debian:bookworm-slim here, if it is not there and no registry answers
	@$(ENGINE) && images/base.sh

images: wheels image-base ## build calico/node, calico/ctl, calico/node-libnetwork, calico/test (or IMAGES="node ctl")
	@$(ENGINE) && images/build.sh $(IMAGES)

binary: wheels image-base ## make build/dist/calicoctl, one file that needs no Python, with the image calico/build
	@mkdir -p build/dist
	@$(ENGINE) && images/build.sh build && docker run --rm -v $(CURDIR)/build/dist:/dist calico/build:latest

engine-stop: ## end the Docker engine that the targets above started, if they did
	@images/engine.sh stop

demo: $(STAMP) ## two hosts, routed workloads, policy enforced; KEEP=1 leaves the lab up
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

demo-down: $(STAMP) ## remove a lab that KEEP=1 left up
	@$(BIN)/python -m demo --down

bench: $(STAMP) ## measure, and write build/bench.json and curves; ARGS="felix cni" for some subjects
	@$(BIN)/python -m bench $(ARGS)

docs: $(STAMP) ## build the documentation site into build/site; warnings are errors
	@$(BIN)/python -m calico_docs build

clean: ## remove what was built here
	@rm -rf build .mypy_cache .ruff_cache .hypothesis */.hypothesis
