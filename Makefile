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

.PHONY: bench
bench: cluster images ## Print the figures of docs/performance.md, measured through the ingress
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
generate: ## Write the files that are made from others: the CRD, and its copy in the chart
	cargo run --quiet -p sse-operator -- crd > crds/generated/ssestreams.yaml.new
	mv crds/generated/ssestreams.yaml.new crds/generated/ssestreams.yaml
	cp crds/generated/ssestreams.yaml charts/ssefleet/files/ssestreams.yaml
