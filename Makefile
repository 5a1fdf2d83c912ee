# Every target that builds depends on `setup`. CMake builds go below build/, cargo's own below target/.

BUILD ?= build
RELEASE := $(BUILD)/release
export LANEPIPE_BUILD_ROOT := $(BUILD)

# Runs and options of the demonstrators; lanepipe_replay --help and lanepipe_profile --help explain them.
DEMO_ARGS ?= all
PROFILE_ARGS ?= all

CMAKE_RELEASE := cmake -S . -B $(RELEASE) -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++

.DEFAULT_GOAL := help
.PHONY: help setup setup-full demo test test-full soak bench lint mutants header clean

help: ## Lists the targets
	@sed -n 's/^\([a-z%-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}'

setup: ## Installs the Debian packages that are missing
	@scripts/setup.sh

setup-full: setup ## The same for test-full
	@scripts/setup.sh --full

demo: setup ## Builds and runs the demonstrators (DEMO_ARGS="RUN OPTION...", PROFILE_ARGS likewise)
	$(CMAKE_RELEASE)
	cmake --build $(RELEASE) --target lanepipe_replay lanepipe_profile
	$(RELEASE)/examples/lanepipe_replay $(DEMO_ARGS)
	$(RELEASE)/examples/lanepipe_profile $(PROFILE_ARGS)

test: setup ## GCC, one pass, models at small bounds, lint
	@scripts/test.py quick

test-full: setup-full ## Adds Clang, debug, sanitizers, larger bounds, aarch64, consumer projects
	@scripts/test.py full

$(addprefix test-,debug clang asan tsan loom-full aarch64 package): setup-full

test-%: setup ## One step alone, see scripts/test.py --list
	@scripts/test.py $*

soak: setup ## Messages through the mailbox (SOAK_MESSAGES=100000000), then the stress programs over and over (SOAK_SECONDS=600)
	$(CMAKE_RELEASE)
	cmake --build $(RELEASE) --target lanepipe_stress
	scripts/soak.sh $(RELEASE)

bench: setup ## Runs the benchmarks; prints target, measured, met (BENCH=word selects)
	$(CMAKE_RELEASE)
	cmake --build $(RELEASE) --target lanepipe_benchmarks
	@scripts/bench.py $(RELEASE) $(BENCH)

lint: setup ## Formatting, warnings, header, symbols, verification table
	@scripts/test.py lint

mutants: setup ## Committed mutants, each of which must turn its test red (MUTANTS=word selects)
	@scripts/mutants.py $(MUTANTS)

header: setup ## Generates include/lanepipe/lanepipe.h from src/capi
	@scripts/header.sh --bless

clean: ## Removes everything built
	rm -rf $(BUILD) target
