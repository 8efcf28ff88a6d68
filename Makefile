# Trunkline. `make help` lists what there is. Needed beforehand: Go, make, git; Postgres is installed where it is missing.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The linter is pinned and built into the tree, so that everybody and CI see the same findings.
GOLANGCI_VERSION := v2.15.0
TOOLS := $(CURDIR)/bin/tools
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
REVISION_TIME ?= $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
# Outside a repository git can read (a tarball, another user's clone) go would refuse to stamp the revision, and with it to build; so the three above say it.
GOFLAGS_BUILD := -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION) -X main.revision=$(REVISION) -X main.revisionTime=$(REVISION_TIME)"

DIST ?= dist
DIST_PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

# The race detector needs cgo and a C compiler; `make test` does without where there is none, `make test/race` insists.
RACE := $(shell command -v "$$(go env CC)" >/dev/null 2>&1 && [ "$$(go env GOARCH)" != 386 ] && echo -race)
GOTEST = CGO_ENABLED=$(if $(findstring -race,$(1)),1,$$(go env CGO_ENABLED)) go test $(1) -shuffle=on -count=1 -timeout 40m $(PKG)
PKG ?= ./...

.PHONY: help run test test/race test/full test-tools build man dist bench bench/go lint fmt migrate ci postgres

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z\/-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: postgres build ## build and run everything on simulated vendors: http://127.0.0.1:8080
	bin/trunkline demo

test: postgres ## every test that needs Go and Postgres (PKG=./store/... for some); -race where a C compiler exists
	$(call GOTEST,$(RACE))

test/race: postgres ## the same, always with the race detector
	$(call GOTEST,-race)

test/full: postgres ## the tests that are smaller or laxer by default, at full size, for a quiet machine: half an hour
	TRUNKLINE_TEST_FULL=1 go test -count=1 -timeout 90m -v -parallel 1 \
		-run '^(TestPostsThroughKills|TestFaultyPushesArriveOnce|TestOptOutsWhilePushesGoOut|TestBackfillBesideLive|TestLimitedDaemonsWait|TestTwoDaemons)$$' ./cmd/trunkline

test-tools: postgres build ## tests that need Node, Chromium, promtool or DuckDB; installs what is missing
	deploy/test-tools.sh

build: ## bin/trunkline, static as it is shipped
	CGO_ENABLED=0 go build $(GOFLAGS_BUILD) -o bin/trunkline ./cmd/trunkline

man: build ## bin/trunkline.1, the manual page of every command
	bin/trunkline man >bin/trunkline.1

dist: build ## archives of a release with checksums in dist/ (DIST_PLATFORMS="linux/amd64 ...", DIST=directory)
	VERSION='$(VERSION)' REVISION_TIME='$(REVISION_TIME)' GOFLAGS_BUILD='$(GOFLAGS_BUILD)' deploy/dist.sh $(DIST) $(DIST_PLATFORMS)

bench: postgres ## the figures of docs/performance.md, against yardsticks of the same run (BENCH="-quick", "-only walk100", ...)
	go run ./cmd/bench $(BENCH)

bench/go: postgres ## the Go benchmarks of the packages
	go test -run '^$$' -bench . -benchmem -timeout 60m $(PKG)

lint: $(GOLANGCI) ## golangci-lint, pinned; builds it on first use
	$(GOLANGCI) run --allow-parallel-runners ./...

fmt: $(GOLANGCI) ## format in place
	$(GOLANGCI) fmt ./...

migrate: postgres build ## bring the database (DATABASE_URL, else the private one) to this version's schema
	bin/trunkline migrate up

ci: lint test/race ## what CI runs before the tools' tests

postgres: # no doc line: every target that needs it asks for it
	@deploy/ensure-postgres.sh

$(GOLANGCI):
	@mkdir -p $(TOOLS)
	@echo "building golangci-lint $(GOLANGCI_VERSION), once" >&2
	GOBIN=$(TOOLS) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $(GOLANGCI)
