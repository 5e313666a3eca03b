# Prints itself: each target's line is the comment beside it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
# The filter is built in the same target directory as the native programs that load it.
.NOTPARALLEL:

PORT ?= 8080
ROWS ?= cases/hostile-requests.yaml
TARGET ?= all
SECONDS ?= 5
CASES ?= cases/gitlab-cases.yaml
JOBS ?= 20000
JUNK ?= 50000
SEEDS ?= 1000
STEPS ?= 10000
FIRST ?= 0
PLUGIN := -p jobscope-plugin --target wasm32-wasip1
# Whether a variable that has a default here was given.
given = $(filter command line environment,$(origin $(1)))
FIRST_STORY := demo::the_story_goes_as_told
DEMO := cargo run --locked --quiet --bin jobscope-demo --

.PHONY: help run demo test one cases envoy oracle hostile conformance soak simulate kubernetes watching matrix fuzz bench mutants check deny setup build guest engine command native validate \
	release release-check clean docs playground playground-test lookup-service fleet lookup-cluster

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup build native ## start the demo at PORT=8080 and show each decision; with a configuration and a world of yours: CONFIG=, WORLD=
	@$(DEMO) run --port $(PORT) $(if $(CONFIG),--config "$(CONFIG)") $(if $(WORLD),--world "$(WORLD)")

demo: setup build native ## play the demo's stories unattended; STORY=identities: jobs with ID tokens before servers that know none
	$(if $(filter identities,$(STORY)),@cargo build --locked --quiet -p jobscope-lookup-service)
	@$(DEMO) play $(STORY)

test: setup build guest native ## run the tests: the core, the filter in the test host, the story in a real Envoy
	cargo test --locked
	cargo test --locked --test envoy $(FIRST_STORY)
	@echo "All tests passed. Longer ones: make cases envoy oracle"

cases: setup build native ## run the tests that decide every row of cases/: by the core, by the filter, by the command
	cargo test --locked --test cases

envoy: setup build native ## run the tests that need a real Envoy, without the story: crowds, faults, exchange under load, soak
	@scripts/installed redis-server redis-server "Redis 6.2 or newer"
	cargo build --locked --quiet -p jobscope-lookup-service
	cargo test --locked --test envoy -- --skip $(FIRST_STORY)

one: build guest native ## run one test, or those of a module, by its name in ARCHITECTURE.md: TEST=filter::rounds
	@scripts/one $(TEST)

oracle: setup build native ## compare with real readers: Git, a registry, Rack, Grape, Go, Python; RUNS= for more requests
	$(if $(RUNS),ORACLE_RUNS=$(RUNS)) cargo test --locked --test oracle -- --nocapture --test-threads 1

hostile: build native ## read the hostile requests of ROWS=FILE with the core and the filter
	@cargo run --locked --quiet --bin jobscope-cases -- hostile $(ROWS) --exceptions cases/hostile-exceptions.yaml

conformance: build native ## decide the cases of CASES=FILE with the core and the filter
	@cargo run --locked --quiet --bin jobscope-cases -- conformance $(CASES) --exceptions cases/conformance-exceptions.yaml

soak: setup build native ## let JOBS=20000 live and die behind a real Envoy, with JUNK=50000 unknown tokens: does its memory grow?
	@cargo run --locked --quiet --bin jobscope-soak -- --jobs $(JOBS) --junk $(JUNK)

kubernetes: setup build native ## check envoy/kubernetes: what its manifests make of Envoy plays the story
	@scripts/kubernetes

watching: ## check envoy/watching: alerts, recording rules and the dashboard, with Prometheus' own promtool
	@scripts/watching

lookup-service: ## test the token-lookup service of a fleet, with a real Redis (docs/lookup-service.md)
	@scripts/lookup-service

fleet: setup build native ## measure a fleet with the lookup service and without, and write the table in docs/operations.md; ENVOYS=2, JOBS=50 for a shorter run
	@scripts/installed redis-server redis-server "Redis 6.2 or newer"
	@cargo build --locked --quiet -p jobscope-lookup-service
	@cargo run --locked --quiet --bin jobscope-fleet -- measure $(if $(call given,JOBS),--jobs $(JOBS)) $(if $(ENVOYS),--envoys $(ENVOYS)) $(if $(call given,JOBS)$(ENVOYS),,--publish)

