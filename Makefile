# The one front door. `make help` lists the targets; most take PKG=..., e.g. `make ut PKG=libcalico`.
SHELL := /bin/bash
PACKAGES := libcalico calicoctl calico-node calico-cni calico-mesos libnetwork-plugin calico-test release docs
PKG ?= $(PACKAGES)
override PKG := $(PKG:/=)
unknown := $(filter-out $(PACKAGES),$(PKG))
$(if $(unknown),$(error PKG=$(PKG): unknown package $(unknown); known are $(PACKAGES)))
$(if $(PKG),,$(error PKG= is empty; known packages are $(PACKAGES)))
ARGS ?=
BIN := $(CURDIR)/.venv/bin
PYTEST := $(BIN)/pytest -q -c ../pyproject.toml --rootdir=.
SOURCES := $(wildcard $(addsuffix /src,$(PKG)) $(addsuffix /tests,$(PKG))) $(if $(filter $(words $(PACKAGES)),$(words $(PKG))),demo bench) $(if $(filter docs,$(PKG)),docs/generate)
STAMP := .venv/.installed
# Debian keeps bird and nft where the PATH of an ordinary user does not look.
export PATH := $(PATH):/usr/sbin:/sbin
# Tests start our programs a thousand times; what these import is compiled once, also where the environment says not to.
unexport PYTHONDONTWRITEBYTECODE
comma := ,
# Runs the tests of one tier in each package, $(2) or PKG; a package without that tier is passed over.
each = set -e; for p in $(or $(2),$(PKG)); do if [ -n "$$(find $$p/tests/$(1) -name 'test_*.py' -print -quit 2>/dev/null)" ]; then \
	echo "== $(1) $$p"; (cd $$p && $(PYTEST) tests/$(1) $(ARGS)); fi; done

# Functional tests that start programs and wait for them: two packages at a time, the longest first. The others, which look at moments
# and packets, or at all processes of the machine, run each alone.
BESIDE = $(filter $(PKG),calicoctl release calico-mesos)
ALONE = $(filter-out $(BESIDE),$(PKG))

# Where the tests of `make ut` and `make st` run: IN=host, on this machine, or IN=image, in a container of calico/test with this tree
# at /code; images/where.sh decides if neither is given. System tests in the container leave the machine's engine alone.
IN ?=
ENGINE = eval "$$(images/engine.sh start)"
where = in=$$(images/where.sh $(IN))
in_image = $(ENGINE) && images/test-image.sh && docker run --rm --init -e TINI_KILL_PROCESS_GROUP=1 -e CALICO_TEST_FULL \
	--sysctl net.ipv6.conf.all.disable_ipv6=0 -v $(CURDIR):/code -v /code/.venv $(2) calico/test:latest images/in-image.sh $(1) "$(PKG)" $(ARGS)
in_either = if [ $$in = image ]; then $(call in_image,$(1),$(2)); else $(call each,$(1)); fi
need_root = if [ "$$(id -u)" != 0 ]; then \
	echo "make $@: needs root (network namespaces$(1)); run it with sudo" >&2; exit 1; fi

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

ut: $(STAMP) ## unit tests: no root, no network; in calico/test where Docker is, else here; IN=image, IN=host
	@set -e; $(where); $(call in_either,unit,--user $$(id -u):$$(id -g) -e HOME=/tmp)

fv: $(STAMP) ## functional tests: root, real kernel in private namespaces, real etcd, real BIRD
	@$(need_root)
	@$(if $(word 2,$(BESIDE)),echo "fv: two at a time: $(BESIDE)")
	@$(if $(BESIDE),$(MAKE) --no-print-directory $(if $(word 2,$(BESIDE)),-j2 --output-sync=target) $(BESIDE:%=fv-%))
	@$(if $(ALONE),$(call each,fv,$(ALONE)))

fv-%: $(STAMP)
	@$(call each,fv,$*)

static: lint types layers ## lint, types and layers

test: $(STAMP) ## everything that must pass: static checks, unit tests, functional tests (root); ALSO=images builds them meanwhile
	@$(MAKE) --no-print-directory --output-sync=target -j$(words static ut $(ALSO)) static ut $(ALSO)
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory fv; \
	else echo "make test: not root, so the functional tests were left out; run them with: sudo make fv"; fi

check: static ut ## what must pass before a commit

st: $(STAMP) ## system tests on Docker engines, with real images; where, as for ut; root; BUILD=no: images as they are
	@set -e; $(where); if [ $$in = host ]; then $(call need_root,$(comma) Docker engines); images/engine.sh install; fi; \
	$(if $(filter no,$(BUILD)),,$(MAKE) --no-print-directory images;) \
	($(ENGINE) && images/save.sh node ctl node-libnetwork); [ $$in = image ] || unset DOCKER_HOST DOCKER_CONTEXT; \
	$(call in_either,st,--privileged -v /var/tmp -v /lib/modules:/lib/modules:ro)

st-full: export CALICO_TEST_FULL = 1
st-full: binary st ## all system tests, also those that take too long for continuous integration

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
	@$(need_root)
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

demo-down: $(STAMP) ## remove a lab that KEEP=1 left up
	@$(need_root)
	@$(BIN)/python -m demo --down

bench: $(STAMP) ## measure, and write build/bench.json and curves; ARGS="felix cni" for some subjects
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r bench/requirements.txt
	@$(BIN)/python -m bench $(ARGS)

docs: $(STAMP) ## build the documentation site into build/site; warnings are errors
	@$(BIN)/python -m calico_docs build

clean: ## remove what was built here
	@rm -rf build .mypy_cache .ruff_cache .hypothesis */.hypothesis
