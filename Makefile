# Every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export GOFLAGS := -mod=readonly -trimpath
TOOLS := $(CURDIR)/.tools
export PATH := $(TOOLS)/bin:$(TOOLS)/node_modules/.bin:$(PATH)

GOLANGCI := 2.15.0
BUF := 1.75.0
export DEADCODE := v0.52.0
FUZZTIME ?= 10s
# The race detector needs a C compiler; a fresh machine may lack one. CI must have it.
RACE := $(shell if [ -n "$${CI:-}" ] || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1; then echo -race; fi)

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/darkd and bin/dark
	CGO_ENABLED=0 go build -o bin/ ./cmd/darkd ./cmd/dark

run: build ## bring up the whole platform on loopback (darkd dev)
	bin/darkd dev $(ARGS)

cluster: build ## bring up three control nodes and three edges on loopback
	deploy/lab/cluster.sh

test: build ## run all tests
	DARKD_BIN=$(CURDIR)/bin/darkd DARK_BIN=$(CURDIR)/bin/dark tools/test.sh $(RACE) $(TESTARGS)

lint: $(TOOLS)/bin/golangci-lint-$(GOLANGCI) $(TOOLS)/bin/deadcode-$(DEADCODE) $(TOOLS)/node_modules/.bin/buf ## check style, protos and generated files
	golangci-lint-$(GOLANGCI) run ./...
	buf lint
	tools/breaking.sh
	tools/deadcode.sh

fuzz: ## run each fuzz test for FUZZTIME (10s)
	tools/fuzz.sh $(FUZZTIME)

soak: ## crash the store and its segments 10,000 times each; some minutes
	DARK_SEEDS=$${DARK_SEEDS:-10000} go test -v -count=1 -timeout 24h ./dataplane/store/... -run 'Power' | grep -vE '^(=== |testing: warning|PASS)'

bench: build ## measure beside peers; see bench/RESULTS.md
	bench/run.sh $(ARGS)

generate: $(TOOLS)/node_modules/.bin/buf ## write all generated code again
	GOBIN=$(TOOLS)/bin GOFLAGS=-mod=mod go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
	GOBIN=$(TOOLS)/bin GOFLAGS=-mod=mod go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
	GOBIN=$(TOOLS)/bin GOFLAGS=-mod=mod go install github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway@v2.32.0
	GOBIN=$(TOOLS)/bin GOFLAGS=-mod=mod go install github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3@v2.32.0
	proto/generate.sh

$(TOOLS)/bin/golangci-lint-$(GOLANGCI):
	mkdir -p $(TOOLS)/bin
	GOBIN=$(TOOLS)/bin GOFLAGS=-mod=mod go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI)
	mv $(TOOLS)/bin/golangci-lint $@

$(TOOLS)/bin/deadcode-$(DEADCODE):
	mkdir -p $(TOOLS)/bin
	GOBIN=$(TOOLS)/bin GOFLAGS=-mod=mod go install golang.org/x/tools/cmd/deadcode@$(DEADCODE)
	mv $(TOOLS)/bin/deadcode $@

$(TOOLS)/node_modules/.bin/buf:
	mkdir -p $(TOOLS)
	npm install --silent --no-audit --no-fund --prefix $(TOOLS) @bufbuild/buf@$(BUF)

.PHONY: help build run cluster test lint fuzz soak bench generate
