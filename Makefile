# The commands of this project. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CLUSTER := tests/cluster/cluster
WITH_CLUSTER := eval "$$($(CLUSTER) env)" &&

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## From nothing to events in this terminal: a cluster, the chart, a stream, a live feed
	@tests/demo

.PHONY: test
test: ## Run every test: units, brokers on a real Redis, the chart, and end to end on a real cluster
	@tests/run

.PHONY: unit
unit: ## Run the tests that need no cluster
	@tests/run unit

.PHONY: lint
lint: ## Check formatting, lints, scripts, licences, and that generated files are fresh
	@tests/lint

.PHONY: fuzz
fuzz: ## Fuzz what reads strangers' bytes, a minute each (FUZZ=600 for ten)
	@tests/fuzz $(FUZZ)

LOAD := $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: load
load:
	@tests/prerequisites redis-server nginx nchan
	@cargo build --release --quiet --locked -p sse-node -p ssefleet-load

.PHONY: bench
bench: load ## Measure sse-node beside a raw epoll loop, a naive server and Nchan, and print the ratios (BENCH="--rounds 1 storm")
	@$(LOAD)/bench --node $(LOAD)/sse-node --json $(LOAD)/bench.json $(BENCH)

.PHONY: soak
soak: load ## Half an hour of churn and Redis' deaths: nothing lost, nothing twice, no growth (SOAK="--seconds 60")
	@$(LOAD)/soak --node $(LOAD)/sse-node $(SOAK)

.PHONY: bench-ingress
bench-ingress: cluster images ## Print the figures that docs/performance.md has of the ingress
	@$(WITH_CLUSTER) cargo test --release -p ssefleet-tests --test e2e -- --test-threads=1 --nocapture figures

.PHONY: cluster
cluster: ## Start a cluster for tests (a kube context, kind, or one of this machine's namespaces)
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## End it and leave nothing behind
	@$(CLUSTER) down

.PHONY: images
images: ## Build the images and put them where the cluster can run them
	@$(CLUSTER) images

.PHONY: generate
generate: ## Write the files that are made from others: the CRD, its copy in the chart, and the table of values
	cargo run --quiet -p sse-operator -- crd > crds/generated/ssestreams.yaml.new
	mv crds/generated/ssestreams.yaml.new crds/generated/ssestreams.yaml
	cp crds/generated/ssestreams.yaml charts/ssefleet/files/ssestreams.yaml
	tests/values-table > charts/ssefleet/README.md
