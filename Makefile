# The commands of the project. `make` alone lists them.

# What `make run` needs; `make build` makes the offline tools and the load generator too.
RUN_PRODUCTS = kvnode kvctl
PRODUCTS = $(RUN_PRODUCTS) sstdump walreplay kvbench

.DEFAULT_GOAL := help
.PHONY: dist check-deploy help run run-single test test-units test-computing test-programs check build build-run build-debug demo clean setup

help:
	@echo 'make run         three nodes on this machine, in the foreground; Ctrl-C stops them, the data stays'
	@echo 'make run-single  the same with one node'
	@echo 'make test        all tests'
	@echo 'make check       the format of all Swift files'
	@echo 'make demo        a real data set goes in while the leader is killed; nothing may be lost'
	@echo 'make build       kvnode, kvctl and the tools, optimized, in .build/release'
	@echo 'make dist        a tarball with the programs, for machines without Swift'
	@echo 'make check-deploy  dashboards, alerts, manifests, commands of the pages, tarball: what can be checked here'
	@echo 'make clean       removes what was built; data/ stays'

setup:
	@scripts/setup

# One build after the other: two at once would wait for each other's lock.
# With KV_BUILT=1 what was built is taken as it is.
ifdef KV_BUILT
build build-run:
else
build: setup
	@for product in $(PRODUCTS); do swift build -c release --product $$product || exit 1; done

build-run: setup
	@for product in $(RUN_PRODUCTS); do swift build -c release --product $$product || exit 1; done
endif

build-debug: setup
	swift build --build-tests

# The scripts handle Ctrl-C: `exec` hands the terminal's signals to them alone.
run: build-run
	@exec scripts/cluster start --nodes 3 --foreground

run-single: build-run
	@exec scripts/cluster start --nodes 1 --foreground

# The end-to-end tests start real clusters and measure nothing else's load: they run by themselves, after the others.
# A failure in one part does not keep the others from being run.
test: build-debug
	@code=0; for part in test-units test-computing test-programs; do $(MAKE) --no-print-directory $$part || code=1; done; exit $$code

# Tests that compute for minutes would keep those that wait for sockets from the few threads that tasks have.
COMPUTING = SimulationTests|CrashTests|KVStorageTests|KVRaftTests|KVReplicationTests

test-units:
	swift test --skip-build --skip 'EndToEndTests|$(COMPUTING)'

test-computing:
	swift test --skip-build --filter '$(COMPUTING)'

test-programs:
	swift test --skip-build --filter EndToEndTests

check:
	@git ls-files -z '*.swift' | grep -zv '/Generated/' | xargs -0 swift format lint --strict

demo: build-run
	@exec scripts/demo

dist: setup
	@exec scripts/dist

# Each says visibly what it skips: Prometheus, kubernetes-validate, debootstrap are not needed to build.
check-deploy: build-run
	@scripts/dashboards --check
	@scripts/check-dashboards
	@scripts/check-manifests
	@scripts/check-commands
	@if ls build/kv-*.tar.gz > /dev/null 2>&1; then scripts/check-dist; else echo 'skipped the tarball: make dist first'; fi

clean:
	rm -rf .build
