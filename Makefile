# make help lists what there is to make.

GO    ?= go
TOOLS := $(CURDIR)/bin/tools
TAGS  := e2e,long
LAB   := docs/examples/two-hypervisors.yaml
ZONES := docs/examples/interconnect.yaml
PREFIX ?= /usr/local
UNITS  ?= /etc/systemd/system

# What generates code and what judges it.
GO_TOOLS := \
	google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 \
	google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2 \
	honnef.co/go/tools/cmd/staticcheck@v0.8.2

export PATH := $(TOOLS):$(PATH)

.PHONY: help deps build install generate lint check test test-all unit random e2e bench bench-full bench-changes bench-ovsdb bench-failover bench-ic bench-zones demo compose-tour e2e-compose clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

deps: ## install Debian packages and Go tools that are missing (root)
	@.ci/deps $(GO_TOOLS)

build: ## build the static binary bin/govn
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/govn ./cmd/govn

install: ## install bin/govn, completion and systemd units below DESTDIR; PREFIX is /usr/local (root)
	install -D -m 755 bin/govn $(DESTDIR)$(PREFIX)/bin/govn
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(UNITS)
	bin/govn completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/govn
	for u in packaging/systemd/*.service; do sed 's|/usr/local/bin|$(PREFIX)/bin|' $$u > $(DESTDIR)$(UNITS)/$${u##*/} || exit 1; done

generate: ## make the generated code anew
	protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative proto/fabric.proto proto/ic/ic.proto

check: ## formatting and go vet
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "gofmt -w is needed on:"; echo "$$out"; exit 1; fi
	$(GO) vet -tags $(TAGS) ./...

lint: check ## check, and staticcheck
	staticcheck -tags $(TAGS) ./...

unit: ## tests of every package, with Open vSwitch where they need it
	$(GO) test ./...

random: ## 2,000 random changes, and 20,000: incremental = full, and each chassis = a fresh one
	$(GO) test -count 1 -timeout 15m -v -run TestIncrementalEqualsFull ./northd -changes 2000
	$(GO) test -count 1 -timeout 15m -v -run TestIncrementalEqualsFull ./northd -changes 20000 -every 40 -seed 2
	$(GO) test -count 1 -timeout 15m -v -run TestChassisEqualsFresh ./test/convergence -changes 2000 -every 100

e2e: ## stories on real Open vSwitch (root)
	$(if $(wildcard test/e2e/*.go),$(GO) test -tags e2e -timeout 15m -count 1 ./test/e2e/...)

test: deps build check unit ## what must pass: deps, build, check, unit, then random beside e2e, which mostly waits (root)
	printf '%s\n' random e2e | xargs -P 2 -n 1 $(MAKE)

test-all: deps build lint ## everything, with the race detector and the long tests (root)
	$(GO) test -race -timeout 30m -tags $(TAGS) -count 1 ./...
	$(GO) test -timeout 10m -tags long -count 1 -run TestSimulatedChassisEqualFresh ./test/convergence
	$(MAKE) e2e-compose

bench: deps ## benchmarks of every package, one port more beside stock OVN, the store beside ovsdb-server (root)
	$(GO) test -run '^$$' -bench . -benchtime 200ms -benchmem ./...
	$(GO) run ./test/bench -switches 20 -ports 10 -chassis 2 -n 200 -stock-n 10
	$(GO) run ./test/bench ovsdb -n 500 -repeat 1 -ports 10000

bench-full: deps ## the tables of docs/benchmarks.md, to out/benchmarks.md; BENCH_DB=FILE for the last (root, an hour)
	mkdir -p out
	$(GO) run ./test/bench -out out/benchmarks.md -switches 100 -ports 50 -chassis 2,20 -n 1000 -stock-n 50
	$(GO) run ./test/bench -out out/benchmarks.md -switches 1 -ports 30000 -chassis 2,20 -n 1000 -stock-n 5 -timeout 30m
	$(if $(BENCH_DB),$(GO) run ./test/bench -out out/benchmarks.md -db $(BENCH_DB) -chassis 2 -n 200 -stock-n 5)

bench-changes: deps ## every kind of change beside stock OVN on BENCH_DB=FILE, to out/benchmarks.md (root, ten minutes)
	mkdir -p out
	$(GO) run ./test/bench changes -out out/benchmarks.md -db $(BENCH_DB) -n 100 -stock-n 3

bench-ovsdb: deps ## the store beside ovsdb-server, to out/benchmarks.md; BENCH_DB=FILE for memory and start (three minutes)
	mkdir -p out
	$(GO) run ./test/bench ovsdb -out out/benchmarks.md $(if $(BENCH_DB),-db $(BENCH_DB))

bench-failover: deps ## gateway failover beside stock OVN, 20 of each kind, and BFD with 100 gateways, to out/benchmarks.md (root, 40 minutes)
	mkdir -p out
	$(GO) run ./test/bench bfd -out out/benchmarks.md
	$(GO) run ./test/bench failover -out out/benchmarks.md -n 20

bench-ic: deps ## a route from one zone to the other beside stock ovn-ic, to out/benchmarks.md (root, three minutes)
	mkdir -p out
	$(GO) run ./test/bench ic -out out/benchmarks.md

bench-zones: deps ## 50 zones that tell each other 200 routes, and 5 beside stock ovn-ic, to out/benchmarks.md (ten minutes)
	mkdir -p out
	$(GO) run ./test/bench icscale -out out/benchmarks.md -zones 5 -systems stock,govn-ovsdb,govn-fabric
	$(GO) run ./test/bench icscale -out out/benchmarks.md -zones 20,50 -systems govn-fabric

demo: build ## a ping between simulated hypervisors, and one between two zones, with their ways (needs nothing but Go)
	@bin/govn sim run $(LAB) --pcap out
	@echo
	@bin/govn sim run $(ZONES) --hops --pcap out

compose-tour: ## a tour of the lab in containers; brings it up if it is not (docker)
	sim/lab/compose/tour --up

e2e-compose: build ## the lab in containers, its tour, and away again, on an engine of its own if none runs (root)
	sim/lab/compose/e2e

clean: ## remove what was built
	rm -rf bin out