lookup-cluster: setup build native ## start three replicas of the lookup service, a Redis with Sentinels and two Envoys, and say what to try
	@scripts/installed redis-server redis-server "Redis 6.2 or newer"
	@cargo build --locked --quiet -p jobscope-lookup-service
	@cargo run --locked --quiet --bin jobscope-fleet -- run

playground: ## build the playground, a page that decides in a browser, and serve it on a free port
	@scripts/playground serve

playground-test: ## play the page's stories in a real Chromium, and compare it with the command
	@scripts/playground test

matrix: setup build native ## play the story, and the table of what hosts do, with each version of Envoy that jobscope is for
	@cargo build --locked --quiet -p jobscope-lookup-service
	@scripts/matrix

simulate: ## play SEEDS=1000 of STEPS=10000 each, from FIRST=0 on: the filter among workers, jobs and clients of a seed
	@cargo run --locked --quiet --profile simulation -p jobscope-simulation -- $(SEEDS) $(STEPS) $(FIRST)

fuzz: setup ## run the fuzz targets, or TARGET=NAME alone, each for SECONDS=5, or for a fixed number of RUNS=
	@scripts/fuzz $(TARGET) $(if $(RUNS),$(RUNS) runs,$(SECONDS))

bench: setup build guest engine native ## measure what the filter costs beside other ways, and write docs/performance.md; ROUNDS=9, ONLY="package;latency", DEAD_JOBS=50000
	@cargo run --locked --quiet --bin jobscope-bench -- $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only "$(ONLY)") $(if $(DEAD_JOBS),--dead-jobs $(DEAD_JOBS))

check: setup ## check format and lints, native and wasm
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test cases --test envoy --test oracle -- -D warnings
	cargo clippy --locked $(PLUGIN) -p jobscope-guest -- -D warnings
	cargo clippy --locked -p jobscope-probe --target wasm32-wasip1 -- -D warnings
	cd fuzz && cargo fmt --check && cargo clippy --locked --release -- -D warnings
	cd host-tests/engine && cargo fmt --check && cargo clippy --locked --release -- -D warnings
	cd playground && cargo fmt --all --check && cargo clippy --locked --all-targets -- -D warnings

deny: ## check licences, sources and duplicates of what is built in
	@scripts/deny

build: ## build the filter: the same bytes wherever and by whomever
	@scripts/build

command: # the command for this machine's Linux, as one file
	@scripts/build command

service: # the lookup service for this machine's Linux, as one file
	@scripts/build service

release: build command service ## put the filter, the command, the lookup service, images, sums and what tells of them in dist/: RELEASE.md
	@scripts/release

release-check: setup build ## build it elsewhere, sign, verify, push and pull it
	@scripts/release-check

guest: # the filter that does nothing, which the filter is measured beside
	@cargo rustc --locked --quiet --release -p jobscope-guest --target wasm32-wasip1 --crate-type cdylib

engine: # a policy engine, which the filter is measured beside
	@cd host-tests/engine && cargo build --locked --quiet --release

native: # the stand-in forge and the demo
	@cargo build --locked || { echo "The demo did not build: see above." >&2; exit 1; }

docs: build ## write the tables in docs/ anew from the code
	UPDATE_DOCS=1 cargo test --locked --quiet -p jobscope-policy --test docs -- --test-threads 1
	UPDATE_DOCS=1 cargo test --locked --quiet -p jobscope-plugin the_table_in_the_documentation
	scripts/watching write
	UPDATE_DOCS=1 cargo test --locked --quiet -p jobscope-world --lib schema
	UPDATE_DOCS=1 cargo test --locked --quiet -p jobscope-cli --test docs
	UPDATE_DOCS=1 cargo test --locked --quiet --test filter operations
	UPDATE_DOCS=1 cargo test --locked --quiet --test documents hosts
	UPDATE_DOCS=1 cargo test --locked --quiet -p jobscope-lookup-service documentation
	UPDATE_DOCS=1 cargo test --locked --quiet --test filter kinds

mutants: ## change the rules in one place at a time, and fail where no test notices (long; not in CI)
	@scripts/mutants

validate: setup build native ## let Envoy check envoy/envoy.yaml, with the filter
	@$(DEMO) validate envoy/envoy.yaml

setup: ## get what is needed: Envoy, the Rust target, a registry, clients
	@scripts/setup

clean: ## remove what was built and what the demo left, but not Envoy
	rm -rf target dist .run host-tests/engine/target fuzz/target fuzz/corpus fuzz/artifacts playground/target playground/dist playground/tests/node_modules
